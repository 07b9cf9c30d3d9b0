"""The audit trail in PostgreSQL."""

from collections.abc import Sequence

from evertoken.sessions.model import Event
from evertoken.stores.lines import FOLD_AFTER, packed, stored_event
from evertoken.stores.postgresql.connection import Connection, storable, storable_or_none

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
    return [stored_event(row) for row in rows]


async def newest(connection: Connection, limit: int) -> list[Event]:
    """The newest lines of the whole trail, newest first."""
    return [
        stored_event(row)
        for row in await connection.fetch(f"SELECT {_COLUMNS} FROM events ORDER BY id DESC LIMIT $1", limit)
    ]


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
        storable(packed(event)),
    )
