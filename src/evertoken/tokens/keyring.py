"""
Which key signs, which keys verify, and how one follows another (docs/operating.md).

A new key is published before it signs, so that every guard knows it by then; an old one verifies until the last
token that it signed has expired. So a rotation refuses nobody's token.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Final

from evertoken.errors import ConfigurationError
from evertoken.tokens.signing_keys import SigningKey

VERIFYING_LEEWAY_MS: Final = 60_000
"""How much longer than its last token an old key verifies: as far as a guard may forgive an expired token."""


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """
    A signing key and its time.

    Args:
        signs_from_ms: When it takes over. Before, it is announced: published, and good for verifying.
        verifies_until_ms: From when on nothing that it signed is good any more; None while no end is set.
    """

    key: SigningKey
    signs_from_ms: int
    verifies_until_ms: int | None = None

    def is_alive(self, *, now_ms: int) -> bool:
        """Whether what it signed may still be good."""
        return self.verifies_until_ms is None or now_ms < self.verifies_until_ms


class KeyRing:
    """The signing keys of a server as they are known at one time; never changed, only replaced."""

    __slots__ = ("_by_kid", "records")

    def __init__(self, records: Iterable[KeyRecord]) -> None:
        """
        Raises:
            ConfigurationError: A kid occurs twice.
        """
        self.records = tuple(sorted(records, key=lambda record: record.signs_from_ms))
        self._by_kid = {record.key.kid: record for record in self.records}
        if len(self._by_kid) != len(self.records):
            raise ConfigurationError("signing keys", "two keys have the same kid; delete one of them")

    def __repr__(self) -> str:
        return f"KeyRing({', '.join(self._by_kid)})"

    def signing_key(self, *, now_ms: int) -> SigningKey:
        """
        The newest key whose time to sign has come.

        Raises:
            ConfigurationError: There is none.
        """
        for record in reversed(self.records):
            if record.signs_from_ms <= now_ms and record.is_alive(now_ms=now_ms):
                return record.key
        raise ConfigurationError("signing keys", "no key may sign now; add one, or set this machine's clock")

    def find(self, kid: str, *, now_ms: int) -> SigningKey | None:
        """The key of this kid if it verifies now. `kid` comes from strangers: it is looked up and nothing else."""
        record = self._by_kid.get(kid)
        return record.key if record is not None and record.is_alive(now_ms=now_ms) else None

    def jwks(self, *, now_ms: int) -> dict[str, Any]:
        """The JWK set to publish: the public part of every key that is announced, signs or still verifies."""
        alive = (record.key.public_jwk() for record in self.records if record.is_alive(now_ms=now_ms))
        return {"keys": [jwk for jwk in alive if jwk is not None]}


def plan_rotation(
    ring: KeyRing, new_key: SigningKey, *, now_ms: int, announce_ms: int, access_lifetime_ms: int
) -> tuple[KeyRecord, ...]:
    """
    The records after a rotation: the new key announced, an end set for all others, the dead ones gone.

    Args:
        new_key: It signs after `announce_ms`; at once where no other key could sign until then.
        announce_ms: How long guards may go without reading the JWK set.
        access_lifetime_ms: How long an access token lives, at most.
    """
    alive = [record for record in ring.records if record.is_alive(now_ms=now_ms)]
    is_bridged = any(record.signs_from_ms <= now_ms for record in alive)
    # After every other key, even one that is announced for later: the newest must be the one that stays.
    latest_ms = max((record.signs_from_ms + 1 for record in alive), default=now_ms)
    signs_from_ms = max(now_ms + announce_ms, latest_ms) if is_bridged else now_ms
    ends_ms = signs_from_ms + access_lifetime_ms + VERIFYING_LEEWAY_MS
    others = (_succeeded(record, at_ms=signs_from_ms, ends_ms=ends_ms) for record in alive)
    return (*others, KeyRecord(new_key, signs_from_ms))


def _succeeded(record: KeyRecord, *, at_ms: int, ends_ms: int) -> KeyRecord:
    """The record once another key takes over from it. One that comes later still is not succeeded."""
    if record.signs_from_ms > at_ms:
        return record
    end_ms = ends_ms if record.verifies_until_ms is None else min(record.verifies_until_ms, ends_ms)
    return replace(record, verifies_until_ms=end_ms)
