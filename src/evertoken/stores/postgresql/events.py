"""The audit trail in PostgreSQL."""

import json
from collections.abc import Sequence

from evertoken.sessions.model import Caller, Event, EventKind
from evertoken.stores.postgresql.connection import Connection, Row, storable, storable_or_none

FOLD_AFTER = 100
"""Unusual outcomes of one session that get a line each; those beyond are counted on the newest line of their kind,
so that a client in a loop cannot fill the disk."""

_OPERATOR = "operator"
_COLUMNS = "kind, at_ms, last_at_ms, count, session_id, user_id, username, address, device, reason, detail"
_INSERT = (
    f"INSERT INTO events ({_COLUMNS}) SELECT * FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::integer[],"
    " $5::bytea[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[])"
)
_FOLD = (
    "UPDATE events SET count = count + 1, last_at_ms = $1"
    " WHERE id = (SELECT max(id) FROM events WHERE session_id = $2 AND kind = $3) RETURNING id"
)


async def insert(connection: Connection, events: Sequence[Event]) -> None:
    """Add lines, in their order."""
    if events:
        await connection.execute(_INSERT, *map(list, zip(*map(_columns, events), strict=True)))


async def insert_or_fold(connection: Connection, event: Event, *, already: int) -> None:
    """Add a line, or count it on the newest of its kind once the session has `already` enough of them."""
    if already > FOLD_AFTER:
        folded = await connection.fetchval(_FOLD, event.at_ms, event.session_id, event.kind.value)
        if folded is not None:
            return
    await insert(connection, [event])


async def timeline(connection: Connection, session_id: bytes) -> list[Event]:
    """Every line of one session, oldest first."""
    rows = await connection.fetch(f"SELECT {_COLUMNS} FROM events WHERE session_id = $1 ORDER BY id", session_id)
    return [_event(row) for row in rows]


async def newest(connection: Connection, limit: int) -> list[Event]:
    """The newest lines of the whole trail, newest first."""
    return [
        _event(row) for row in await connection.fetch(f"SELECT {_COLUMNS} FROM events ORDER BY id DESC LIMIT $1", limit)
    ]


def packed(event: Event) -> str:
    """The detail as it is stored; who acted as an operator stands there too, for few lines have one."""
    if event.caller.operator:
        return storable(json.dumps({**event.detail, _OPERATOR: event.caller.operator}))
    return storable(json.dumps(dict(event.detail))) if event.detail else "{}"


def _columns(event: Event) -> tuple[object, ...]:
    return (
        event.kind.value,
        event.at_ms,
        event.last_at_ms or event.at_ms,
        event.count,
        event.session_id,
        storable_or_none(event.user_id),
        storable_or_none(event.username),
        storable(event.caller.address),
        storable(event.caller.device),
        event.reason,
        packed(event),
    )


def _event(row: Row) -> Event:
    kind, at_ms, last_at_ms, count, session_id, user_id, username, address, device, reason, detail = row
    read = json.loads(detail)
    operator = read.pop(_OPERATOR, "")
    return Event(
        kind=EventKind(kind),
        at_ms=at_ms,
        last_at_ms=last_at_ms,
        count=count,
        session_id=session_id,
        user_id=user_id,
        username=username,
        caller=Caller(address, device, operator),
        reason=reason,
        detail=read,
    )
