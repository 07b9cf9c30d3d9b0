"""Moving a whole store to another engine."""

import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from evertoken.sessions.model import AccountChange, Event, EventKind
from evertoken.sessions.rotation import Outcome, Reason
from evertoken.stores.copying.copier import Copier, State, identity_of
from evertoken.stores.copying.place import AnotherCopies, CopyRefused, Place
from evertoken.stores.copying.rows import Batch, SessionRow
from evertoken.stores.store import Store
from evertoken.tokens.refresh_token import RefreshToken
from tests.stores.compliance.bench import LAPTOP, RIPE, add_user, child, refresh, sign_in, succeed
from tests.stores.copying.support import Places, Silent, Site, copied, fill, whole
from tests.support.clock import MovingClock

Made = Callable[[str], Awaitable[Site]]
Opened = Callable[[Site], Awaitable[Store]]

PAIRS = [
    ("sqlite", "postgresql"),
    ("postgresql", "redis"),
    ("redis", "sqlite"),
    ("sqlite", "mariadb"),
    ("postgresql", "sqlite shop_"),
    ("sqlite shop_", "redis shop_"),
    ("mariadb", "postgresql shop_"),
]


@pytest.mark.parametrize(("source", "target"), PAIRS)
async def test_a_finished_copy_holds_all_that_the_source_held(
    source: str, target: str, clock: MovingClock, site_of: Made, opened: Opened
) -> None:
    """Users, clients, keys, sessions, their trails, revocations with their numbers, counters: all is there, once."""
    old, new = await site_of(source), await site_of(target)
    await fill(await opened(old), clock)
    await opened(new)
    before = await whole(old, clock)
    state = await copied(old, new, clock, finish=True)
    after = await whole(new, clock)
    assert await whole(old, clock) == before
    assert len(before["sessions"]) == 19
    assert len(before["lines"]) == 8
    assert before["revocations"] and before["attempts"] and before["adoptions"]
    for part in before:
        assert after[part] == before[part], part
    assert state.finished_ms is not None
    again = await copied(old, new, clock, finish=True)
    assert again.finished_ms == state.finished_ms
    assert await whole(new, clock) == after


@pytest.mark.parametrize(("source", "target"), PAIRS[:4])
async def test_a_server_on_the_finished_copy_goes_on_as_if_nothing_had_happened(
    source: str, target: str, clock: MovingClock, site_of: Made, opened: Opened
) -> None:
    """Honest clients are refreshed, thieves are not, passwords changed stay changed, and guards keep their cursors."""
    old, new = await site_of(source), await site_of(target)
    first = await opened(old)
    tokens = await fill(first, clock)
    cursor = (await first.revocations_after(0)).cursor
    second = await opened(new)
    await copied(old, new, clock, finish=True)
    assert (await refresh(second, tokens.rotated)).outcome is Outcome.REISSUE
    assert (await refresh(second, tokens.healed)).outcome is Outcome.REISSUE
    assert (await refresh(second, tokens.cookie)).outcome is Outcome.REISSUE
    assert (await refresh(second, tokens.kept)).outcome is Outcome.REISSUE
    assert (await refresh(second, tokens.ended)).reason is Reason.SIGNED_OUT
    assert (await refresh(second, tokens.replayed)).reason is Reason.REPLAYED
    assert (await refresh(second, tokens.signed_out)).reason is Reason.PASSWORD_CHANGED
    assert (await second.revocations_after(cursor)).session_ids == ()
    await second.end(tokens.kept.session_id, Reason.SIGNED_OUT, LAPTOP)
    news = await second.revocations_after(cursor)
    assert [session_id for session_id, _ in news.session_ids] == [tokens.kept.session_id]
    ada = await second.find_by_key("ada")
    assert ada is not None and ada.roles == ("admin", "staff")
    assert len(await second.list_sessions(user_id="u_ada")) == 15
    assert len(await second.timeline(tokens.replayed.session_id)) == len(
        await first.timeline(tokens.replayed.session_id)
    )


@pytest.mark.parametrize(("source", "target"), PAIRS[:4])
async def test_a_session_that_went_on_after_its_row_was_copied_goes_on_at_the_copy(
    source: str, target: str, clock: MovingClock, site_of: Made, opened: Opened
) -> None:
    """Even without a last pass: the token that its honest client holds proves that the copy is behind, and heals it."""
    old, new = await site_of(source), await site_of(target)
    first = await opened(old)
    ada = await add_user(first)
    ahead = [await sign_in(first, clock, ada) for _ in range(5)]
    second = await opened(new)
    await copied(old, new, clock)
    for steps in range(5):
        for _ in range(steps):
            ahead[steps] = await succeed(first, clock, ahead[steps])
    for steps, token in enumerate(ahead):
        result = await refresh(second, token)
        assert result.outcome in (Outcome.REISSUE, Outcome.ADVANCE), steps
        assert result.healed is (steps >= 2)
        successor = child(token, result)
        clock.advance(RIPE)
        assert (await refresh(second, successor)).outcome is Outcome.ADVANCE


@pytest.mark.parametrize(("source", "target"), PAIRS[:4])
async def test_what_changed_while_it_was_copied_is_taken_by_the_last_pass(
    source: str, target: str, clock: MovingClock, site_of: Made, opened: Opened
) -> None:
    """Sign-ins, refreshes, ends and changes of accounts since the first pass are at the copy after the last."""
    old, new = await site_of(source), await site_of(target)
    first = await opened(old)
    tokens = await fill(first, clock)
    second = await opened(new)
    await copied(old, new, clock)
    ada = await first.find_by_id("u_ada")
    assert ada is not None
    rotated = await succeed(first, clock, tokens.rotated)
    began = await sign_in(first, clock, ada)
    await first.end(tokens.more[0].session_id, Reason.SIGNED_OUT, LAPTOP)
    kept = tokens.more[1]
    change = AccountChange(ada.id, Reason.REVOKED, EventKind.SIGNED_OUT_EVERYWHERE, LAPTOP, kept.session_id)
    assert await first.change_account(change) is not None
    await first.remove_client("api")
    bob = await first.find_by_id("u_bob")
    assert bob is not None
    later = await sign_in(first, clock, bob)
    clock.advance(10)
    await copied(old, new, clock, finish=True)
    before, after = await whole(old, clock), await whole(new, clock)
    for part in before:
        assert after[part] == before[part], part
    for token in (rotated, began, tokens.more[0], tokens.more[2]):
        assert (await refresh(second, token)).outcome is Outcome.GONE
    for token in (kept, later):
        assert (await refresh(second, token)).outcome is Outcome.REISSUE
    assert [one.id for one in await second.list_clients()] == ["web"]


@pytest.mark.parametrize("target", ["postgresql", "redis", "sqlite shop_"])
async def test_a_target_that_serves_already_keeps_what_is_newer_there(
    target: str, clock: MovingClock, site_of: Made, opened: Opened
) -> None:
    """A late last pass puts no session back, brings none to life, and its ends reach guards that are ahead by then."""
    old, new = await site_of("sqlite"), await site_of(target)
    first = await opened(old)
    ada = await add_user(first)
    moved, over, ended = [await sign_in(first, clock, ada) for _ in range(3)]
    second = await opened(new)
    await copied(old, new, clock)
    await first.end(ended.session_id, Reason.SIGNED_OUT, LAPTOP)
    clock.advance(5)
    moved = await succeed(second, clock, moved)
    await second.end(over.session_id, Reason.SIGNED_OUT, LAPTOP)
    cursor = (await second.revocations_after(0)).cursor
    await copied(old, new, clock, finish=True)
    assert (await refresh(second, moved)).outcome is Outcome.REISSUE
    assert (await refresh(second, over)).reason is Reason.SIGNED_OUT
    assert (await refresh(second, ended)).reason is Reason.SIGNED_OUT
    news = await second.revocations_after(cursor)
    assert [session_id for session_id, _ in news.session_ids] == [ended.session_id]


class Killed(BaseException):
    """Stands for a kill between two steps."""


@pytest.mark.parametrize(("source", "target"), PAIRS[:4])
async def test_a_copy_that_is_interrupted_goes_on_where_it_was(
    source: str, target: str, clock: MovingClock, site_of: Made, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whichever step was the last, the next run takes the rest, and nothing is there twice."""
    monkeypatch.setattr("evertoken.stores.copying.copier.ROWS_AT_ONCE", 3)
    old, new = await site_of(source), await site_of(target)
    first = await opened(old)
    tokens = await fill(first, clock)
    await opened(new)
    runs = 0
    finished = False
    while not finished:
        runs += 1
        steps = 0

        async def die_soon() -> None:
            nonlocal steps
            steps += 1
            if steps == 3:
                raise Killed

        async with Places(old, new, clock) as ends:
            copier = Copier(ends, identity=identity_of(old.location), progress=Silent(), after_write=die_soon)
            with contextlib.suppress(Killed):
                await copier.run(finish=False)
            stored = await ends.target.read_state()
        assert stored is not None
        finished = State.parse(stored).passes > 0
        assert runs < 40
    assert runs > 4
    await first.end(tokens.kept.session_id, Reason.SIGNED_OUT, LAPTOP)
    await copied(old, new, clock, finish=True)
    before, after = await whole(old, clock), await whole(new, clock)
    for part in before:
        assert after[part] == before[part], part


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(1, 8))])
@pytest.mark.parametrize(("source", "target"), PAIRS[:4])
async def test_whatever_happens_at_the_source_between_two_steps_is_at_the_target_in_the_end(
    source: str,
    target: str,
    seed: int,
    clock: MovingClock,
    site_of: Made,
    opened: Opened,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Refreshes, duplicates, sign-ins, ends and changed accounts at random while it is copied: none is lost."""
    monkeypatch.setattr("evertoken.stores.copying.copier.ROWS_AT_ONCE", 4)
    monkeypatch.setattr("evertoken.stores.copying.copier.LOOKED_AT_ONCE", 6)
    choose = random.Random(seed)
    old, new = await site_of(source), await site_of(target)
    first = await opened(old)
    life = Life(first, clock, choose, (await fill(first, clock)).more)
    await opened(new)
    for _ in range(2):
        async with Places(old, new, clock) as ends:
            copier = Copier(ends, identity=identity_of(old.location), progress=Silent(), after_write=life.goes_on)
            await copier.run(finish=False)
    assert life.steps > 20
    clock.advance(1)
    await copied(old, new, clock, finish=True)
    before, after = await whole(old, clock), await whole(new, clock)
    for part in before:
        assert after[part] == before[part], part


class Life:
    """What users do meanwhile."""

    def __init__(self, store: Store, clock: MovingClock, choose: random.Random, tokens: list[RefreshToken]) -> None:
        self._store = store
        self._clock = clock
        self._choose = choose
        self._tokens = tokens
        self.steps = 0

    async def goes_on(self) -> None:
        """One of them does something."""
        self.steps += 1
        store, clock, tokens = self._store, self._clock, self._tokens
        clock.advance(self._choose.choice((0, 0.5, 30, RIPE)))
        place = self._choose.randrange(len(tokens))
        token = tokens[place]
        ada = await store.find_by_id("u_ada")
        assert ada is not None
        match self._choose.choice(("refresh", "refresh", "again", "begin", "end", "change", "fail", "role")):
            case "refresh":
                result = await refresh(store, token)
                if result.outcome is Outcome.ADVANCE or result.outcome is Outcome.REISSUE:
                    tokens[place] = child(token, result)
            case "again":
                await refresh(store, token)
                await refresh(store, replace(token, tag=token.parent, generation=max(token.generation - 1, 0)))
            case "begin":
                tokens.append(await sign_in(store, clock, ada))
            case "end":
                await store.end(token.session_id, Reason.SIGNED_OUT, LAPTOP)
            case "change" if self._choose.random() < 0.2:
                kept = token.session_id
                change = AccountChange(ada.id, Reason.REVOKED, EventKind.SIGNED_OUT_EVERYWHERE, LAPTOP, kept)
                assert await store.change_account(change) is not None
                tokens.append(await sign_in(store, clock, replace(ada, epoch=ada.epoch + 1)))
            case "fail":
                await store.record(Event(EventKind.SIGN_IN_FAILED, clock(), username=f"eve {self.steps}"))
            case _:
                await store.set_roles("u_bob", (f"role {self.steps}",))


async def test_a_target_that_holds_something_else_is_refused(clock: MovingClock, site_of: Made, opened: Opened) -> None:
    """Two installations are never mixed; a copy in progress is gone on with from the same source only."""
    old, other, new = await site_of("sqlite"), await site_of("sqlite other_"), await site_of("postgresql")
    for site in (old, other):
        await add_user(await opened(site))
    second = await opened(new)
    eve = await add_user(second, "eve")
    await sign_in(second, clock, eve)
    with pytest.raises(CopyRefused, match="it holds 1 sessions, 1 users"):
        await copied(old, new, clock, finish=True)
    assert (await whole(new, clock))["users"][0].username == "eve"
    empty = await site_of("redis")
    await opened(empty)
    await copied(old, empty, clock)
    with pytest.raises(CopyRefused, match="is a copy of"):
        await copied(other, empty, clock, finish=True)
    assert (await copied(old, empty, clock, finish=True)).finished_ms is not None


@pytest.mark.parametrize("target", ["postgresql", "redis", "sqlite shop_"])
async def test_of_two_copies_into_one_target_one_stops(
    target: str, clock: MovingClock, site_of: Made, opened: Opened
) -> None:
    """Whoever comes second takes over what was begun, and the first one notices."""
    old, new = await site_of("sqlite"), await site_of(target)
    await fill(await opened(old), clock)
    await opened(new)
    async with Places(old, new, clock) as ends, Places(old, new, clock) as others:
        first, second = (Copier(each, identity=identity_of(old.location), progress=Silent()) for each in (ends, others))
        await first.run(finish=False)
        # As the second begins while the first stands between two of its steps.
        assert (await second.run(finish=True)).finished_ms is not None
        with pytest.raises(AnotherCopies):
            await first._write(Batch())


async def test_sessions_move_to_redis_while_their_users_stay_where_they_are(
    clock: MovingClock, site_of: Made, opened: Opened
) -> None:
    """From SQL to Redis with that same SQL store for the users, nothing of them is copied, nor in the way."""
    old, new = await site_of("sqlite"), await site_of("redis")
    new = Site(new.location, users=old.location)
    first = await opened(old)
    tokens = await fill(first, clock)
    second = await opened(new)
    async with Places(old, new, clock) as ends:
        moving = replace(ends, source_users=None, target_users=None)
        await Copier(moving, identity=identity_of(old.location), progress=Silent()).run(finish=True)
    assert (await refresh(second, tokens.rotated)).outcome is Outcome.REISSUE
    assert (await refresh(second, tokens.kept)).outcome is Outcome.REISSUE


async def test_a_walk_finds_each_session_once_however_many_began_at_once(
    clock: MovingClock, site_of: Made, opened: Opened
) -> None:
    """Redis lists sessions by their beginning: many of one millisecond are all found, and once."""
    site = await site_of("redis")
    store = await opened(site)
    await sign_in(store, clock, await add_user(store))
    async with Places(site, site, clock) as ends:
        (row,) = await _all(ends.source, 1_000)
        many = [row._replace(id=b"\xff" * 12 + number.to_bytes(4, "big")) for number in range(40)]
        many += [
            one._replace(id=b"\x00" + one.id[1:], created_at_ms=row.created_at_ms + n) for n, one in enumerate(many)
        ]
        await ends.target.write(Batch(sessions=many), state=None, state_before=None)
        for limit in (1, 7, 40, 1_000):
            found = [one.id for one in await _all(ends.source, limit)]
            assert sorted(found) == sorted([row.id, *(one.id for one in many)]), limit


async def _all(place: Place, limit: int) -> list[SessionRow]:
    rows: list[SessionRow] = []
    cursor: str | None = ""
    while cursor is not None:
        part = await place.read_sessions(cursor, limit, since_ms=None)
        rows, cursor = rows + part.sessions, part.cursor
    return rows
