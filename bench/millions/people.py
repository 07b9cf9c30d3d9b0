"""
Whom a store is filled with: as a service of some years has them.

Pure: a session follows from its number alone, so that it can be presented later without being remembered. Of twenty
sessions fifteen are live, two expired within the last thirty days, one was signed out within them, and two have
been over for longer, which is what the sweeper removes. Two sessions belong to one user.
"""

import base64
import hashlib
import random
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from evertoken.sessions.rotation import Reason
from evertoken.sessions.store import KEPT_AFTER_END_MS
from evertoken.tokens.refresh_token import Delivery, RefreshToken

KINDS: Final = 20
_LONG_OVER: Final = (0, 1)
_SIGNED_OUT: Final = 2
_EXPIRED: Final = (3, 4)
SWEPT_SHARE: Final = len(_LONG_OVER) / KINDS
LIVE_SHARE: Final = (KINDS - 5) / KINDS

SESSIONS_PER_USER: Final = 2
_PASSES: Final = 3
SECRET_ID: Final = b"evbe"
CLIENT: Final = "web"
_DAY_MS: Final = 24 * 3600 * 1000
_REMEMBERED_ROTATIONS: Final = 20
_WORDS: Final = struct.Struct(">2I")

_DEVICES: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148",
    "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36",
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/605.1.15",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:132.0) Gecko/20100101 Firefox/132.0",
)


class Person(NamedTuple):
    """A session, or who has it, as a store's row says it. Instants are milliseconds."""

    id: bytes
    tag: bytes
    previous: bytes
    generation: int
    user_id: str
    username: str
    created_at_ms: int
    refreshed_at_ms: int
    idle_expires_at_ms: int
    revoked_at_ms: int | None
    reason: Reason | None
    created_address: str
    created_device: str
    refreshed_address: str
    recent_ms: tuple[int, ...]

    def token(self) -> RefreshToken:
        """The newest refresh token, which its holder presents next: as `child_of` goes on from it."""
        issued_at_ms = self.refreshed_at_ms
        return RefreshToken(self.id, self.generation, self.tag, self.previous, issued_at_ms, Delivery.BODY, SECRET_ID)


def user_name(number: int) -> tuple[str, str]:
    """The id and the name of a user."""
    raw = hashlib.blake2b(number.to_bytes(8, "big"), digest_size=12, person=b"user").digest()
    return "usr_" + base64.urlsafe_b64encode(raw).decode(), f"user{number}@example.org"


def users_of(count: int) -> int:
    """How many users have so many sessions."""
    return -(-count // SESSIONS_PER_USER)


def session(number: int, now_ms: int, *, idle_ms: int) -> Person:
    """
    One of them.

    Args:
        now_ms: When the store is filled.
        idle_ms: How long an unused session lives.
    """
    raw = _raw(number)
    when, how_often = (word / 2**32 for word in _WORDS.unpack_from(raw, 48))
    kind = number % KINDS
    owner, username = user_name(number // SESSIONS_PER_USER)
    # When it was used last, or ended.
    if kind in _LONG_OVER:
        refreshed = now_ms - KEPT_AFTER_END_MS - idle_ms - round((1 + 60 * when) * _DAY_MS)
    elif kind in _EXPIRED:
        refreshed = now_ms - idle_ms - round((0.01 + 29 * when) * _DAY_MS)
    elif kind == _SIGNED_OUT:
        refreshed = now_ms - round(29.5 * when * _DAY_MS) - 1
    else:
        refreshed = now_ms - round(when * min(idle_ms, 2 * _DAY_MS)) // 2
    is_ended = kind in (_LONG_OVER[0], _SIGNED_OUT)
    rotations = raw[60] // 4
    every_ms = round((0.5 + how_often) * 3600 * 1000)
    recent = tuple(range(refreshed, refreshed - min(rotations, _REMEMBERED_ROTATIONS) * every_ms, -every_ms))
    address = f"{1 + raw[61] % 223}.{raw[62]}.{raw[63]}.{raw[59]}"
    moved = raw[58] < 64  # a quarter has another address than at the sign-in
    return Person(
        id=raw[:16],
        tag=raw[16:32],
        previous=raw[32:48] if rotations else b"",
        generation=rotations,
        user_id=owner,
        username=username,
        created_at_ms=refreshed - rotations * every_ms,
        refreshed_at_ms=refreshed,
        idle_expires_at_ms=refreshed + idle_ms,
        revoked_at_ms=refreshed if is_ended else None,
        reason=Reason.SIGNED_OUT if is_ended else None,
        created_address=address,
        created_device=_DEVICES[raw[57] % len(_DEVICES)],
        refreshed_address=f"10.{raw[62]}.{raw[63]}.{raw[59]}" if moved else address,
        recent_ms=recent,
    )


def everybody(count: int, now_ms: int, *, idle_ms: int) -> Iterator[Person]:
    """All of them, in the order of their numbers: their ids are in none."""
    return (session(number, now_ms, idle_ms=idle_ms) for number in range(count))


def in_passes(count: int, raw_id: Callable[[int], bytes]) -> Iterator[int]:
    """
    All numbers, in three passes, each in the order of what they are kept by.

    A table that is filled so has its pages as loosely filled as one that has grown at random, and a disk is not sought
    all over for each row.
    """
    for first in range(_PASSES):
        yield from sorted(range(first, count, _PASSES), key=raw_id)


def session_id(number: int) -> bytes:
    """Of a session, by its number."""
    return _raw(number)[:16]


def user_id(number: int) -> bytes:
    """Of a user, as it sorts."""
    return user_name(number)[0].encode()


def _raw(number: int) -> bytes:
    return hashlib.blake2b(number.to_bytes(8, "big"), digest_size=64).digest()


def live_ones(count: int, how_many: int, now_ms: int, *, idle_ms: int) -> list[Person]:
    """Some who are signed in, from all over the store; always the same."""
    chosen = random.Random(count)
    numbers: set[int] = set()
    while len(numbers) < min(how_many, round(count * LIVE_SHARE / 2)):
        number = chosen.randrange(count)
        if number % KINDS > max(_EXPIRED):
            numbers.add(number)
    return [session(number, now_ms, idle_ms=idle_ms) for number in sorted(numbers, key=lambda n: n % 9973)]


_HASH: Final = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$" + "A" * 43
USER_COLUMNS: Final = ("id", "username", "username_key", "password_hash", "created_at_ms", "roles")
EVENT_COLUMNS: Final = (
    *("kind", "at_ms", "last_at_ms", "session_id", "user_id", "username", "address", "device", "reason", "detail"),
)


def user_rows(numbers: Iterable[int], now_ms: int) -> Iterator[tuple[object, ...]]:
    """Rows of USER_COLUMNS."""
    for number in numbers:
        id_, name = user_name(number)
        yield id_, name, name, _HASH, now_ms, '["member"]'


def event_rows(one: Person) -> Iterator[tuple[object, ...]]:
    """Rows of EVENT_COLUMNS: the line of the sign-in, and that of the end where somebody ended it."""
    whose = (one.id, one.user_id, one.username)
    began = one.created_at_ms
    yield "sign_in", began, began, *whose, one.created_address, one.created_device, None, _SIGN_IN_DETAIL
    if one.revoked_at_ms is not None:
        ended = one.revoked_at_ms
        yield "session_ended", ended, ended, *whose, one.refreshed_address, one.created_device, one.reason, "{}"


_SIGN_IN_DETAIL: Final = '{"client":"web","delivery":"body"}'
