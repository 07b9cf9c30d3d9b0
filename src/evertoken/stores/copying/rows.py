"""
What a store holds, in a form that no engine has to itself. Pure.

Instants are milliseconds since the epoch. `None` in `previous` of a session means any, empty means none, as in SQL.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from evertoken.accounts.clients import Client
from evertoken.sessions.keys import StoredKey
from evertoken.sessions.model import EventKind


class UserRow(NamedTuple):
    """A user of ours; `roles` is a JSON list."""

    id: str
    username: str
    username_key: str
    password_hash: str | None
    epoch: int
    disabled: bool
    roles: str
    created_at_ms: int


class SessionRow(NamedTuple):
    """A session, live or over."""

    id: bytes
    user_id: str
    username: str
    user_epoch: int
    client_id: str
    delivery: int
    tag: bytes
    previous: bytes | None
    generation: int
    advanced_at_ms: int
    idle_expires_at_ms: int
    max_expires_at_ms: int | None
    outcome: int
    secret_id: bytes
    created_at_ms: int
    created_address: str
    created_device: str
    refreshed_at_ms: int
    refreshed_address: str
    refreshed_device: str
    rotations: int
    recent_rotations: tuple[int, ...]
    unusual: int
    revoked_at_ms: int | None
    revoked_reason: str | None

    def over_at_ms(self) -> int:
        """When it was ended, or else when it expires."""
        if self.revoked_at_ms is not None:
            return self.revoked_at_ms
        return min(self.idle_expires_at_ms, self.max_expires_at_ms or self.idle_expires_at_ms)


class EventRow(NamedTuple):
    """A line of the audit trail; `detail` is as `lines.packed` writes it."""

    kind: str
    at_ms: int
    last_at_ms: int
    counted: int
    session_id: bytes | None
    user_id: str | None
    username: str | None
    address: str
    device: str
    reason: str | None
    detail: str


class RevocationRow(NamedTuple):
    """An entry of the feed."""

    seq: int
    session_id: bytes
    at_ms: int


class AttemptRow(NamedTuple):
    """Failed sign-ins under a key, and when one succeeded last: the known address of an account."""

    key: bytes
    failures: int
    last_failure_at_ms: int
    last_success_at_ms: int | None


class AdoptionRow(NamedTuple):
    """What a refresh token of another library was swapped for."""

    fingerprint: bytes
    session_id: bytes
    tag: bytes
    issued_at_ms: int
    forget_at_ms: int


class LinePlace(NamedTuple):
    """A place among the lines of no session: by their time, then by the number that their store gave them."""

    at_ms: int
    number: int


@dataclass(slots=True)
class Batch:
    """
    Rows to be written in one step.

    Args:
        events: Every line of these sessions, the oldest first; they take the place of those that are there.
        lines: Lines of no session, in their order.
        lines_written: How many lines of no session were written before.
        only_these_clients: Remove every other client.
        only_these_keys: Remove every other signing key.
        highest_revocation: The highest number that the source ever gave; none that is given later may be lower.
    """

    users: list[UserRow] = field(default_factory=list)
    clients: list[Client] = field(default_factory=list)
    keys: list[StoredKey] = field(default_factory=list)
    sessions: list[SessionRow] = field(default_factory=list)
    events: list[EventRow] = field(default_factory=list)
    revocations: list[RevocationRow] = field(default_factory=list)
    lines: list[EventRow] = field(default_factory=list)
    lines_written: int = 0
    attempts: list[AttemptRow] = field(default_factory=list)
    adoptions: list[AdoptionRow] = field(default_factory=list)
    only_these_clients: bool = False
    only_these_keys: bool = False
    highest_revocation: int = 0


class SessionPart(NamedTuple):
    """
    The next sessions of a walk.

    Args:
        seen: How many were looked at.
        cursor: Where the next part begins; None at the end.
    """

    sessions: list[SessionRow]
    events: list[EventRow]
    seen: int
    cursor: str | None


class There(NamedTuple):
    """What decides about a session that is at the target already."""

    revoked_at_ms: int | None
    refreshed_at_ms: int


def takes_its_place(row: SessionRow, there: There | None) -> bool:
    """
    Whether a session's row of the source takes the place of the target's.

    What is over there stays as it is; what is over at the source is over there too; else the one that was used last
    is right, for the target may be in service already.
    """
    if there is None:
        return True
    if there.revoked_at_ms is not None:
        return False
    return row.revoked_at_ms is not None or row.refreshed_at_ms >= there.refreshed_at_ms


def numbered(rows: list[RevocationRow], highest: int, *, now_ms: int) -> list[RevocationRow]:
    """
    Revocations as the target's feed takes them: with their own numbers, so that guards go on with their cursors; where
    the target has given higher ones by itself, behind those, or nobody who follows it would hear of them.
    """
    taken: list[RevocationRow] = []
    for row in rows:
        seq = row.seq if row.seq > highest else max(highest + 1, now_ms * 1000)
        highest = seq
        taken.append(row._replace(seq=seq))
    return taken


def adopted_from(events: list[EventRow]) -> Mapping[bytes, str]:
    """From which library's tokens sessions were begun; it stands in the lines of their sign-ins."""
    found: dict[bytes, str] = {}
    for event in events:
        if event.kind == EventKind.SIGN_IN and event.session_id is not None and "adopted_from" in event.detail:
            found[event.session_id] = str(json.loads(event.detail).get("adopted_from", ""))
    return found
