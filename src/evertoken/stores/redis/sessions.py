"""Sessions in Redis: sign-ins, endings, adoptions; rotation has a file of its own."""

import struct
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Final

from evertoken.sessions.model import (
    AccountChange,
    Adopted,
    Adoption,
    Caller,
    Ended,
    Event,
    NewSession,
    SessionRecord,
)
from evertoken.sessions.rotation import Reason, RotationPolicy
from evertoken.sessions.store import KEPT_AFTER_END_MS
from evertoken.stores.lines import account_line, lost_session_ended
from evertoken.stores.redis import trail
from evertoken.stores.redis.calling import Calls
from evertoken.stores.redis.ending import Ending, announce, end_all, ending
from evertoken.stores.redis.keys import Keys, encoded, user_bucket
from evertoken.stores.redis.listing import of_users, unlisted
from evertoken.stores.redis.record import Stored, begin, over_at_ms, parse, read_instant
from evertoken.stores.redis.scripts import KEEP, LIST, PUT, REMOVE
from evertoken.tokens.refresh_token import SESSION_ID_BYTES, TAG_BYTES

_EPOCH: Final = struct.Struct(">q")
_SWAPPED: Final = struct.Struct(f">{SESSION_ID_BYTES}s{TAG_BYTES}sq")

Stands = Callable[[], Awaitable[bool]]
"""Whether the user may still begin this session; asked once it is stored."""


async def create(
    calls: Calls, keys: Keys, new: NewSession, policy: RotationPolicy, *, cap: int, stands: Stands
) -> Ended | None:
    """
    Store a sign-in, then end what it replaces and what is above the cap.

    The user's state is asked after the session is there: whoever raises the epoch ends the sessions that are there
    after it. So one of the two sees the other.
    """
    stored = await _store(calls, keys, new, policy)
    if not await stands():
        await _undo(calls, keys, new)
        return None
    return await _make_room(calls, keys, new, stored, cap=cap)


async def adopt(
    calls: Calls, keys: Keys, adoption: Adoption, policy: RotationPolicy, *, cap: int, stands: Stands
) -> Adopted | None:
    """
    The session that this token was swapped for, or a new one.

    The session is stored before the token is said to stand for it, and taken back where another was quicker: no token
    is ever swapped for nothing.
    """
    key = keys.adoption(adoption.fingerprint)
    found = await calls.one(("GET", key))
    if found is not None:
        return _adopted(found, Ended((), await calls.now_ms()))
    new = adoption.session
    stored = await _store(calls, keys, new, policy)
    if not await stands():
        await _undo(calls, keys, new)
        return None
    swapped = _SWAPPED.pack(new.token.session_id, new.token.tag, new.token.issued_at_ms)
    left_ms = max(adoption.forget_at_ms - stored.created_at_ms, 1)
    if await calls.one(("SET", key, swapped, "NX", "PX", left_ms)) is None:
        await _undo(calls, keys, new)
        found = await calls.one(("GET", key))
        return _adopted(found or swapped, Ended((), stored.created_at_ms))
    return _adopted(swapped, await _make_room(calls, keys, new, stored, cap=cap))


def _adopted(swapped: bytes, ended: Ended) -> Adopted:
    session_id, tag, issued_at_ms = _SWAPPED.unpack(swapped)
    return Adopted(session_id, tag, issued_at_ms, ended)


async def _store(calls: Calls, keys: Keys, new: NewSession, policy: RotationPolicy) -> Stored:
    session_id = new.token.session_id
    where = [keys.sessions_of(new.user_id), keys.users(user_bucket(new.user_id))]
    told, _ = await calls.one(LIST.on(where, calls.told(), session_id, encoded(new.user_id)))
    now_ms = read_instant(told, 0)
    raw = begin(new, now_ms, policy)
    stored = parse(raw)
    kept_ms = over_at_ms(stored) - now_ms + KEPT_AFTER_END_MS
    await calls.one(
        PUT.on([keys.session(session_id), keys.created(session_id[0])], session_id, raw, now_ms, max(kept_ms, 1))
    )
    return stored


async def _undo(calls: Calls, keys: Keys, new: NewSession) -> None:
    """Take a session back that nobody has heard of."""
    session_id = new.token.session_id
    raw = await calls.one(("GET", keys.session(session_id)))
    await calls.run(
        [remove(keys, session_id, raw or b""), unlisted(keys, new.user_id, [session_id])],
    )


def remove(keys: Keys, session_id: bytes, raw: bytes) -> tuple[bytes | str | int, ...]:
    """The command that removes a session, if its record is as it was read, and all that names it in its slot."""
    bucket = session_id[0]
    where = [
        keys.session(session_id),
        keys.created(bucket),
        keys.trail(session_id),
        keys.when(bucket),
        *keys.all_ended(bucket),
    ]
    return REMOVE.on(where, session_id, raw[:100])


async def _make_room(calls: Calls, keys: Keys, new: NewSession, begun: Stored, *, cap: int) -> Ended:
    """End the session that this sign-in replaces, then the least recently used ones above the cap."""
    told: list[Event] = []
    if new.replaces is not None:
        told += await _ended(calls, keys, [ending(new.replaces, Reason.SIGNED_OUT, new.caller)])
    if await calls.one(("ZCARD", keys.sessions_of(new.user_id))) > cap:
        of_user = (await of_users(calls, keys, [new.user_id]))[new.user_id]
        others = [
            (session_id, stored)
            for session_id, stored in of_user
            if stored.is_live(begun.created_at_ms) and session_id != new.token.session_id
        ]
        others.sort(key=lambda one: one[1].refreshed_at_ms, reverse=True)
        above = [ending(session_id, Reason.REVOKED, new.caller) for session_id, _ in others[max(cap - 1, 0) :]]
        told += await _ended(calls, keys, above)
    session_ids = tuple(event.session_id for event in told if event.session_id is not None)
    signed_in = replace(trail.signed_in(new.token.session_id, begun), last_at_ms=None)
    return Ended(session_ids, begun.created_at_ms, (*told, signed_in))


async def _ended(calls: Calls, keys: Keys, endings: list[Ending]) -> list[Event]:
    return [event for event in await end_all(calls, keys, endings, calls.run) if event is not None]


async def end(
    calls: Calls,
    keys: Keys,
    session_id: bytes,
    reason: Reason,
    caller: Caller,
    *,
    user_id: str | None,
    tokens_until_ms: int,
) -> Ended:
    """End one session and write its line; nothing happens to one that is over. Guards hear of a lost one, too."""
    told = await _ended(calls, keys, [ending(session_id, reason, caller, user_id=user_id)])
    if told:
        return Ended((session_id,), told[0].at_ms, tuple(told))
    now_ms = await calls.now_ms()
    if tokens_until_ms <= now_ms or await find(calls, keys, session_id) is not None:
        return Ended((), now_ms)
    await announce(calls, keys, session_id, now_ms)
    return Ended((session_id,), now_ms, (lost_session_ended(session_id, reason, caller, now_ms),))


async def change_account(
    calls: Calls, keys: Keys, change: AccountChange, *, epoch: int | None, username: str | None
) -> Ended:
    """
    End every session of a user but the kept one, which goes on at the new epoch.

    Args:
        epoch: The new one, where it is known; it stands where users live already.
        username: The user's name, where it is known.
    """
    if change.keep is not None and epoch is not None:
        await calls.one(KEEP.on([keys.session(change.keep)], _EPOCH.pack(epoch), encoded(change.user_id)))
    listed = await calls.one(("ZRANGE", keys.sessions_of(change.user_id), 0, -1))
    endings = [
        ending(session_id, change.reason, change.caller, user_id=change.user_id)
        for session_id in sorted(listed)
        if session_id != change.keep
    ]
    now_ms = await calls.now_ms()  # before: what begins while these are ended is none of them
    told = await _ended(calls, keys, endings)
    changed = account_line(change, username, now_ms)
    await trail.record(calls, keys, changed)
    session_ids = tuple(event.session_id for event in told if event.session_id is not None)
    return Ended(session_ids, now_ms, (*told, changed))


async def find(calls: Calls, keys: Keys, session_id: bytes) -> SessionRecord | None:
    """One session, live or over."""
    raw = await calls.one(("GET", keys.session(session_id)))
    return None if raw is None else parse(raw).record(session_id)


async def owners(calls: Calls, keys: Keys, session_ids: list[bytes]) -> dict[bytes, str]:
    """Whose these sessions are; those that are not there are left out."""
    answers = await calls.refresh([("GET", keys.session(session_id)) for session_id in session_ids])
    return {
        session_id: parse(raw).user_id for session_id, raw in zip(session_ids, answers, strict=True) if raw is not None
    }
