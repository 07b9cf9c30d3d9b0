"""
A session as Redis keeps it: one packed text under one key.

A hash of the same fields takes three times the memory, for a User-Agent is longer than what a small hash may hold, and
a rotation of it takes longer. scripts.py reads and writes the same layout in Lua.
"""

import struct
from dataclasses import dataclass
from typing import Final

from evertoken.sessions.model import AccountState, Caller, NewSession, SessionRecord
from evertoken.sessions.rotation import ANY, Reason, RotationPolicy, Row
from evertoken.stores.redis.keys import REASONS, encoded
from evertoken.tokens.refresh_token import Delivery

VERSION: Final = 1

# 1 version, 2 delivery, 3 reason, 4 kind of previous, 5 tag, 21 previous, 37 generation, 41 advanced at, 47 revoked at,
# 53 idle expires at, 59 max expires at, 65 refreshed at, 71 created at, 77 epoch, 85 rotations, 89 unusual, 93 secret,
# 97 where the place of the sign-in begins, 99 where the last refresh begins; counted from 1, as Lua does.
HEAD: Final = struct.Struct(">4B16s16sIhIhIhIhIhIhIq2I4s2H")
_TEXT: Final = struct.Struct(">H")
_LONGEST_TEXT: Final = 10_000
_INSTANT_BYTES: Final = 6

HEAD_AS_READ: Final = slice(2, 46)
"""What a conditional revocation compares: reason, previous, tag, generation, advanced at."""

NO_PREVIOUS, A_PREVIOUS, ANY_PREVIOUS = range(3)


@dataclass(slots=True)
class Stored:
    """A record, read. Instants are milliseconds; `max_expires_at_ms` and `revoked_at_ms` are 0 where there is none."""

    delivery: int
    reason: int
    kind: int
    tag: bytes
    previous: bytes
    generation: int
    advanced_at_ms: int
    revoked_at_ms: int
    idle_expires_at_ms: int
    max_expires_at_ms: int
    refreshed_at_ms: int
    created_at_ms: int
    epoch: int
    rotations: int
    unusual: int
    secret_id: bytes
    client_id: str
    user_id: str
    username: str
    adopted_from: str
    created_from: Caller
    refreshed_from: Caller
    recent_ms: tuple[int, ...]

    def row(self, account: AccountState | None) -> Row:
        """As `decide` reads it."""
        over: Reason | None = None
        if self.reason:
            over = REASONS[self.reason - 1]
        elif account is None or account.disabled:
            over = Reason.ACCOUNT_DISABLED
        elif account.epoch != self.epoch:
            over = Reason.PASSWORD_CHANGED
        return Row(
            current=self.tag,
            previous=ANY if self.kind == ANY_PREVIOUS else self.previous if self.kind == A_PREVIOUS else None,
            generation=self.generation,
            advanced_at_ms=self.advanced_at_ms,
            idle_expires_at_ms=self.idle_expires_at_ms,
            max_expires_at_ms=self.max_expires_at_ms or None,
            over=over,
        )

    def record(self, session_id: bytes) -> SessionRecord:
        """As its owner and the operator see it."""
        return SessionRecord(
            id=session_id,
            user_id=self.user_id,
            username=self.username,
            client_id=self.client_id,
            delivery=Delivery(self.delivery),
            created_at_ms=self.created_at_ms,
            created_from=self.created_from,
            refreshed_at_ms=self.refreshed_at_ms,
            refreshed_from=self.refreshed_from,
            idle_expires_at_ms=self.idle_expires_at_ms,
            max_expires_at_ms=self.max_expires_at_ms or None,
            rotations=self.rotations,
            recent_rotations_ms=self.recent_ms,
            revoked_at_ms=self.revoked_at_ms or None,
            revoked_reason=REASONS[self.reason - 1] if self.reason else None,
        )

    def is_live(self, now_ms: int) -> bool:
        """Whether it can be refreshed, as far as its row says."""
        return not self.reason and over_at_ms(self) > now_ms


def over_at_ms(stored: Stored) -> int:
    """When it was ended, or else when it expires."""
    if stored.revoked_at_ms:
        return stored.revoked_at_ms
    return min(stored.idle_expires_at_ms, stored.max_expires_at_ms or stored.idle_expires_at_ms)


def begin(new: NewSession, now_ms: int, policy: RotationPolicy) -> bytes:
    """The record of a sign-in."""
    token = new.token
    return pack(
        Stored(
            delivery=int(token.delivery),
            reason=0,
            kind=NO_PREVIOUS,
            tag=token.tag,
            previous=b"",
            generation=0,
            advanced_at_ms=now_ms,
            revoked_at_ms=0,
            idle_expires_at_ms=now_ms + policy.idle_ms,
            max_expires_at_ms=0 if new.max_age_ms is None else now_ms + new.max_age_ms,
            refreshed_at_ms=now_ms,
            created_at_ms=now_ms,
            epoch=new.user_epoch,
            rotations=0,
            unusual=0,
            secret_id=token.key_id,
            client_id=new.client_id,
            user_id=new.user_id,
            username=new.username,
            adopted_from=new.adopted_from,
            created_from=new.caller,
            refreshed_from=new.caller,
            recent_ms=(),
        )
    )


def pack(stored: Stored) -> bytes:
    """As it is kept."""
    names = b"".join(map(_text, (stored.client_id, stored.user_id, stored.username, stored.adopted_from)))
    created = place(stored.created_from)
    refreshed = place(stored.refreshed_from)
    created_offset = HEAD.size + len(names) + 1
    head = HEAD.pack(
        VERSION,
        stored.delivery,
        stored.reason,
        stored.kind,
        stored.tag,
        stored.previous,
        stored.generation,
        *instant(stored.advanced_at_ms),
        *instant(stored.revoked_at_ms),
        *instant(stored.idle_expires_at_ms),
        *instant(stored.max_expires_at_ms),
        *instant(stored.refreshed_at_ms),
        *instant(stored.created_at_ms),
        stored.epoch,
        stored.rotations,
        stored.unusual,
        stored.secret_id,
        created_offset,
        created_offset + len(created),
    )
    recent = b"".join(packed_instant(at_ms) for at_ms in stored.recent_ms)
    return head + names + created + (b"\0" if refreshed == created else b"\1" + refreshed) + recent


def parse(raw: bytes) -> Stored:
    """What `pack`, or a script, has written."""
    (_, delivery, reason, kind, tag, previous, generation, *instants) = HEAD.unpack_from(raw)
    *instants, epoch, rotations, unusual, secret_id, _, _ = instants
    advanced, revoked, idle, limit, refreshed, created = (
        joined(high, low) for high, low in zip(instants[::2], instants[1::2], strict=True)
    )
    at = HEAD.size
    texts = []
    for _ in range(6):
        text, at = text_at(raw, at)
        texts.append(text)
    client_id, user_id, username, adopted_from, address, device = texts
    is_elsewhere, at = raw[at], at + 1
    came_from = created_from = Caller(address, device)
    if is_elsewhere:
        address, at = text_at(raw, at)
        device, at = text_at(raw, at)
        came_from = Caller(address, device)
    recent = tuple(read_instant(raw, start) for start in range(at, len(raw), _INSTANT_BYTES))
    return Stored(
        delivery=delivery,
        reason=reason,
        kind=kind,
        tag=tag,
        previous=previous,
        generation=generation,
        advanced_at_ms=advanced,
        revoked_at_ms=revoked,
        idle_expires_at_ms=idle,
        max_expires_at_ms=limit,
        refreshed_at_ms=refreshed,
        created_at_ms=created,
        epoch=epoch,
        rotations=rotations,
        unusual=unusual,
        secret_id=secret_id,
        client_id=client_id,
        user_id=user_id,
        username=username,
        adopted_from=adopted_from,
        created_from=created_from,
        refreshed_from=came_from,
        recent_ms=recent,
    )


def place(caller: Caller) -> bytes:
    """Where somebody called from."""
    return _text(caller.address) + _text(caller.device)


def _text(text: str) -> bytes:
    raw = encoded(text)[:_LONGEST_TEXT]
    return _TEXT.pack(len(raw)) + raw


def text_at(raw: bytes, at: int) -> tuple[str, int]:
    """A text, and where it ends."""
    (length,) = _TEXT.unpack_from(raw, at)
    end = at + 2 + length
    return raw[at + 2 : end].decode("utf-8", "replace"), end


def instant(at_ms: int) -> tuple[int, int]:
    """48 bits with a sign, as 16 and 32."""
    return at_ms >> 32, at_ms & 0xFFFF_FFFF


def joined(high: int, low: int) -> int:
    """The other way round."""
    return (high << 32) | low


def packed_instant(at_ms: int) -> bytes:
    """The same as bytes."""
    return at_ms.to_bytes(_INSTANT_BYTES, "big", signed=True)


def read_instant(raw: bytes, at: int) -> int:
    """What stands there."""
    return int.from_bytes(raw[at : at + _INSTANT_BYTES], "big", signed=True)
