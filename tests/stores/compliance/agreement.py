"""The store's own statement of the rotation table, against `sessions.rotation.decide`, on every input that matters."""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from evertoken.sessions.model import RotationRequest, RotationResult
from evertoken.sessions.rotation import ANY, Decision, Outcome, Reason, RotationPolicy, Row, decide
from evertoken.stores.store import Store
from evertoken.tokens.refresh_token import Delivery, RefreshToken
from tests.stores.compliance.bench import LAPTOP, Bench
from tests.support.clock import START_MS

NOW = START_MS
OVERLAP_MS, IDLE_MS = 10, 100
MATURITY_MS = 4 * OVERLAP_MS
GENERATION = 5
A, B, C, D = (bytes([letter]) * 16 for letter in b"ABCD")

POLICIES = [RotationPolicy(overlap, IDLE_MS, extends) for overlap in (OVERLAP_MS, 0) for extends in (True, False)]
Case = tuple[Row, RefreshToken]
Seen = Counter[tuple[Outcome, bool, Reason | None]]


def a_token(tag: bytes, parent: bytes, generation: int, issued_at_ms: int) -> RefreshToken:
    """A genuine token that says this; its session is filled in later."""
    return RefreshToken(b"", generation, tag, parent, issued_at_ms, Delivery.BODY)


def living() -> Iterator[Case]:
    """Every relation of a token to a session that lives, at every boundary of age and overlap."""
    for previous, tag, parent, ahead, age, since in itertools.product(
        (None, ANY, B),
        (A, B, C),
        (A, B, D),
        (-1, 0, 1, 2, 3),
        (-1, 0, MATURITY_MS - 1, MATURITY_MS, MATURITY_MS + 1),
        (-1, OVERLAP_MS - 1, OVERLAP_MS, OVERLAP_MS + 1),
    ):
        row = Row(A, previous, GENERATION, NOW - since, NOW + 1)
        yield row, a_token(tag, parent, GENERATION + ahead, NOW - age)


def ending() -> Iterator[Case]:
    """Every way to be over, at every boundary of the two expiries, for one token of each row of the table."""
    for idle, limit, over, age, (tag, parent, ahead) in itertools.product(
        (-1, 0, 1),
        (None, -1, 0, 1),
        (None, *Reason),
        (0, MATURITY_MS, IDLE_MS - 1, IDLE_MS, IDLE_MS + 1),
        ((A, D, 0), (C, A, 1), (C, D, 2), (B, D, 0), (C, D, 1)),
    ):
        row = Row(A, B, GENERATION, NOW, NOW + idle, None if limit is None else NOW + limit, over)
        yield row, a_token(tag, parent, GENERATION + ahead, NOW - age)


def near(*boundaries: int) -> st.SearchStrategy[int]:
    """Durations at and about these, negative and very long ones too."""
    about = [boundary + step for boundary in boundaries for step in (-1, 0, 1)]
    return st.sampled_from([*about, 0, -1]) | st.integers(-3 * IDLE_MS, 3 * IDLE_MS) | st.integers(-(2**40), 2**40)


TAGS = st.sampled_from([A, B, C, D])
ROWS = st.builds(
    Row,
    current=TAGS,
    previous=TAGS | st.sampled_from([None, ANY]),
    generation=st.integers(0, 9),
    advanced_at_ms=near(OVERLAP_MS).map(lambda ago: NOW - ago),
    idle_expires_at_ms=near(IDLE_MS).map(lambda ahead: NOW + ahead),
    max_expires_at_ms=st.none() | near().map(lambda ahead: NOW + ahead),
    over=st.none() | st.none() | st.none() | st.sampled_from(Reason),
)
TOKENS = st.builds(
    a_token,
    tag=TAGS,
    parent=TAGS,
    generation=st.integers(0, 12) | st.just(2**32 - 1),
    issued_at_ms=near(MATURITY_MS, IDLE_MS).map(lambda ago: NOW - ago),
)


class Agreement:
    """A store that decides in a statement of its own decides as the pure function does."""

    @pytest.mark.parametrize("policy", POLICIES, ids=("usual", "fixed end", "strict", "strict, fixed end"))
    async def test_every_case_of_the_table_is_decided_as_by_the_pure_function(
        self, bench: Bench, policy: RotationPolicy
    ) -> None:
        """Whatever a token is to its session, the store's outcome, its row and its answer are those of the table."""
        seen = await _compare(bench, bench.open(policy=policy), policy, [*living(), *ending()])
        outcomes = {(outcome, healed) for outcome, healed, _ in seen}
        expected = {(outcome, False) for outcome in Outcome} | {(Outcome.EARLY, True), (Outcome.ADVANCE, True)}
        if policy.overlap_ms == 0:
            expected -= {(Outcome.EARLY, False), (Outcome.EARLY, True), (Outcome.STALE, False)}
        assert outcomes == expected
        assert {reason for _, _, reason in seen} == {None, *Reason}
        assert min(seen.values()) > 20

    @given(cases=st.lists(st.tuples(ROWS, TOKENS), min_size=1, max_size=60), policy=st.sampled_from(POLICIES))
    @settings(
        max_examples=60,
        deadline=None,
        # Every store plays this in a class of its own: an example that one of them failed is good for all.
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors],
    )
    async def test_any_row_and_any_token_are_decided_as_by_the_pure_function(
        self, bench: Bench, cases: list[Case], policy: RotationPolicy
    ) -> None:
        """The same for rows and tokens that nobody thought of, and `judge` foretells each outcome."""
        store = bench.open(policy=policy)
        rows, tokens = _numbered(cases)
        await bench.put_rows(rows)
        foretold = [await store.judge(RotationRequest(token, LAPTOP)) for token in tokens[:5]]
        assert await bench.read_rows(rows) == rows
        await _compare(bench, store, policy, cases)
        expected = [decide(row, token, now_ms=NOW, policy=policy).outcome for row, token in cases[:5]]
        assert foretold == expected


async def _compare(bench: Bench, store: Store, policy: RotationPolicy, cases: Sequence[Case]) -> Seen:
    rows, tokens = _numbered(cases)
    await bench.put_rows(rows)
    results: list[RotationResult] = []
    for batch in _batches(tokens, 256):
        results += await store.rotate([RotationRequest(token, LAPTOP) for token in batch])
    after = await bench.read_rows(rows)
    seen: Seen = Counter()
    for token, row, result in zip(tokens, rows.values(), results, strict=True):
        decision = decide(row, token, now_ms=result.now_ms, policy=policy)
        assert _told(result) == (decision.outcome, decision.healed, decision.reason, decision.retry_after_ms), (
            row,
            token,
        )
        expected = _row_after(decision)
        assert after[token.session_id] == expected, (row, token)
        if decision.outcome in (Outcome.REISSUE, Outcome.EARLY, Outcome.ADVANCE):
            idle, limit = expected.idle_expires_at_ms, expected.max_expires_at_ms
            assert result.expires_at_ms == (idle if limit is None else min(idle, limit))
        seen[decision.outcome, decision.healed, decision.reason] += 1
    return seen


def _told(result: RotationResult) -> tuple[Outcome, bool, Reason | None, int]:
    return result.outcome, result.healed, result.reason, result.retry_after_ms


def _row_after(decision: Decision) -> Row:
    assert decision.row is not None
    return replace(decision.row, over=decision.reason) if decision.outcome is Outcome.REPLAY else decision.row


def _numbered(cases: Iterable[Case]) -> tuple[dict[bytes, Row], list[RefreshToken]]:
    """Give each case a session of its own."""
    numbered = [(number.to_bytes(16, "big"), row, token) for number, (row, token) in enumerate(cases)]
    rows = {session_id: row for session_id, row, _ in numbered}
    return rows, [replace(token, session_id=session_id) for session_id, _, token in numbered]


def _batches(tokens: list[RefreshToken], size: int) -> Iterator[list[RefreshToken]]:
    return (tokens[start : start + size] for start in range(0, len(tokens), size))
