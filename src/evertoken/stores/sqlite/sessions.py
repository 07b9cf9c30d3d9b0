"""Sessions in SQLite: sign-ins, endings, lists; rotation has a file of its own."""

import sqlite3
from typing import Any

from evertoken.sessions.model import (
    AccountChange,
    Caller,
    Ended,
    Event,
    EventKind,
    NewSession,
    Revocations,
    SessionRecord,
)
from evertoken.sessions.rotation import Reason, RotationPolicy
from evertoken.stores import lines
from evertoken.stores.rows import session_record
from evertoken.stores.sqlite import events
from evertoken.stores.sqlite.revoking import announce, revoke, revoke_all

LIVE = "revoked_at_ms IS NULL AND idle_expires_at_ms > ?1 AND (max_expires_at_ms IS NULL OR max_expires_at_ms > ?1)"
COLUMNS = (
    "id, user_id, username, client_id, delivery, created_at_ms, created_address, created_device, refreshed_at_ms,"
    " refreshed_address, refreshed_device, idle_expires_at_ms, max_expires_at_ms, rotations, recent_rotations,"
    " revoked_at_ms, revoked_reason"
)


def create(
    connection: sqlite3.Connection,
    now_ms: int,
    new: NewSession,
    policy: RotationPolicy,
    *,
    cap: int,
    users_elsewhere: bool,
) -> Ended | None:
    """Insert a session if the user's epoch still is what it was when the password was verified."""
    if not users_elsewhere:
        stands = connection.execute(
            "SELECT 1 FROM users WHERE id = ? AND epoch = ? AND disabled = 0", (new.user_id, new.user_epoch)
        ).fetchone()
        if stands is None:
            return None
    token, caller = new.token, new.caller
    ended = _make_room(connection, now_ms, new, cap)
    connection.execute(
        "INSERT INTO sessions (id, user_id, username, user_epoch, client_id, delivery, tag, previous, advanced_at_ms,"
        " idle_expires_at_ms, max_expires_at_ms, secret_id, created_at_ms, created_address, created_device,"
        " refreshed_at_ms, refreshed_address, refreshed_device)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, x'', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            token.session_id,
            new.user_id,
            new.username,
            new.user_epoch,
            new.client_id,
            int(token.delivery),
            token.tag,
            now_ms,
            now_ms + policy.idle_ms,
            None if new.max_age_ms is None else now_ms + new.max_age_ms,
            token.key_id,
            now_ms,
            caller.address,
            caller.device,
            now_ms,
            caller.address,
            caller.device,
        ),
    )
    signed_in = lines.signed_in(new, now_ms)
    events.insert(connection, signed_in)
    return Ended(ended.session_ids, now_ms, (*ended.events, signed_in))


def _make_room(connection: sqlite3.Connection, now_ms: int, new: NewSession, cap: int) -> Ended:
    """End the session that this sign-in replaces, then the least recently used ones above the cap."""
    ended = []
    if new.replaces is not None:
        ended.append(end(connection, now_ms, new.replaces, Reason.SIGNED_OUT, new.caller))
    above = connection.execute(
        f"SELECT id FROM sessions WHERE user_id = ?2 AND {LIVE} ORDER BY refreshed_at_ms DESC LIMIT -1 OFFSET ?3",
        (now_ms, new.user_id, max(cap - 1, 0)),
    )
    ended += [end(connection, now_ms, row[0], Reason.REVOKED, new.caller) for row in above.fetchall()]
    return Ended(
        tuple(session_id for one in ended for session_id in one.session_ids),
        now_ms,
        tuple(event for one in ended for event in one.events),
    )


def end(
    connection: sqlite3.Connection,
    now_ms: int,
    session_id: bytes,
    reason: Reason,
    caller: Caller,
    *,
    user_id: str | None = None,
    tokens_until_ms: int = 0,
) -> Ended:
    """End one session and write its line; nothing happens to one that is over. Guards hear of a lost one, too."""
    if not revoke(connection, session_id, reason, now_ms, user_id=user_id):
        if tokens_until_ms <= now_ms or find(connection, session_id) is not None:
            return Ended((), now_ms)
        announce(connection, (session_id,), now_ms)
        return Ended((session_id,), now_ms, (lines.lost_session_ended(session_id, reason, caller, now_ms),))
    owner = connection.execute("SELECT user_id, username FROM sessions WHERE id = ?", (session_id,)).fetchone()
    event = Event(
        EventKind.SESSION_ENDED,
        now_ms,
        session_id=session_id,
        user_id=owner[0],
        username=owner[1],
        caller=caller,
        reason=reason,
    )
    events.insert(connection, event)
    return Ended((session_id,), now_ms, (event,))


def change_account(
    connection: sqlite3.Connection, now_ms: int, change: AccountChange, *, users_elsewhere: bool
) -> Ended | None:
    """Raise the epoch in one statement; end every session but the kept one, which goes on at the new epoch."""
    username: str | None = None
    epoch = change.elsewhere_epoch
    if not users_elsewhere:
        raised = connection.execute(
            "UPDATE users SET epoch = epoch + 1, password_hash = coalesce(?1, password_hash),"
            " disabled = coalesce(?2, disabled) WHERE id = ?3 AND (?4 IS NULL OR epoch = ?4) RETURNING epoch, username",
            (change.password_hash, change.disabled, change.user_id, change.expected_epoch),
        ).fetchone()
        if raised is None:
            return None
        epoch, username = raised
    if change.keep is not None and epoch is not None:
        connection.execute(
            "UPDATE sessions SET user_epoch = ? WHERE id = ? AND user_id = ? AND revoked_at_ms IS NULL",
            (epoch, change.keep, change.user_id),
        )
    ended = revoke_all(connection, change.user_id, change.reason, now_ms, keep=change.keep)
    told = lines.account_changed(change, ended, username, now_ms)
    for event in told:
        events.insert(connection, event)
    return Ended(ended, now_ms, told)


def find(connection: sqlite3.Connection, session_id: bytes) -> SessionRecord | None:
    """One session, live or over."""
    row = connection.execute(f"SELECT {COLUMNS} FROM sessions WHERE id = ?", (session_id,)).fetchone()
    return None if row is None else record_of(row)


def list_sessions(
    connection: sqlite3.Connection,
    now_ms: int,
    *,
    user_id: str | None,
    live_only: bool,
    after: bytes | None,
    limit: int,
) -> list[SessionRecord]:
    """A page of sessions in the order of their ids."""
    # No OR about what an index finds: it would be walked from its beginning.
    whose = "?2 IS NULL" if user_id is None else "user_id = ?2"
    rows = connection.execute(
        f"SELECT {COLUMNS} FROM sessions WHERE {whose} AND id > ?3 AND (NOT ?4 OR ({LIVE})) ORDER BY id LIMIT ?5",
        (now_ms, user_id, after or b"", live_only, limit),
    )
    return [record_of(row) for row in rows]


def revocations_after(connection: sqlite3.Connection, cursor: int) -> Revocations:
    """A page of what was revoked after a cursor."""
    rows = connection.execute(
        "SELECT seq, session_id, at_ms FROM revocations WHERE seq > ? ORDER BY seq LIMIT 10000", (cursor,)
    ).fetchall()
    return Revocations(tuple((row[1], row[2]) for row in rows), rows[-1][0] if rows else cursor)


def newest_revocation(connection: sqlite3.Connection) -> int:
    """The highest number that was given; SQLite keeps it when the row is swept."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'revocations'").fetchone()
    return 0 if row is None else int(row[0])


def sessions_per_secret(connection: sqlite3.Connection, now_ms: int) -> dict[bytes, int]:
    """Live sessions by the secret that made their last presented token."""
    rows = connection.execute(f"SELECT secret_id, count(*) FROM sessions WHERE {LIVE} GROUP BY secret_id", (now_ms,))
    return dict(rows.fetchall())


def record_of(row: tuple[Any, ...]) -> SessionRecord:
    """A row of COLUMNS."""
    return session_record(row, recent_rotations_ms=tuple(int(at) for at in row[14].split(",") if at))
