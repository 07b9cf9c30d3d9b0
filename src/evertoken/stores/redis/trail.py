"""
The audit trail in Redis.

A sign-in needs no line: it stands in the session's record, and in the list of sessions by their beginning. Every other
line of a session is in a list of its own, and is found by its time through the bucket's `when`.
"""

import json
import struct
from typing import Any, Final

from evertoken.sessions.model import Caller, Event, EventKind
from evertoken.sessions.operating import Happened
from evertoken.sessions.rotation import Reason
from evertoken.stores.lines import sign_in_detail
from evertoken.stores.redis.calling import Calls, scored
from evertoken.stores.redis.keys import BUCKETS, REASONS, Keys
from evertoken.stores.redis.merging import NewestFirst, merged
from evertoken.stores.redis.record import Stored, instant, joined, parse
from evertoken.stores.redis.scripts import COUNT, LINE, NOTE, Command
from evertoken.tokens.refresh_token import SESSION_ID_BYTES, Delivery

_KINDS: Final = tuple(EventKind)
"""By number, counted from 1, as lines hold them: append to `EventKind`, never insert."""

_HEAD: Final = struct.Struct(">BIhIhI")
_PLACE: Final = struct.Struct(">HBI")
_COUNTED: Final = struct.Struct(">16sBhII")
_KIND_IN_A_PLACE = SESSION_ID_BYTES + 3
_NUMBER_BYTES = 6
_KIND_IN_A_LINE = _NUMBER_BYTES + 1


def kind_number(kind: EventKind) -> int:
    """As lines hold it."""
    return _KINDS.index(kind) + 1


def rest_of(event: Event) -> str:
    """What a line holds besides kind, count and times. A session's line need not say whose it is."""
    caller = event.caller
    parts: dict[str, Any] = {
        "u": event.user_id,
        "n": event.username,
        "a": caller.address,
        "d": caller.device,
        "o": caller.operator,
        "r": event.reason,
        "x": dict(event.detail),
    }
    return json.dumps({name: value for name, value in parts.items() if value}, separators=(",", ":"))


def note(keys: Keys, event: Event, *, already: int = 0, counting: bool = False) -> Command:
    """
    The command that adds a line to a session's trail, or counts it on another once there are `already` enough.

    Args:
        counting: Let the session count it.
    """
    session_id = event.session_id
    assert session_id is not None
    where = [keys.trail(session_id), keys.when(session_id[0]), *([keys.session(session_id)] if counting else [])]
    counted = _COUNTED.pack(session_id, kind_number(event.kind), *instant(event.at_ms), already)
    return NOTE.on(where, counted, rest_of(event))


async def record(calls: Calls, keys: Keys, event: Event) -> None:
    """Add a line."""
    if event.session_id is not None:
        await calls.one(note(keys, event))
        return
    last_at_ms = event.last_at_ms or event.at_ms
    head = _HEAD.pack(kind_number(event.kind), event.count, *instant(event.at_ms), *instant(last_at_ms))
    await calls.one(LINE.on([keys.lines, keys.lines_count], last_at_ms, head + rest_of(event).encode()))


async def timeline(calls: Calls, keys: Keys, session_id: bytes) -> list[Event]:
    """Every line of one session, oldest first."""
    raw, lines = await calls.run([("GET", keys.session(session_id)), ("LRANGE", keys.trail(session_id), 0, -1)])
    if raw is None:
        return []
    stored = parse(raw)
    return [signed_in(session_id, stored), *(event_of(line, session_id, stored) for line in lines)]


def signed_in(session_id: bytes, stored: Stored) -> Event:
    """The line of the sign-in."""
    return Event(
        EventKind.SIGN_IN,
        stored.created_at_ms,
        session_id=session_id,
        user_id=stored.user_id,
        username=stored.username,
        caller=stored.created_from,
        detail=sign_in_detail(stored.client_id, Delivery(stored.delivery), stored.adopted_from),
        last_at_ms=stored.created_at_ms,
    )


async def newest(calls: Calls, keys: Keys, limit: int) -> list[Event]:
    """The newest lines of the whole trail, newest first. Those of one millisecond stand in no particular order."""
    lines = await calls.one(("ZREVRANGE", keys.lines, 0, limit - 1, "WITHSCORES"))
    found = [(score, True, member) for member, score in scored(lines)]
    of_sessions = [name(bucket) for bucket in range(BUCKETS) for name in (keys.when, keys.created)]
    count = 0
    async for piece in merged(calls, [NewestFirst(key) for key in of_sessions], downwards=True):
        found += [(score, False, member) for score, member in piece]
        count += len(piece)
        if count >= limit:
            break
    found = sorted(found, reverse=True)[:limit]
    wanted: list[Command] = []
    for _, is_of_no_session, member in found:
        if not is_of_no_session:
            session_id = member[:SESSION_ID_BYTES]
            wanted.append(("GET", keys.session(session_id)))
            number = _PLACE.unpack_from(member, SESSION_ID_BYTES)[0] if len(member) > SESSION_ID_BYTES else 0
            wanted.append(("LINDEX", keys.trail(session_id), number))
    answers = iter(await calls.run(wanted))
    events: list[Event] = []
    for _, is_of_no_session, member in found:
        if is_of_no_session:
            events.append(event_of(member[_NUMBER_BYTES:], None, None))
            continue
        session_id = member[:SESSION_ID_BYTES]
        raw, line = next(answers), next(answers)
        if raw is not None and len(member) == SESSION_ID_BYTES:
            events.append(signed_in(session_id, parse(raw)))
        elif raw is not None and line is not None:
            events.append(event_of(line, session_id, parse(raw)))
    return events


async def happened(calls: Calls, keys: Keys, *, from_ms: int, until_ms: int) -> Happened:
    """Counted by Redis, bucket by bucket."""
    between = (from_ms, until_ms)
    commands = [COUNT.on([keys.lines], *between, _KIND_IN_A_LINE)]
    for bucket in range(BUCKETS):
        where = [keys.when(bucket), keys.created(bucket), *keys.all_ended(bucket)]
        commands.append(COUNT.on(where, *between, _KIND_IN_A_PLACE))
    events: dict[str, int] = {}
    ended: dict[Reason, int] = {}
    for kinds, counts in await calls.run(commands):
        for number, count in zip(kinds[::2], kinds[1::2], strict=True):
            kind = _KINDS[number - 1].value
            events[kind] = events.get(kind, 0) + count
        for what, count in zip((EventKind.SIGN_IN.value, *REASONS), counts, strict=False):
            if count and isinstance(what, Reason):
                ended[what] = ended.get(what, 0) + count
            elif count:
                events[what] = events.get(what, 0) + count
    return Happened(events, ended)


async def ended_sessions(calls: Calls, keys: Keys) -> dict[Reason, int]:
    """The sizes of the sets."""
    counted: dict[Reason, int] = {}
    where = [(reason, keys.ended(bucket, reason)) for bucket in range(BUCKETS) for reason in REASONS]
    for (reason, _), count in zip(where, await calls.run([("ZCARD", key) for _, key in where]), strict=True):
        if count:
            counted[reason] = counted.get(reason, 0) + count
    return counted


def event_of(line: bytes, session_id: bytes | None, stored: Stored | None) -> Event:
    """A line, read; where it is a session's, the session's record says whose."""
    kind, count, at_high, at_low, last_high, last_low = _HEAD.unpack_from(line)
    rest = json.loads(line[_HEAD.size :])
    return Event(
        kind=_KINDS[kind - 1],
        at_ms=joined(at_high, at_low),
        last_at_ms=joined(last_high, last_low),
        count=count,
        session_id=session_id,
        user_id=rest.get("u", None if stored is None else stored.user_id),
        username=rest.get("n", None if stored is None else stored.username),
        caller=Caller(rest.get("a", ""), rest.get("d", ""), rest.get("o", "")),
        reason=rest.get("r"),
        detail=rest.get("x", {}),
    )
