"""The audit trail in SQLite."""

import sqlite3

from evertoken.sessions.model import Event
from evertoken.stores.lines import FOLD_AFTER, packed, stored_event

_COLUMNS = "kind, at_ms, last_at_ms, count, session_id, user_id, username, address, device, reason, detail"


def insert(connection: sqlite3.Connection, event: Event) -> None:
    """Add a line."""
    connection.execute(
        f"INSERT INTO events ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            event.kind.value,
            event.at_ms,
            event.last_at_ms or event.at_ms,
            event.count,
            event.session_id,
            event.user_id,
            event.username,
            event.caller.address,
            event.caller.device,
            event.reason,
            packed(event),
        ),
    )


def insert_or_fold(connection: sqlite3.Connection, event: Event, *, already: int) -> None:
    """Add a line, or count it on the newest of its kind once the session has `already` enough of them."""
    if already > FOLD_AFTER:
        folded = connection.execute(
            "UPDATE events SET count = count + 1, last_at_ms = ?1"
            " WHERE id = (SELECT max(id) FROM events WHERE session_id = ?2 AND kind = ?3)",
            (event.at_ms, event.session_id, event.kind.value),
        )
        if folded.rowcount:
            return
    insert(connection, event)


def timeline(connection: sqlite3.Connection, session_id: bytes) -> list[Event]:
    """Every line of one session, oldest first."""
    rows = connection.execute(f"SELECT {_COLUMNS} FROM events WHERE session_id = ? ORDER BY id", (session_id,))
    return [stored_event(row) for row in rows]


def newest(connection: sqlite3.Connection, *, limit: int) -> list[Event]:
    """The newest lines of the whole trail, newest first."""
    return [
        stored_event(row)
        for row in connection.execute(f"SELECT {_COLUMNS} FROM events ORDER BY id DESC LIMIT ?", (limit,))
    ]
