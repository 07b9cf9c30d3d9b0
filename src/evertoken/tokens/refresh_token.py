"""
The refresh token: opaque to everyone but us, and genuine or not before the store is asked.

It says which session it belongs to and where it stands in the succession (docs/rotation.md), under a MAC. A
forged one costs no query and revokes nothing. None is stored, and none can be made from a store's contents.
"""

import enum
import secrets as system_random
import struct
from dataclasses import dataclass
from typing import Final

from evertoken.errors import BadSignature, MalformedToken
from evertoken.tokens import base64url
from evertoken.tokens.server_secrets import SecretRing

PREFIX: Final = "etr_"  # lets secret scanners find leaks
TAG_BYTES: Final = 16
SESSION_ID_BYTES: Final = 16
NO_PARENT: Final = bytes(TAG_BYTES)
NOT_MINTED: Final = bytes(4)

_VERSION: Final = 1
# version, delivery, key id, session id, generation, tag, parent, issued at (48 bits, as 16 and 32)
_BODY: Final = struct.Struct(">BB4s16sI16s16sHI")
_MAC_BYTES: Final = 32
_CHARACTERS: Final = len(PREFIX) + (_BODY.size + _MAC_BYTES) * 4 // 3  # 132: the bytes fill it without a rest


class Delivery(enum.IntEnum):
    """How a session's refresh tokens travel; chosen at sign-in, for the whole session."""

    BODY = 1
    COOKIE = 2


_DELIVERIES: Final = {int(delivery): delivery for delivery in Delivery}


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """
    What a refresh token says.

    Args:
        session_id: 16 bytes.
        generation: How many successions lie between the first token of the session and this one; 32 bits.
        tag: This token's own 16 random bytes.
        parent: The tag of the token that was presented when this one was made; zeros for the first.
        issued_at_ms: Milliseconds since the epoch by the clock of the store; 48 bits.
        delivery: A token that came by cookie leaves by cookie only.
        key_id: The secret that signed it; zeros before it is minted.
    """

    session_id: bytes
    generation: int
    tag: bytes
    parent: bytes
    issued_at_ms: int
    delivery: Delivery
    key_id: bytes = NOT_MINTED


def first(*, session_id: bytes, delivery: Delivery, now_ms: int) -> RefreshToken:
    """The token that a sign-in hands out."""
    return RefreshToken(session_id, 0, system_random.token_bytes(TAG_BYTES), NO_PARENT, now_ms, delivery)


def child_of(token: RefreshToken, *, now_ms: int) -> RefreshToken:
    """A successor of a genuine token. Two calls make two different children; whichever is presented ripe wins."""
    return RefreshToken(
        token.session_id,
        token.generation + 1,
        system_random.token_bytes(TAG_BYTES),
        token.tag,
        now_ms,
        token.delivery,
    )


def mint(token: RefreshToken, secrets: SecretRing) -> str:
    """The token as text, signed by the minting secret whatever `token.key_id` says; 132 characters."""
    minting = secrets.minting
    body = _BODY.pack(
        _VERSION,
        token.delivery,
        minting.key_id,
        token.session_id,
        token.generation,
        token.tag,
        token.parent,
        token.issued_at_ms >> 32,
        token.issued_at_ms & 0xFFFFFFFF,
    )
    return PREFIX + base64url.encode(body + minting.refresh_token.of(body))


def parse(text: str, secrets: SecretRing) -> RefreshToken:
    """
    Read a refresh token that one of our secrets signed.

    Raises:
        MalformedToken: It is none of ours, whoever signed it.
        BadSignature: Its MAC is wrong, or its secret is no longer in the ring.
        Anything else is a bug: please report it.
    """
    if len(text) != _CHARACTERS or not text.startswith(PREFIX):
        raise MalformedToken("not a refresh token")
    raw = base64url.decode(text[len(PREFIX) :])
    body = raw[: _BODY.size]
    version, delivery, key_id, session_id, generation, tag, parent, issued_high, issued_low = _BODY.unpack(body)
    if version != _VERSION or delivery not in _DELIVERIES:
        raise MalformedToken("a refresh token of another version")
    secret = secrets.find(key_id)
    if secret is None or not secret.refresh_token.is_genuine(raw[_BODY.size :], body):
        raise BadSignature("no secret of ours signed this refresh token")
    return RefreshToken(
        session_id,
        generation,
        tag,
        parent,
        issued_high << 32 | issued_low,
        _DELIVERIES[delivery],
        key_id,
    )
