"""The audit trail in SQLite."""

import json
import sqlite3
from typing import Any

from evertoken.sessions.model import Caller, Event, EventKind

FOLD_AFTER = 100
"""Unusual outcomes of one session that get a line each; those beyond are counted on the newest line of their kind,
so that a client in a loop cannot fill the disk."""

_OPERATOR = "operator"
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
            _packed(event),
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
    return [_event(row) for row in rows]


def newest(connection: sqlite3.Connection, *, limit: int) -> list[Event]:
    """The newest lines of the whole trail, newest first."""
    return [
        _event(row) for row in connection.execute(f"SELECT {_COLUMNS} FROM events ORDER BY id DESC LIMIT ?", (limit,))
    ]


def _packed(event: Event) -> str:
    """The detail as it is stored; who acted as an operator stands there too, for few lines have one."""
    if event.caller.operator:
        return json.dumps({**event.detail, _OPERATOR: event.caller.operator})
    return json.dumps(dict(event.detail)) if event.detail else "{}"


def _event(row: tuple[Any, ...]) -> Event:
    kind, at_ms, last_at_ms, count, session_id, user_id, username, address, device, reason, packed = row
    detail = json.loads(packed)
    operator = detail.pop(_OPERATOR, "")
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
        detail=detail,
    )
