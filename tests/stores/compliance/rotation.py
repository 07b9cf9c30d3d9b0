"""Refreshing: what a store changes, records and tells beside the decision itself."""

from dataclasses import replace

from evertoken.sessions.model import EventKind, RotationRequest
from evertoken.sessions.rotation import Outcome, Reason
from evertoken.tokens.refresh_token import TAG_BYTES, RefreshToken
from tests.stores.compliance.bench import (
    IDLE,
    LAPTOP,
    OVERLAP,
    PHONE,
    RIPE,
    Bench,
    add_user,
    child,
    refresh,
    sign_in,
    signed_in,
    succeed,
)


class Rotation:
    """One presented token, or many at once."""

    async def test_a_token_whose_answer_was_lost_is_presented_again_and_earns_another(self, bench: Bench) -> None:
        """A refresh token stays good until its successor is presented, however often it is shown before."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        for _ in range(3):
            clock.advance(IDLE - 1)
            result = await refresh(store, token, PHONE)
            assert (result.outcome, result.user_id, result.username) == (Outcome.REISSUE, "u_ada", "ada")
            assert (result.client_id, result.now_ms, result.event) == ("web", clock(), None)
            assert result.expires_at_ms == clock() + IDLE * 1000
        found = await store.find(token.session_id)
        assert found is not None
        assert (found.rotations, found.refreshed_from, found.created_from) == (3, PHONE, LAPTOP)
        assert found.recent_rotations_ms[0] == found.refreshed_at_ms == clock()

    async def test_a_successor_presented_early_is_noted_and_changes_nothing_but_the_idle_time(
        self, bench: Bench
    ) -> None:
        """A successor that is not ripe yet earns an access token, and its parent stays good."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        successor = child(token, await refresh(store, token))
        clock.advance(RIPE - 1)
        early = await refresh(store, successor)
        assert (early.outcome, early.event and early.event.kind) == (Outcome.EARLY, EventKind.EARLY)
        assert early.expires_at_ms == clock() + IDLE * 1000
        assert (await refresh(store, token)).outcome is Outcome.REISSUE

    async def test_a_late_duplicate_is_told_to_come_back_and_is_counted(self, bench: Bench) -> None:
        """Within the overlap the dead token is only late: no tokens, nothing revoked, one line in the audit trail."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        successor = await succeed(store, clock, token)
        clock.advance(OVERLAP - 10)
        late = await refresh(store, token, PHONE)
        assert (late.outcome, late.reason, late.retry_after_ms) == (Outcome.STALE, None, 10_000)
        assert late.event is not None
        assert (late.event.kind, late.event.caller) == (EventKind.STALE, PHONE)
        assert (await store.timeline(token.session_id))[-1].kind is EventKind.STALE
        assert (await refresh(store, successor)).outcome is Outcome.REISSUE

    async def test_a_replay_ends_the_session_in_the_same_commit_with_its_evidence(self, bench: Bench) -> None:
        """A dead token shown after the overlap ends the session, for guards too, and the trail says what proves it."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        successor = await succeed(store, clock, token)
        clock.advance(OVERLAP + 1)
        replay = await refresh(store, token, PHONE)
        assert (replay.outcome, replay.reason) == (Outcome.REPLAY, Reason.REPLAYED)
        another_worker = bench.open()
        found = await another_worker.find(token.session_id)
        assert found is not None
        assert (found.revoked_at_ms, found.revoked_reason) == (clock(), Reason.REPLAYED)
        assert (await another_worker.revocations_after(0)).session_ids == ((token.session_id, clock()),)
        event = (await another_worker.timeline(token.session_id))[-1]
        assert event == replace(replay.event, last_at_ms=clock()) if replay.event else False
        assert (event.kind, event.caller, event.reason) == (EventKind.REPLAY, PHONE, Reason.REPLAYED)
        assert event.detail == {
            "presented_generation": 0,
            "session_generation": 1,
            "presented_age_ms": (RIPE + OVERLAP + 1) * 1000,
            "since_succession_ms": (OVERLAP + 1) * 1000,
            "owner_address": LAPTOP.address,
            "owner_device": LAPTOP.device,
        }
        assert (await refresh(store, successor)).reason is Reason.REPLAYED

    async def test_a_session_that_was_revoked_stays_so_whatever_is_presented(self, bench: Bench) -> None:
        """Revoked is final: no token of the session, not even one that would heal it, brings it back."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        successor = await succeed(store, clock, token)
        await store.end(token.session_id, Reason.SIGNED_OUT, LAPTOP)
        before = await bench.read_rows([token.session_id])
        ahead = replace(successor, generation=9, tag=b"9" * TAG_BYTES, parent=b"8" * TAG_BYTES)
        for presented in (token, successor, ahead, replace(ahead, issued_at_ms=clock())):
            result = await refresh(store, presented)
            assert (result.outcome, result.reason) == (Outcome.GONE, Reason.SIGNED_OUT)
        assert await bench.read_rows([token.session_id]) == before
        assert len((await store.revocations_after(0)).session_ids) == 1

    async def test_a_token_of_no_session_is_refused_and_leaves_no_row(self, bench: Bench) -> None:
        """A genuine token of a session that the store does not have is over for a reason unknown, and makes no row."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        rows = await bench.count_rows()
        result = await refresh(store, replace(token, session_id=b"\0" * 16))
        assert (result.outcome, result.reason, result.event) == (Outcome.GONE, Reason.UNKNOWN, None)
        assert await bench.count_rows() == rows

    async def test_another_clients_token_tells_nothing_and_ends_nothing(self, bench: Bench) -> None:
        """A client that presents a token of another client learns nothing, and cannot end its session by it."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        successor = await succeed(store, clock, token)
        clock.advance(OVERLAP + 1)
        rows, before = await bench.count_rows(), await bench.read_rows([token.session_id])
        for presented in (token, successor, child(successor, await refresh(store, successor))):
            before = await bench.read_rows([token.session_id])
            result = await refresh(store, presented, client_id="other")
            assert (result.outcome, result.reason) == (Outcome.GONE, Reason.UNKNOWN)
            assert (result.user_id, result.event) == ("", None)
            assert await store.judge(RotationRequest(presented, LAPTOP, "other")) is Outcome.GONE
        assert await bench.read_rows([token.session_id]) == before
        assert await bench.count_rows() == rows
        assert (await refresh(store, successor, client_id="web")).outcome is Outcome.REISSUE

    async def test_judging_a_token_foretells_its_refresh_and_has_no_effect(self, bench: Bench) -> None:
        """Introspection may ask about any token, even a replayed one, without refreshing or ending anything."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        successor = await succeed(store, clock, token)
        clock.advance(OVERLAP + 1)
        rows, before = await bench.count_rows(), await bench.read_rows([token.session_id])
        assert await store.judge(RotationRequest(token, PHONE)) is Outcome.REPLAY
        assert await store.judge(RotationRequest(successor, PHONE)) is Outcome.REISSUE
        assert await store.judge(RotationRequest(replace(token, session_id=b"\1" * 16), PHONE)) is Outcome.GONE
        assert (await bench.read_rows([token.session_id]), await bench.count_rows()) == (before, rows)

    async def test_many_tokens_in_one_commit_are_answered_in_their_order(self, bench: Bench) -> None:
        """Refreshes that share a commit do not touch each other: each gets its own answer, in the order of asking."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        tokens = [await sign_in(store, clock, user, client_id=f"client-{number}") for number in range(60)]
        replayed = {number: tokens[number] for number in range(0, 60, 3)}
        for token in replayed.values():
            await succeed(store, clock, token)
            clock.advance(OVERLAP + 1)
        unknown = {number: replace(tokens[number], session_id=bytes([number]) * 16) for number in range(1, 60, 3)}
        asked = [unknown.get(number, token) for number, token in enumerate(tokens)]
        results = await store.rotate([RotationRequest(token, LAPTOP) for token in asked])
        for number, result in enumerate(results):
            expected = (Outcome.REPLAY, Outcome.GONE, Outcome.REISSUE)[number % 3]
            assert result.outcome is expected
            assert result.client_id == ("" if expected is Outcome.GONE else f"client-{number}")

    async def test_lost_commits_are_healed_and_noted(self, bench: Bench) -> None:
        """After a failover that lost two successions the token ahead is believed, and the trail says so."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        backup = await bench.read_rows([token.session_id])
        newest = await succeed(store, clock, await succeed(store, clock, token))
        await bench.put_rows(backup)
        clock.advance(RIPE)
        healed = await refresh(store, newest)
        assert (healed.outcome, healed.healed) == (Outcome.ADVANCE, True)
        assert healed.event is not None
        assert healed.event.kind is EventKind.HEAL
        assert (await store.timeline(token.session_id))[-1].kind is EventKind.HEAL
        assert (await bench.read_rows([token.session_id]))[token.session_id].current == newest.tag

    async def test_a_thousand_rotations_of_one_session_leave_no_more_behind_than_one(self, bench: Bench) -> None:
        """A session that is refreshed for years is one row: no token of it is kept, nothing grows."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        rows = await bench.count_rows()
        for _ in range(500):
            token = await succeed(store, clock, token)
        found = await store.find(token.session_id)
        assert found is not None
        assert (found.rotations, len(found.recent_rotations_ms)) == (1_000, 20)
        assert found.recent_rotations_ms == tuple(sorted(found.recent_rotations_ms, reverse=True))
        assert await bench.count_rows() == rows

    async def test_a_client_in_a_loop_cannot_fill_the_trail(self, bench: Bench) -> None:
        """Beyond a hundred lines a session's late and early tokens are counted on the newest line of their kind."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        successor = await succeed(store, clock, token)
        early = child(successor, await refresh(store, successor))
        rows = await bench.count_rows()
        for _ in range(150):
            for presented in (token, early):
                await refresh(store, presented)
            clock.advance(0.1)
        lines = await store.timeline(token.session_id)
        for kind in (EventKind.STALE, EventKind.EARLY):
            assert sum(line.count for line in lines if line.kind is kind) == 150
        assert max(line.last_at_ms or 0 for line in lines) == clock() - 100
        assert await bench.count_rows() - rows <= 110

    async def test_a_device_with_odd_characters_does_not_spoil_the_commit_of_others(self, bench: Bench) -> None:
        """Whatever the edge lets through of a User-Agent is kept as it is, next to everybody else's refresh."""
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        tokens: list[RefreshToken] = [await sign_in(store, clock, user) for _ in range(3)]
        odd = replace(PHONE, device="\u202e 📱 '; DROP TABLE sessions; -- %s \\ {} \ufffd"[:200])
        results = await store.rotate([RotationRequest(token, odd) for token in tokens])
        assert [result.outcome for result in results] == [Outcome.REISSUE] * 3
        found = await store.find(tokens[0].session_id)
        assert found is not None
        assert found.refreshed_from == odd
