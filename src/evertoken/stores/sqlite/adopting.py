"""Swapping a refresh token of another library for a session in SQLite, once."""

import sqlite3

from evertoken.sessions.model import Adopted, Adoption, Ended
from evertoken.sessions.rotation import RotationPolicy
from evertoken.stores.sqlite import sessions


def adopt(
    connection: sqlite3.Connection,
    now_ms: int,
    adoption: Adoption,
    policy: RotationPolicy,
    *,
    cap: int,
    users_elsewhere: bool,
) -> Adopted | None:
    """The session that this token was swapped for, or a new one in the same transaction."""
    found = connection.execute(
        "SELECT session_id, tag, issued_at_ms FROM adoptions WHERE fingerprint = ?", (adoption.fingerprint,)
    ).fetchone()
    if found is not None:
        session_id, tag, issued_at_ms = found
        return Adopted(session_id, tag, issued_at_ms, Ended((), now_ms))
    new = adoption.session
    ended = sessions.create(connection, now_ms, new, policy, cap=cap, users_elsewhere=users_elsewhere)
    if ended is None:
        return None
    connection.execute(
        "INSERT INTO adoptions (fingerprint, session_id, tag, issued_at_ms, forget_at_ms) VALUES (?, ?, ?, ?, ?)",
        (adoption.fingerprint, new.token.session_id, new.token.tag, new.token.issued_at_ms, adoption.forget_at_ms),
    )
    return Adopted(new.token.session_id, new.token.tag, new.token.issued_at_ms, ended)
