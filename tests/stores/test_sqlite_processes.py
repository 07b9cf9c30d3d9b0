"""Several worker processes on one SQLite file are as one: what they were told, checked against the history."""

import multiprocessing
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from evertoken.clock import system_clock
from evertoken.sessions.model import EventKind, NewSession
from evertoken.sessions.rotation import MATURITY_IN_OVERLAPS, Outcome
from evertoken.stores.sqlite.store import SqliteStore
from evertoken.tokens import refresh_token
from evertoken.tokens.refresh_token import Delivery, RefreshToken
from tests.stores import racing
from tests.stores.compliance.bench import LAPTOP, OVERLAP, add_user, refresh
from tests.stores.racing import Seen, open_store

WORKERS = 4
SESSIONS = 12
ROUNDS = 8

PROCESSES = multiprocessing.get_context("spawn")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """The file, as the test itself sees it."""
    opened = open_store(tmp_path / "evertoken.db")
    yield opened
    opened.close()


async def sign_ins(store: SqliteStore, count: int) -> list[RefreshToken]:
    """The first tokens of so many sessions of one user."""
    user = await add_user(store)
    tokens = []
    for _ in range(count):
        token = refresh_token.first(session_id=secrets.token_bytes(16), delivery=Delivery.BODY, now_ms=system_clock())
        assert await store.create(NewSession(user.id, user.username, 0, "web", token, LAPTOP)) is not None
        tokens.append(token)
    return tokens


@contextmanager
def workers(*bodies: tuple[Callable[..., None], tuple[Any, ...]]) -> Iterator[list[Any]]:
    """Run these in processes of their own; each fails the test if it fails, and none outlives it."""
    started = [PROCESSES.Process(target=body, args=arguments) for body, arguments in bodies]
    for process in started:
        process.start()
    try:
        yield started
        for process in started:
            process.join(racing.PATIENCE_SECONDS)
            assert process.exitcode == 0
    finally:
        for process in started:
            if process.is_alive():
                process.kill()
            process.join()


async def test_workers_that_race_with_the_same_tokens_make_one_chain(store: SqliteStore) -> None:
    """
    Four processes that present the same tokens at once, late duplicates among them, confirm each successor exactly
    once, take nobody for a thief, and lose no answer that they gave.
    """
    firsts = await sign_ins(store, SESSIONS)
    ripe_ms = system_clock() - MATURITY_IN_OVERLAPS * OVERLAP * 1000
    rounds = [firsts]
    for _ in range(ROUNDS):
        rounds.append([refresh_token.child_of(token, now_ms=ripe_ms) for token in rounds[-1]])
    barrier, out = PROCESSES.Barrier(WORKERS), PROCESSES.Queue()
    began = time.monotonic()
    bodies = [(racing.present_in_rounds, (number, store.path, rounds, barrier, out)) for number in range(WORKERS)]
    with workers(*bodies):
        history: list[Seen] = [seen for _ in range(WORKERS) for seen in out.get(timeout=racing.PATIENCE_SECONDS)]
    assert time.monotonic() - began < 20
    assert len(history) == WORKERS * SESSIONS * (2 * ROUNDS + 1)
    of_token: dict[tuple[bytes, int], list[Seen]] = defaultdict(list)
    for seen in history:
        of_token[seen.session_id, seen.generation].append(seen)
    for (_, generation), answers in of_token.items():
        counted = Counter(seen.outcome for seen in answers)
        assert set(counted) <= {Outcome.ADVANCE, Outcome.REISSUE, Outcome.STALE}
        assert counted[Outcome.ADVANCE] == (1 if generation else 0)
        _moves_forward_only(answers)
    for token in rounds[-1]:
        await _has_lost_nothing(store, token, [seen for seen in history if seen.session_id == token.session_id])
    assert any(seen.outcome is Outcome.STALE for seen in history)


def _moves_forward_only(answers: list[Seen]) -> None:
    """A token that was confirmed stays so for every later refresh, and one that was stale is never good again."""
    rank = {Outcome.ADVANCE: 0, Outcome.REISSUE: 1, Outcome.STALE: 2}
    for one in answers:
        for later in answers:
            if later.began_at > one.ended_at:
                assert rank[later.outcome] >= rank[one.outcome]
                assert later.outcome is not Outcome.ADVANCE


async def _has_lost_nothing(store: SqliteStore, newest: RefreshToken, history: list[Seen]) -> None:
    counted = Counter(seen.outcome for seen in history)
    found = await store.find(newest.session_id)
    assert found is not None
    assert found.rotations == counted[Outcome.ADVANCE] + counted[Outcome.REISSUE]
    assert counted[Outcome.ADVANCE] == ROUNDS
    lines = await store.timeline(newest.session_id)
    assert sum(line.count for line in lines if line.kind is EventKind.STALE) == counted[Outcome.STALE]
    result = await refresh(store, newest)
    assert result.outcome is Outcome.REISSUE
    assert newest.generation == ROUNDS


async def test_once_a_sign_out_is_acknowledged_no_worker_refreshes_the_session(store: SqliteStore) -> None:
    """A refresh that begins after the sign-out was acknowledged is refused, by whichever process."""
    tokens = await sign_ins(store, SESSIONS)
    barrier, out, ends = PROCESSES.Barrier(WORKERS), PROCESSES.Queue(), PROCESSES.Queue()
    refreshing = [
        (racing.refresh_without_end, (number, store.path, tokens, barrier, out)) for number in range(WORKERS - 1)
    ]
    with workers((racing.end_one_by_one, (store.path, tokens, barrier, ends)), *refreshing):
        acknowledged: dict[bytes, float] = ends.get(timeout=racing.PATIENCE_SECONDS)
        history: list[Seen] = [seen for _ in refreshing for seen in out.get(timeout=racing.PATIENCE_SECONDS)]
    after = [seen for seen in history if seen.began_at > acknowledged[seen.session_id]]
    assert after
    assert {seen.outcome for seen in after} == {Outcome.GONE}
    assert {seen.outcome for seen in history} == {Outcome.GONE, Outcome.REISSUE}
    revoked = [session_id for session_id, _ in (await store.revocations_after(0)).session_ids]
    assert revoked == [token.session_id for token in tokens]


async def test_a_worker_that_is_killed_loses_no_answer_that_it_gave(store: SqliteStore) -> None:
    """After SIGKILL in the middle of its work all that a worker answered is in the store, and the store goes on."""
    (token,) = await sign_ins(store, 1)
    counter = PROCESSES.Value("i", 0)
    process = PROCESSES.Process(target=racing.refresh_until_killed, args=(store.path, token, counter))
    process.start()
    deadline = time.monotonic() + racing.PATIENCE_SECONDS
    ours = 0
    while counter.value < 100 and time.monotonic() < deadline:
        await refresh(store, token)
        ours += 1
    process.kill()
    process.join()
    acknowledged = counter.value
    before = await store.find(token.session_id)
    assert before is not None
    assert acknowledged >= 100
    # One more may have been committed, and killed on its way to be counted.
    assert before.rotations - ours - acknowledged in {0, 1}
    assert (await refresh(store, token)).outcome is Outcome.REISSUE
