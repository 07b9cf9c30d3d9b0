"""What `evertoken store check` finds out. It reads, and changes nothing."""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from evertoken.assembly import open_secrets, secret_file
from evertoken.clock import Clock
from evertoken.edge.settings import Settings, milliseconds
from evertoken.errors import ConfigurationError
from evertoken.sessions.model import session_id_text
from evertoken.store_address import is_redis, is_server, shown
from evertoken.stores.copying.opening import open_place
from evertoken.stores.copying.place import CopyRefused, Place, Trait
from evertoken.stores.copying.rows import SessionRow
from evertoken.tokens.server_secrets import SecretRing

CLOCKS_DIFFER_SECONDS: Final = 30
"""From here on a difference is worth a warning: guards check access tokens by their own machine's clock."""

_ROWS_AT_ONCE: Final = 1_000
_SLACK_MS: Final = 60_000
_NAMED: Final = 3


@dataclass(slots=True)
class _Seen:
    """What a walk over all sessions has found."""

    now_ms: int
    live: int = 0
    ended: int = 0
    expired: int = 0
    secrets: Counter[bytes] = field(default_factory=Counter)
    without_user: Counter[str] = field(default_factory=Counter)
    beyond: Counter[str] = field(default_factory=Counter)


async def findings(
    settings: Settings, *, quick: bool, clock: Clock, tell: Callable[[int, int], None]
) -> AsyncIterator[Trait]:
    """
    Each as soon as it is known.

    Args:
        quick: Leave out what reads everything.
        tell: Told how many sessions were looked at, and of how many.
    """
    users_location = settings.users_store if is_redis(settings.store) else settings.store
    async with contextlib.AsyncExitStack() as stack:
        place = await _opened(stack, settings, settings.store)
        yield Trait("store", f"{shown(settings.store)} can be reached")
        before_ms = clock()
        there_ms = await place.now_ms()
        yield _clocks(there_ms - (before_ms + clock()) // 2, settings.store)
        version = await place.version()
        if version.found != version.newest:
            yield _wrong_version(version.found, version.newest)
            return
        yield Trait("version", f"{version.found}, the newest")
        for trait in await place.traits(deep=not quick):
            yield trait
        users: Place | None = None
        if not settings.user_directory:
            users = place if users_location == settings.store else await _opened(stack, settings, users_location)
        yield await _counts(place, users)
        secrets = _ring(settings)
        async for trait in _keys(place, secrets):
            yield trait
        yield await _feed(place, there_ms)
        if not quick:
            seen = await _walk(place, users, settings, there_ms, tell)
            for trait in _sessions(seen, secrets):
                yield trait


async def _opened(stack: contextlib.AsyncExitStack, settings: Settings, location: str) -> Place:
    place = await open_place(location, table_prefix=settings.table_prefix, writes=False)
    stack.push_async_callback(place.close)
    return place


def _clocks(difference_ms: int, location: str) -> Trait:
    if not is_server(location):
        return Trait("clocks", "the store goes by this machine's clock")
    seconds = difference_ms / 1000
    told = f"the store's clock is {abs(seconds):.1f} s {'ahead of' if seconds > 0 else 'behind'} this machine's"
    if abs(seconds) <= CLOCKS_DIFFER_SECONDS:
        return Trait("clocks", told)
    return Trait("clocks", told, "set both by NTP: guards check access tokens by their own machine's clock")


def _wrong_version(found: str | None, newest: str) -> Trait:
    if found is None:
        return Trait("version", "holds nothing of evertoken", "correct the address or table_prefix", is_fault=True)
    return Trait(
        "version", f"is {found}, this evertoken's is {newest}", "evertoken store migrate; or upgrade", is_fault=True
    )


async def _counts(place: Place, users: Place | None) -> Trait:
    counts = dict(await place.counts())
    counts.pop("users", None)
    if users is not None:
        counts = {"users": (await users.counts())["users"], **counts}
    return Trait("counts", ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.items()))


def _ring(settings: Settings) -> SecretRing | None:
    return open_secrets(settings) if settings.secret or secret_file(settings).exists() else None


async def _keys(place: Place, secrets: SecretRing | None) -> AsyncIterator[Trait]:
    stored = await place.read_keys()
    if secrets is None:
        yield Trait("keys", f"{len(stored)} signing keys", "set EVERTOKEN_SECRET to see whether they open")
        return
    sealed = 0
    for key in stored:
        try:
            secrets.unwrap(key.private_wrapped, context=key.kid.encode())
        except ConfigurationError as error:
            yield Trait("keys", f"{key.kid} does not open", str(error), is_fault=True)
            sealed += 1
    if not sealed:
        yield Trait("keys", f"{len(stored)} signing keys open with our secrets")


async def _feed(place: Place, now_ms: int) -> Trait:
    after = rows = 0
    while page := await place.read_revocations(after, _ROWS_AT_ONCE):
        after, rows = page[-1].seq, rows + len(page)
    highest = await place.highest_revocation()
    if highest < after:
        mend = "the next end would get a number that guards have passed; end a session, or copy the store anew"
        return Trait("feed", f"its counter stands at {highest}, below its newest entry {after}", mend, is_fault=True)
    if highest > (now_ms + 3_600_000) * 1000:
        return Trait("feed", "its numbers are ahead of the store's clock", "see whether the clock was set back")
    return Trait("feed", f"{rows} revocations, their numbers rise")


async def _walk(
    place: Place, users: Place | None, settings: Settings, now_ms: int, tell: Callable[[int, int], None]
) -> _Seen:
    seen = _Seen(now_ms)
    total, looked_at = (await place.counts())["sessions"], 0
    cursor: str | None = ""
    while cursor is not None:
        part = await place.read_sessions(cursor, _ROWS_AT_ONCE, since_ms=None, events=False)
        cursor = part.cursor
        live = [row for row in part.sessions if _is_live(row, seen)]
        if users is not None:
            owners = sorted({row.user_id for row in live})
            there = await users.users_there(owners)
            _note(seen.without_user, (row for row in live if row.user_id not in there))
        _note(seen.beyond, (row for row in live if _is_beyond(row, settings, now_ms)))
        seen.secrets.update(row.secret_id for row in live)
        looked_at += part.seen
        tell(looked_at, max(total, looked_at))
    return seen


def _is_live(row: SessionRow, seen: _Seen) -> bool:
    if row.revoked_at_ms is not None:
        seen.ended += 1
    elif row.over_at_ms() <= seen.now_ms:
        seen.expired += 1
    else:
        seen.live += 1
        return True
    return False


def _is_beyond(row: SessionRow, settings: Settings, now_ms: int) -> bool:
    """Whether it lives longer than the settings let a session of its age live."""
    if row.idle_expires_at_ms > now_ms + milliseconds(settings.idle_lifetime) + _SLACK_MS:
        return True
    if settings.max_age is None:
        return False
    return row.over_at_ms() > row.created_at_ms + milliseconds(settings.max_age) + _SLACK_MS


def _note(found: Counter[str], rows: Iterable[SessionRow]) -> None:
    """Count them, and keep the ids of the first."""
    for row in rows:
        found[""] += 1
        if len(found) <= _NAMED:
            found[session_id_text(row.id)] += 1


def _named(found: Counter[str]) -> str:
    names = [name for name in found if name]
    return ", ".join(names) + (", ..." if found[""] > len(names) else "")


def _sessions(seen: _Seen, secrets: SecretRing | None) -> Iterable[Trait]:
    yield Trait("sessions", f"{seen.live} live, {seen.ended} ended, {seen.expired} expired")
    if seen.without_user:
        mend = "nobody can refresh them; restore the users, or let them expire"
        count = seen.without_user[""]
        yield Trait("sessions", f"{count} live ones have no user: {_named(seen.without_user)}", mend, is_fault=True)
    if seen.beyond:
        mend = "a lifetime was made shorter, or a clock was wrong; end them: evertoken sessions revoke ID"
        told = f"{seen.beyond['']} live longer than idle_lifetime or max_age allow: {_named(seen.beyond)}"
        yield Trait("sessions", told, mend, is_fault=True)
    if secrets is None:
        return
    known = {secret.key_id for secret in secrets}
    lost = sum(count for key_id, count in seen.secrets.items() if key_id not in known)
    if lost:
        mend = "add it to EVERTOKEN_SECRET again, last, or they must sign in anew"
        yield Trait("secrets", f"{lost} live sessions were made by a secret that is not known", mend, is_fault=True)
    elif seen.live:
        yield Trait("secrets", "every live session was made by one of ours")


__all__ = ["CopyRefused", "findings"]
