"""What a Redis may have lost, or a server that died left half done: sessions are healed, guards are told."""

import asyncio
import shutil
from pathlib import Path

import pytest

from evertoken.errors import StoreUnavailable
from evertoken.sessions.model import EventKind
from evertoken.sessions.rotation import Outcome, Reason
from evertoken.stores.redis import ending
from tests.stores.compliance.bench import LAPTOP, RIPE, add_user, child, refresh, sign_in, signed_in, succeed
from tests.stores.redis.bench import RedisBench
from tests.stores.redis.server import running_redis
from tests.support.clock import MovingClock


async def test_an_older_snapshot_that_was_restored_signs_nobody_out(tmp_path: Path, clock: MovingClock) -> None:
    """Commits that a failover or a restore lost are healed by the tokens; what is ended then reaches the guards."""
    with running_redis("appendonly no") as server:
        bench = RedisBench(tmp_path, clock, server)
        store = bench.open()
        user = await add_user(store)
        ahead = [await sign_in(store, clock, user) for _ in range(8)]
        early, late = await sign_in(store, clock, user), await sign_in(store, clock, user)
        with server.admin() as admin:
            admin.save()
        kept = shutil.copy(server.folder / "dump.rdb", tmp_path / "kept.rdb")
        for steps in range(8):
            for _ in range(steps):
                ahead[steps] = await succeed(store, clock, ahead[steps])
        successor = await succeed(store, clock, early)
        young = child(successor, await refresh(store, successor))
        await store.end(late.session_id, Reason.SIGNED_OUT, LAPTOP)
        seen = await store.revocations_after(0)
        await asyncio.to_thread(server.kill)
        shutil.copy(kept, server.folder / "dump.rdb")
        await asyncio.to_thread(server.start)
        for steps, token in enumerate(ahead):
            result = await refresh(store, token)
            assert result.outcome in (Outcome.REISSUE, Outcome.ADVANCE)
            assert result.healed is (steps >= 2)
            again = child(token, result)
            clock.advance(RIPE)
            assert (await refresh(store, again)).outcome is Outcome.ADVANCE
        assert (await refresh(store, young)).outcome in (Outcome.EARLY, Outcome.ADVANCE)
        kinds = [line.kind for line in await store.timeline(ahead[5].session_id)]
        assert kinds == [EventKind.SIGN_IN, EventKind.HEAL]
        # What a restore loses: sign-outs since. They can be made again, and guards that followed before hear of it.
        assert (await refresh(store, late)).outcome is Outcome.REISSUE
        await store.end(late.session_id, Reason.SIGNED_OUT, LAPTOP)
        news = await store.revocations_after(seen.cursor)
        assert [session_id for session_id, _ in news.session_ids] == [late.session_id]
        await bench.stop()


async def test_a_session_that_redis_forgot_to_list_is_listed_again_when_it_heals(bench: RedisBench) -> None:
    """In a Cluster the list of a user's sessions may lose more than the session: the next heal enters it anew."""
    store, clock = bench.open(), bench.clock
    token = await signed_in(store, clock)
    backup = await bench.read_rows([token.session_id])
    newest = await succeed(store, clock, await succeed(store, clock, token))
    raw = await bench.ask("GET", bench.keys.session(token.session_id))
    row = backup[token.session_id]
    # The record as it was two successions ago, and no list that names it.
    await bench.ask(
        "SET", bench.keys.session(token.session_id), raw[:4] + row.current + raw[20:36] + bytes(4) + raw[40:]
    )
    await bench.ask("DEL", bench.keys.sessions_of("u_ada"), bench.keys.created(token.session_id[0]))
    assert await store.list_sessions(user_id="u_ada") == []
    clock.advance(RIPE)
    assert (await refresh(store, newest)).healed
    assert [one.id for one in await store.list_sessions(user_id="u_ada")] == [token.session_id]
    assert [one.id for one in await store.list_sessions()] == [token.session_id]


async def test_an_ending_that_was_not_announced_is_announced_by_whoever_follows(
    bench: RedisBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker that dies between ending a session and telling the guards leaves a mark, and another tells them."""
    store, clock = bench.open(), bench.clock
    user = await add_user(store)
    tokens = [await sign_in(store, clock, user) for _ in range(2)]

    async def dies(*_: object) -> None:
        raise StoreUnavailable("gone")

    monkeypatch.setattr(ending, "_announce", dies)
    for token in tokens:
        with pytest.raises(StoreUnavailable):
            await store.end(token.session_id, Reason.SIGNED_OUT, LAPTOP)
    monkeypatch.undo()
    assert (await refresh(store, tokens[0])).reason is Reason.SIGNED_OUT
    # Who is told 503 tries again; the session is over by then, and is announced all the same.
    assert (await store.end(tokens[0].session_id, Reason.SIGNED_OUT, LAPTOP)).session_ids == ()
    follower = bench.open()
    first = await follower.revocations_after(0)
    assert tokens[0].session_id in dict(first.session_ids)
    clock.advance(1)
    page = await follower.revocations_after(first.cursor)
    rest = await follower.revocations_after(page.cursor)
    told = [session_id for one in (first, page, rest) for session_id, _ in one.session_ids]
    assert sorted(told) == sorted(token.session_id for token in tokens)
    clock.advance(5)
    assert (await follower.revocations_after(rest.cursor)).session_ids == ()
