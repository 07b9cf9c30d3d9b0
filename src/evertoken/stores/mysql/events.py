"""The audit trail in MariaDB or MySQL."""

from collections.abc import Sequence

from evertoken.sessions.model import Event
from evertoken.stores.lines import FOLD_AFTER, packed, stored_event
from evertoken.stores.mysql.connection import Connection, storable, storable_or_none
from evertoken.stores.mysql.statements import Plain, Sql, literal

_COLUMNS = "kind, at_ms, last_at_ms, count, session_id, user_id, username, address, device, reason, detail"
_INSERT = f"INSERT INTO [events] ({_COLUMNS}) VALUES $1"
_LINES_PER_PACKET = 500
_NEWEST_OF_ITS_KIND = "SELECT MAX(id) FROM [events] WHERE session_id = $1 AND kind = $2"
_FOLD = "UPDATE [events] SET count = count + 1, last_at_ms = $1 WHERE id = $2"


async def insert(connection: Connection, events: Sequence[Event]) -> None:
    """Add lines, in their order."""
    for begin in range(0, len(events), _LINES_PER_PACKET):
        some = events[begin : begin + _LINES_PER_PACKET]
        await connection.execute(_INSERT, Sql(",".join(literal(_columns(event)) for event in some)))


async def insert_or_fold(connection: Connection, event: Event, *, already: int) -> None:
    """Add a line, or count it on the newest of its kind once the session has `already` enough of them."""
    if already > FOLD_AFTER:
        newest = await connection.fetchval(_NEWEST_OF_ITS_KIND, event.session_id, event.kind.value)
        if newest is not None and await connection.execute(_FOLD, event.at_ms, newest):
            return
    await insert(connection, [event])


async def timeline(connection: Connection, session_id: bytes) -> list[Event]:
    """Every line of one session, oldest first."""
    rows = await connection.fetch(f"SELECT {_COLUMNS} FROM [events] WHERE session_id = $1 ORDER BY id", session_id)
    return [stored_event(row) for row in rows]


async def newest(connection: Connection, limit: int) -> list[Event]:
    """The newest lines of the whole trail, newest first."""
    return [
        stored_event(row)
        for row in await connection.fetch(f"SELECT {_COLUMNS} FROM [events] ORDER BY id DESC LIMIT $1", limit)
    ]


def _columns(event: Event) -> tuple[Plain, ...]:
    return (
        event.kind.value,
        event.at_ms,
        event.last_at_ms or event.at_ms,
        event.count,
        event.session_id,
        storable_or_none(event.user_id, "user_id"),
        storable_or_none(event.username, "username"),
        storable(event.caller.address, "address"),
        storable(event.caller.device, "device"),
        event.reason,
        storable(packed(event)),
    )
