"""
What the server's log says of sessions that were ended; the other side of `logs.py`. Pure.

Only lines of the audit logger count, so no text that somebody else has written into a line can end a session.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from evertoken.edge.logs import AUDIT, ENDED_ELSEWHERE
from evertoken.sessions.model import EventKind, session_id_bytes
from evertoken.sessions.rotation import Reason

MAX_LINE_CHARACTERS: Final = 1_000_000
"""A longer line is none of ours."""

_ACCOUNT_KINDS: Final = {
    EventKind.PASSWORD_CHANGED: Reason.PASSWORD_CHANGED,
    EventKind.ACCOUNT_DISABLED: Reason.ACCOUNT_DISABLED,
    EventKind.SIGNED_OUT_EVERYWHERE: Reason.REVOKED,
}
_ENDS: Final = (EventKind.SESSION_ENDED, EventKind.REPLAY)


class BadLine(ValueError):
    """A line that is no JSON object, or one about an end that does not say whose."""


@dataclass(frozen=True, slots=True)
class SessionsEnded:
    """These sessions were ended."""

    session_ids: tuple[bytes, ...]
    reason: Reason


@dataclass(frozen=True, slots=True)
class UserSignedOut:
    """
    Every session of a user was ended that had begun before.

    Args:
        at_ms: When, by the store's clock; sessions that began then or later are none of these.
        kept: The session that went on, where one did.
    """

    user_id: str
    at_ms: int
    kept: bytes | None
    reason: Reason


def read_line(line: str) -> SessionsEnded | UserSignedOut | None:
    """
    What a line says of ends; None where it is about something else, or empty.

    Raises:
        BadLine: it cannot be read.
    """
    if not line.strip():
        return None
    if len(line) > MAX_LINE_CHARACTERS:
        raise BadLine
    try:
        read = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BadLine from error
    if not isinstance(read, dict):
        raise BadLine
    if read.get("logger") != AUDIT:
        return None
    kind = read.get("event")
    if kind in _ENDS:
        return SessionsEnded((_session_id(read.get("session_id")),), _reason(read, kind))
    if kind == ENDED_ELSEWHERE:
        listed = read.get("session_ids")
        if not isinstance(listed, list):
            raise BadLine
        return SessionsEnded(tuple(map(_session_id, listed)), Reason.REVOKED)
    if kind in _ACCOUNT_KINDS:
        return _account(read, _ACCOUNT_KINDS[EventKind(kind)])
    return None


def _account(read: Mapping[str, Any], reason: Reason) -> UserSignedOut:
    user_id, at_ms, kept = read.get("user_id"), read.get("at_ms"), read.get("kept")
    if not isinstance(user_id, str) or not isinstance(at_ms, int) or isinstance(at_ms, bool):
        raise BadLine
    return UserSignedOut(user_id, at_ms, None if kept is None else _session_id(kept), reason)


def _session_id(text: Any) -> bytes:
    session_id = session_id_bytes(text) if isinstance(text, str) else None
    if session_id is None:
        raise BadLine
    return session_id


def _reason(read: Mapping[str, Any], kind: str) -> Reason:
    if kind == EventKind.REPLAY:
        return Reason.REPLAYED
    told = read.get("reason")
    return Reason(told) if told in tuple(Reason) else Reason.REVOKED
