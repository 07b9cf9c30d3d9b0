"""A store with some of everything in it, and a view of a whole store that does not depend on its engine."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evertoken.accounts.clients import Client
from evertoken.accounts.throttle import Kind, Limits
from evertoken.sessions.keys import StoredKey
from evertoken.sessions.model import AccountChange, Adoption, Event, EventKind
from evertoken.sessions.rotation import Reason
from evertoken.stores.copying.copier import Copier, Ends, State, identity_of
from evertoken.stores.copying.opening import open_current
from evertoken.stores.copying.place import Place
from evertoken.stores.copying.rows import AdoptionRow, LinePlace
from evertoken.stores.store import Store
from evertoken.tokens.refresh_token import RefreshToken
from tests.stores.compliance.bench import (
    LAPTOP,
    PHONE,
    RIPE,
    add_user,
    child,
    new_session,
    refresh,
    sign_in,
    succeed,
)
from tests.support.clock import MovingClock


@dataclass(frozen=True, slots=True)
class Site:
    """
    A store as `evertoken store copy` names it.

    Args:
        users: Where its users are, where not in itself.
        prefix: Its table_prefix.
    """

    location: str
    users: str = ""
    prefix: str = ""


class Silent:
    """Shows no progress."""

    def begin(self, stage: str, total: int | None) -> None: ...

    def advance(self, rows: int) -> None: ...


class Places:
    """Both ends of a copy, opened; a context manager."""

    def __init__(self, source: Site, target: Site, clock: MovingClock) -> None:
        self._sites = source, target
        self._clock = clock
        self._opened: list[Place] = []

    async def __aenter__(self) -> Ends:
        source, target = self._sites
        from_place = await self._open(source.location, source.prefix, writes=False)
        to_place = await self._open(target.location, target.prefix, writes=True)
        from_users = await self._open(source.users, source.prefix, writes=False) if source.users else from_place
        to_users = await self._open(target.users, target.prefix, writes=True) if target.users else to_place
        return Ends(from_place, to_place, from_users, to_users, source.location)

    async def __aexit__(self, *_: object) -> None:
        for place in self._opened:
            await place.close()

    async def _open(self, location: str, prefix: str, *, writes: bool) -> Place:
        place = await open_current(location, table_prefix=prefix, clock=self._clock, writes=writes)
        self._opened.append(place)
        return place


async def copied(source: Site, target: Site, clock: MovingClock, *, finish: bool = False) -> State:
    """One run of the copy."""
    async with Places(source, target, clock) as ends:
        return await Copier(ends, identity=identity_of(source.location), progress=Silent()).run(finish=finish)


@dataclass(slots=True)
class Filled:
    """What tests ask of a store that was filled: tokens as their holders have them, by story."""

    rotated: RefreshToken
    healed: RefreshToken
    ended: RefreshToken
    replayed: RefreshToken
    kept: RefreshToken
    signed_out: RefreshToken
    cookie: RefreshToken
    more: list[RefreshToken]


async def fill(store: Store, clock: MovingClock, *, more: int = 12) -> Filled:
    """Some of everything: users, clients, keys, sessions with every kind of story, lines, counters, adopted tokens."""
    ada = await add_user(store, roles=("admin", "staff"))
    bob = await add_user(store, "bob")
    await add_user(store, "Über\u200dcarla")
    await store.add_client(Client("api", b"d" * 32, 5))
    await store.add_client(Client("web", b"e" * 32, 6))
    await store.save_keys([StoredKey("k1", "ES256", b"wrapped", 0, clock()), StoredKey("k2", "EdDSA", b"w2", 7, None)])
    rotated = await sign_in(store, clock, ada, caller=PHONE, max_age_ms=90 * 24 * 3_600_000)
    for _ in range(3):
        rotated = await succeed(store, clock, rotated)
    healed = await sign_in(store, clock, ada)
    ahead = healed
    for _ in range(3):
        ahead = child_of(ahead, clock)
    clock.advance(RIPE)
    healed_result = await refresh(store, ahead, PHONE)
    assert healed_result.healed
    ended = await sign_in(store, clock, ada)
    await store.end(ended.session_id, Reason.SIGNED_OUT, PHONE)
    replayed = await sign_in(store, clock, bob)
    newest = await succeed(store, clock, await succeed(store, clock, replayed))
    clock.advance(RIPE)
    assert (await refresh(store, replayed, PHONE)).reason is Reason.REPLAYED
    kept, signed_out = await sign_in(store, clock, bob), await sign_in(store, clock, bob)
    change = AccountChange(
        bob.id, Reason.PASSWORD_CHANGED, EventKind.PASSWORD_CHANGED, LAPTOP, kept.session_id, password_hash="another"
    )
    assert await store.change_account(change) is not None
    del newest
    cookie = await _adopted(store, clock, ada)
    for _ in range(2):
        stale = child(cookie, await refresh(store, cookie))
        clock.advance(RIPE)
        await refresh(store, stale)
        await refresh(store, cookie)  # a late duplicate
        cookie = stale
    for number in range(6):
        await store.record(Event(EventKind.SIGN_IN_FAILED, clock(), username=f"eve {number}", caller=PHONE))
    clock.advance(1)
    await store.record(Event(EventKind.KEY_ROTATED, clock(), caller=LAPTOP, detail={"kid": "k2"}))
    keys = {kind: f"{kind} of eve".encode() for kind in Kind}
    for _ in range(7):
        await store.reserve_attempt(keys, Limits())
    await store.attempt_succeeded({kind: f"{kind} of ada".encode() for kind in Kind}, Limits())
    others = [await sign_in(store, clock, ada, client_id=f"c{number}") for number in range(more)]
    clock.advance(600)
    return Filled(rotated, ahead, ended, replayed, kept, signed_out, cookie, others)


def child_of(token: RefreshToken, clock: MovingClock) -> RefreshToken:
    """A successor that the store does not know of."""
    from evertoken.tokens import refresh_token

    return refresh_token.child_of(token, now_ms=clock())


async def _adopted(store: Store, clock: MovingClock, user: Any) -> RefreshToken:
    new = new_session(clock, user, adopted_from="simplejwt")
    adopted = await store.adopt(Adoption(b"f" * 32, clock() + 10**9, new))
    assert adopted is not None
    return new.token


async def whole(site: Site, clock: MovingClock) -> dict[str, Any]:
    """
    All that a store holds, in a form that is the same for each engine.

    Redis keeps no outcome of the last refresh, and at most 20 times of refreshes.
    """
    async with Places(site, site, clock) as ends:
        place, users = ends.source, ends.source_users
        assert users is not None
        found: dict[str, Any] = {
            "users": [row._replace(roles=json.loads(row.roles)) for row in await users.read_users("", 1000)],
            "clients": await place.read_clients(),
            "keys": await place.read_keys(),
            "revocations": await place.read_revocations(0, 1000),
            "highest": await place.highest_revocation(),
            "lines": [line for _, line in await place.read_lines(LinePlace(0, 0), 2**62, 1000)],
            "attempts": sorted([row async for rows in place.read_attempts() for row in rows]),
            "adoptions": sorted([_rounded(row) async for rows in place.read_adoptions() for row in rows]),
        }
        sessions, events = [], []
        cursor: str | None = ""
        while cursor is not None:
            part = await place.read_sessions(cursor, 7, since_ms=None)
            sessions += part.sessions
            events += part.events
            cursor = part.cursor
        found["sessions"] = sorted(
            row._replace(outcome=0, recent_rotations=row.recent_rotations[:20]) for row in sessions
        )
        found["events"] = sorted(
            (row._replace(detail="")._asdict() | {"detail": json.loads(row.detail)} for row in events),
            key=lambda row: (row["session_id"], row["at_ms"], row["kind"]),
        )
        return found


def _rounded(row: AdoptionRow) -> AdoptionRow:
    """Redis counts how long it keeps one down, by a clock that tests do not move."""
    return row._replace(forget_at_ms=round(row.forget_at_ms / 60_000))


def sqlite_site(folder: Path, name: str = "store", *, prefix: str = "") -> Site:
    """A file of its own."""
    return Site(str(folder / f"{name}.db"), prefix=prefix)
