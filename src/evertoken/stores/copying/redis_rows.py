"""Rows as Redis keeps them, and the other way round. Pure."""

import struct
from dataclasses import dataclass
from typing import Final

from evertoken.sessions.model import Caller, Event, EventKind
from evertoken.sessions.rotation import Reason
from evertoken.stores.copying.rows import AdoptionRow, AttemptRow, EventRow, LinePlace, RevocationRow, SessionRow
from evertoken.stores.lines import packed, stored_event
from evertoken.stores.redis import trail
from evertoken.stores.redis.keys import REASONS
from evertoken.stores.redis.record import (
    A_PREVIOUS,
    ANY_PREVIOUS,
    NO_PREVIOUS,
    Stored,
    instant,
    pack,
    packed_instant,
)
from evertoken.tokens.refresh_token import SESSION_ID_BYTES, TAG_BYTES

_LINE_HEAD: Final = struct.Struct(">BIhIhI")
_COUNTED: Final = struct.Struct(">Iqq")
_SWAPPED: Final = struct.Struct(f">{SESSION_ID_BYTES}s{TAG_BYTES}sq")
_NUMBER_BYTES: Final = 6
_MOST_OF_32_BITS: Final = 2**32 - 1


@dataclass(frozen=True, slots=True, order=True)
class Walk:
    """A place in the walk over all sessions: which bucket, and there the last one seen."""

    bucket: int = 0
    at_ms: int = -(2**52)
    id: bytes = b""

    def text(self) -> str:
        """As a cursor."""
        return f"{self.bucket}.{self.at_ms}.{self.id.hex()}"

    @classmethod
    def parse(cls, cursor: str) -> "Walk":
        """The other way round; empty for the beginning."""
        if not cursor:
            return cls()
        bucket, at_ms, session_id = cursor.split(".")
        return cls(int(bucket), int(at_ms), bytes.fromhex(session_id))


def may_have_changed(stored: Stored, since_ms: int) -> bool:
    """As `sql._CHANGED`, and for its reasons."""
    return (
        stored.refreshed_at_ms >= since_ms
        or stored.revoked_at_ms >= since_ms
        or stored.epoch != 0
        or stored.unusual != 0
    )


def session_row(session_id: bytes, stored: Stored) -> SessionRow:
    """A record as a row."""
    return SessionRow(
        id=session_id,
        user_id=stored.user_id,
        username=stored.username,
        user_epoch=stored.epoch,
        client_id=stored.client_id,
        delivery=stored.delivery,
        tag=stored.tag,
        previous=None if stored.kind == ANY_PREVIOUS else stored.previous if stored.kind == A_PREVIOUS else b"",
        generation=stored.generation,
        advanced_at_ms=stored.advanced_at_ms,
        idle_expires_at_ms=stored.idle_expires_at_ms,
        max_expires_at_ms=stored.max_expires_at_ms or None,
        outcome=0,
        secret_id=stored.secret_id,
        created_at_ms=stored.created_at_ms,
        created_address=stored.created_from.address,
        created_device=stored.created_from.device,
        refreshed_at_ms=stored.refreshed_at_ms,
        refreshed_address=stored.refreshed_from.address,
        refreshed_device=stored.refreshed_from.device,
        rotations=stored.rotations,
        recent_rotations=stored.recent_ms,
        unusual=stored.unusual,
        revoked_at_ms=stored.revoked_at_ms if stored.reason else None,
        revoked_reason=REASONS[stored.reason - 1].value if stored.reason else None,
    )


def record_of(row: SessionRow, adopted_from: str) -> bytes:
    """A row as a record."""
    kind = ANY_PREVIOUS if row.previous is None else A_PREVIOUS if row.previous else NO_PREVIOUS
    return pack(
        Stored(
            delivery=row.delivery,
            reason=reason_number(row),
            kind=kind,
            tag=row.tag,
            previous=row.previous or b"",
            generation=min(row.generation, _MOST_OF_32_BITS),
            advanced_at_ms=row.advanced_at_ms,
            revoked_at_ms=row.revoked_at_ms or 0,
            idle_expires_at_ms=row.idle_expires_at_ms,
            max_expires_at_ms=row.max_expires_at_ms or 0,
            refreshed_at_ms=row.refreshed_at_ms,
            created_at_ms=row.created_at_ms,
            epoch=row.user_epoch,
            rotations=min(row.rotations, _MOST_OF_32_BITS),
            unusual=min(row.unusual, _MOST_OF_32_BITS),
            secret_id=row.secret_id,
            client_id=row.client_id,
            user_id=row.user_id,
            username=row.username,
            adopted_from=adopted_from,
            created_from=Caller(row.created_address, row.created_device),
            refreshed_from=Caller(row.refreshed_address, row.refreshed_device),
            recent_ms=row.recent_rotations[:20],
        )
    )


def reason_number(row: SessionRow) -> int:
    """Why it was ended, as records hold it; 0 while it lives."""
    if row.revoked_at_ms is None:
        return 0
    return REASONS.index(Reason(row.revoked_reason or Reason.UNKNOWN)) + 1


def lines_of(session_id: bytes, stored: Stored, texts: list[bytes]) -> list[EventRow]:
    """A session's trail as rows; the sign-in, which has no line here, is the first."""
    events = [trail.signed_in(session_id, stored), *(trail.event_of(text, session_id, stored) for text in texts)]
    return [_row(event) for event in events]


def is_sign_in(line: EventRow) -> bool:
    """Whether a session's line needs none here, for it stands in the record."""
    return line.kind == EventKind.SIGN_IN


def line_text(line: EventRow) -> bytes:
    """A row as a line."""
    event = stored_event(line)
    at, last_at = instant(line.at_ms), instant(line.last_at_ms)
    head = _LINE_HEAD.pack(trail.kind_number(event.kind), min(line.counted, _MOST_OF_32_BITS), *at, *last_at)
    return head + trail.rest_of(event).encode("utf-8", "replace")


def placed_line(member: bytes, at_ms: int) -> tuple[LinePlace, EventRow]:
    """A line of no session, and its place among them."""
    number = int.from_bytes(member[:_NUMBER_BYTES], "big")
    return LinePlace(at_ms, number), _row(trail.event_of(member[_NUMBER_BYTES:], None, None))


def announced(row: RevocationRow) -> bytes:
    """An entry of the feed."""
    return row.session_id + packed_instant(row.at_ms)


def attempt_row(key: bytes, raw: bytes) -> AttemptRow:
    """A counter."""
    failures, last_failure_at_ms, last_success_at_ms = _COUNTED.unpack(raw)
    return AttemptRow(key, failures, last_failure_at_ms, last_success_at_ms or None)


def attempt_text(row: AttemptRow) -> bytes:
    """The other way round."""
    return _COUNTED.pack(row.failures, row.last_failure_at_ms, row.last_success_at_ms or 0)


def attempt_at_ms(row: AttemptRow) -> int:
    """From when on it is kept for its time."""
    return max(row.last_failure_at_ms, row.last_success_at_ms or 0)


def adoption_row(fingerprint: bytes, raw: bytes, forget_at_ms: int) -> AdoptionRow:
    """An adopted token."""
    session_id, tag, issued_at_ms = _SWAPPED.unpack(raw)
    return AdoptionRow(fingerprint, session_id, tag, issued_at_ms, forget_at_ms)


def adoption_text(row: AdoptionRow) -> bytes:
    """The other way round."""
    return _SWAPPED.pack(row.session_id, row.tag, row.issued_at_ms)


def _row(event: Event) -> EventRow:
    return EventRow(
        kind=event.kind.value,
        at_ms=event.at_ms,
        last_at_ms=event.last_at_ms or event.at_ms,
        counted=event.count,
        session_id=event.session_id,
        user_id=event.user_id,
        username=event.username,
        address=event.caller.address,
        device=event.caller.device,
        reason=event.reason,
        detail=packed(event),
    )
