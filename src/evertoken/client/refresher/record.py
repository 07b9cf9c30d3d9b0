"""The document in a token store: one session's tokens, or why it ended. Pure."""

import json
import sys
from dataclasses import dataclass, field
from typing import Any, Final

FORMAT: Final = 1
LONGEST_TOKEN: Final = 16 * 1024
LONGEST_NAME: Final = 2048


class NotOurDocument(ValueError):
    """The text is not a document of ours, or is damaged. The message says in what, and holds none of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """
    What a token store keeps of a session.

    Args:
        server: The base URL that it belongs to; its tokens are sent nowhere else.
        version: Counts up with each writing.
        access_token, refresh_token: As the server gave them; a session that has ended has neither.
        obtained_at: Wall time at which they were asked for, seconds.
        expires_at: Wall time at which the access token ends; None: unknown.
        refresh_expires_at: Wall time at which the session ends if it is not used; None: unknown.
        session_id: The server's name for the session; None where it gives none.
        account: Who signed in, as the application said; None where it handed over tokens.
        ended: Why the session is over; None while it lives.
    """

    server: str
    version: int
    access_token: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    obtained_at: float = 0.0
    expires_at: float | None = None
    refresh_expires_at: float | None = None
    session_id: str | None = None
    account: str | None = None
    ended: str | None = None

    @property
    def lifetime_seconds(self) -> float | None:
        """How long the access token lives in all; None: unknown."""
        return None if self.expires_at is None else self.expires_at - self.obtained_at

    def is_usable(self, wall: float) -> bool:
        """Whether there is an access token that has not expired."""
        return self.access_token is not None and (self.expires_at is None or wall < self.expires_at)


def render(record: Record) -> str:
    """The document. Holds secrets."""
    members = {name: getattr(record, name) for name in _KINDS if getattr(record, name) is not None}
    return json.dumps({"evertoken": FORMAT, **members}, indent=1, ensure_ascii=False)


def parse(document: str) -> Record:
    """
    Read a document.

    Raises:
        NotOurDocument: It is damaged, foreign, or of a later format.
    """
    try:
        members = json.loads(document, parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        raise NotOurDocument("it is not JSON") from None
    if not isinstance(members, dict) or "evertoken" not in members:
        raise NotOurDocument("it has no member evertoken, so something else wrote it")
    if isinstance(members["evertoken"], bool) or members["evertoken"] != FORMAT:
        raise NotOurDocument("a later evertoken wrote it")
    values: dict[str, Any] = {}
    for name, check in _KINDS.items():
        value = members.get(name)
        if value is None and name not in ("server", "version"):
            continue
        if not check(value):
            raise NotOurDocument(f"its member {name} is damaged")
        values[name] = value
    record = Record(**values)
    if record.ended is None and record.access_token is None and record.refresh_token is None:
        raise NotOurDocument("it holds no token")
    return record


def refuse_constant(name: str) -> None:
    """NaN and Infinity are no JSON, whatever the parser takes (RFC 8259 §6)."""
    raise ValueError(name)


def is_finite(number: float) -> bool:
    """Whether it is a number that a float can hold; `math.isfinite` raises for the integers that are not."""
    return abs(number) <= sys.float_info.max


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_instant(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and is_finite(value)


def is_token(value: Any) -> bool:
    """Whether this may go into a header: visible ASCII, at most 16 KiB (RFC 6750 §2.1 allows less)."""
    return isinstance(value, str) and 0 < len(value) <= LONGEST_TOKEN and value.isascii() and _is_visible(value)


def _is_visible(text: str) -> bool:
    return text.isprintable() and " " not in text


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_NAME


_KINDS: Final = {
    "server": _is_name,
    "version": _is_count,
    "access_token": is_token,
    "refresh_token": is_token,
    "obtained_at": _is_instant,
    "expires_at": _is_instant,
    "refresh_expires_at": _is_instant,
    "session_id": _is_name,
    "account": _is_name,
    "ended": _is_name,
}
