"""
Ending sessions in Redis, and telling the guards.

The session is in one slot of a Cluster, the log that guards follow in another, and no script may write both. So it is
written down first that something is about to be announced (a mark in `due`); the script that ends a session puts it
into its bucket's outbox as well; then the outbox is announced and emptied, and the mark removed. If we die in between,
whoever follows the log finds the mark a second later and announces what lies in the outbox. Announcing twice is one
announcement.

A session that looks expired is ended too: after a rollback of the store its token may have a later date than its row.
"""

import secrets
import struct
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from evertoken.sessions.model import Caller, Event, EventKind, Revocations
from evertoken.sessions.rotation import Reason
from evertoken.stores.redis import trail
from evertoken.stores.redis.calling import Calls
from evertoken.stores.redis.keys import REASONS, Keys, encoded
from evertoken.stores.redis.record import instant, packed_instant, parse, read_instant
from evertoken.stores.redis.scripts import ANNOUNCE, DUE, FOLLOW, REVOKE, Command
from evertoken.tokens.refresh_token import SESSION_ID_BYTES

_WHICH: Final = struct.Struct(">16sBBhIB")
_MARK_BYTES: Final = 8

Send = Callable[[Sequence[Command]], Awaitable[list[Any]]]


@dataclass(frozen=True, slots=True)
class Ending:
    """
    A session to end.

    Args:
        event: The line of it; where its time is 0, the store's clock says when.
        as_read: The part of the record that must still be as it was read; empty for any.
        user_id: Whose it must be; None for anybody's.
    """

    event: Event
    reason: Reason
    as_read: bytes = b""
    user_id: str | None = None

    @property
    def session_id(self) -> bytes:
        """Which."""
        assert self.event.session_id is not None
        return self.event.session_id


def ending(session_id: bytes, reason: Reason, caller: Caller, *, user_id: str | None = None) -> Ending:
    """The usual one."""
    event = Event(EventKind.SESSION_ENDED, 0, session_id=session_id, caller=caller, reason=reason)
    return Ending(event, reason, user_id=user_id)


async def end_all(calls: Calls, keys: Keys, endings: Sequence[Ending], send: Send) -> list[Event | None]:
    """End these sessions and tell the guards; the event of each that was not over, and is as it must be."""
    if not endings:
        return []
    marks = _marks({one.session_id[0] for one in endings})
    await send([DUE.on([keys.feed_due], calls.told(), *marks)])
    answers = await send([_command(calls, keys, one) for one in endings])
    events: list[Event | None] = []
    told: set[bytes] = set()
    for one, (is_ended, now, raw, outbox) in zip(endings, answers, strict=True):
        told.update(outbox)
        if not is_ended:
            events.append(None)
            continue
        stored = parse(raw)
        username = one.event.username or stored.username
        events.append(replace(one.event, at_ms=read_instant(now, 0), user_id=stored.user_id, username=username))
    await _announce(calls, keys, marks, told, send)
    return events


async def announce(calls: Calls, keys: Keys, session_id: bytes, now_ms: int) -> None:
    """Tell the guards of a session that is not there. It has no outbox: where this fails, the caller hears of it."""
    member = session_id + packed_instant(now_ms)
    await calls.one(ANNOUNCE.on([keys.feed_log, keys.feed_last, keys.feed_due], calls.told(), 0, member))


async def revocations_after(calls: Calls, keys: Keys, cursor: int) -> Revocations:
    """A page of what was revoked after a cursor; finishes what others have left half done."""
    found, left = await calls.one(FOLLOW.on([keys.feed_log, keys.feed_due], calls.told(), cursor))
    if left:
        await _finish(calls, keys, left)
    page = tuple((member[:SESSION_ID_BYTES], read_instant(member, SESSION_ID_BYTES)) for member in found[::2])
    return Revocations(page, int(float(found[-1])) if found else cursor)


async def newest_revocation(calls: Calls, keys: Keys) -> int:
    """The highest number that was given."""
    return int(await calls.one(("GET", keys.feed_last)) or 0)


async def _finish(calls: Calls, keys: Keys, marks: Sequence[bytes]) -> None:
    buckets = sorted({mark[0] for mark in marks})
    outboxes = await calls.run([("SMEMBERS", keys.outbox(bucket)) for bucket in buckets])
    await _announce(calls, keys, marks, {member for outbox in outboxes for member in outbox}, calls.run)


async def _announce(calls: Calls, keys: Keys, marks: Sequence[bytes], told: Iterable[bytes], send: Send) -> None:
    members = sorted(told, key=lambda member: member[SESSION_ID_BYTES:])
    where = [keys.feed_log, keys.feed_last, keys.feed_due]
    await send([ANNOUNCE.on(where, calls.told(), len(marks), *marks, *members)])
    buckets: dict[int, list[bytes]] = {}
    for member in members:
        buckets.setdefault(member[0], []).append(member)
    await send([("SREM", keys.outbox(bucket), *those) for bucket, those in buckets.items()])


def _marks(buckets: Iterable[int]) -> list[bytes]:
    return [bytes([bucket]) + secrets.token_bytes(_MARK_BYTES) for bucket in sorted(buckets)]


def _command(calls: Calls, keys: Keys, one: Ending) -> Command:
    session_id, bucket = one.session_id, one.session_id[0]
    which = _WHICH.pack(
        session_id,
        REASONS.index(one.reason) + 1,
        trail.kind_number(one.event.kind),
        *instant(one.event.at_ms or calls.told_ms()),
        one.user_id is not None,
    )
    where = [
        keys.session(session_id),
        keys.trail(session_id),
        keys.when(bucket),
        keys.ended(bucket, one.reason),
        keys.outbox(bucket),
    ]
    return REVOKE.on(where, which, trail.rest_of(one.event), one.as_read, encoded(one.user_id or ""))
