"""
The server's signing keys: kept encrypted in the store, held here as the ring that signs and verifies.

A new key is announced in the JWKS before it signs, so that guards elsewhere know it by then; an old one stays
until its last token has expired.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from evertoken.tokens.keyring import KeyRecord, KeyRing, plan_rotation
from evertoken.tokens.server_secrets import SecretRing
from evertoken.tokens.signing_keys import Algorithm, SigningKey


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A signing key as the store keeps it; the private part only encrypted."""

    kid: str
    algorithm: str
    private_wrapped: bytes
    signs_from_ms: int
    verifies_until_ms: int | None


class KeyState(StrEnum):
    """What a key does at a time."""

    ANNOUNCED = "announced"
    SIGNING = "signing"
    VERIFYING = "verifying"
    RETIRED = "retired"


def key_states(stored: Sequence[StoredKey], *, now_ms: int) -> list[KeyState]:
    """
    What each key does now.

    Args:
        stored: All keys, the oldest first: the newest whose time to sign has come is the one that signs.
    """
    due = [key.kid for key in stored if key.signs_from_ms <= now_ms and _is_alive(key, now_ms)]
    return [_state(key, now_ms, signs=key.kid in due[-1:]) for key in stored]


def _state(key: StoredKey, now_ms: int, *, signs: bool) -> KeyState:
    if not _is_alive(key, now_ms):
        return KeyState.RETIRED
    if key.signs_from_ms > now_ms:
        return KeyState.ANNOUNCED
    return KeyState.SIGNING if signs else KeyState.VERIFYING


def _is_alive(key: StoredKey, now_ms: int) -> bool:
    return key.verifies_until_ms is None or now_ms < key.verifies_until_ms


class KeyStore(Protocol):
    """Where signing keys are kept."""

    async def list_keys(self) -> list[StoredKey]:
        """All of them, the oldest first."""

    async def add_first_key(self, key: StoredKey) -> bool:
        """Store a key if none of its algorithm that can sign is there: two workers that start at once make one."""

    async def save_keys(self, keys: list[StoredKey]) -> None:
        """Add or overwrite these keys, in one transaction."""


class KeyKeeper:
    """
    The present key ring of this process.

    Args:
        announce_ms: How long a new key is published before it signs.
        access_lifetime_ms: How long the last token of an old key lives.
    """

    def __init__(
        self, store: KeyStore, secrets: SecretRing, algorithm: Algorithm, *, announce_ms: int, access_lifetime_ms: int
    ) -> None:
        self._store = store
        self._secrets = secrets
        self._algorithm = algorithm
        self._announce_ms = announce_ms
        self._access_lifetime_ms = access_lifetime_ms
        self._stored: list[StoredKey] = []
        self._opened: dict[str, SigningKey] = {}
        self.ring = KeyRing(())

    async def start(self, *, now_ms: int) -> None:
        """
        Load the keys; make the first of the wanted algorithm; encrypt anew what is under an old secret.

        Raises:
            ConfigurationError: the keys are encrypted under a secret that is not among ours.
        """
        await self.reload()
        if not any(key.algorithm == self._algorithm for key in self._stored):
            await self._change_algorithm(now_ms=now_ms)
        outdated = [key for key in self._stored if self._secrets.needs_rewrapping(key.private_wrapped)]
        if outdated:
            await self._store.save_keys([self._rewrapped(key) for key in outdated])
            await self.reload()

    async def reload(self) -> None:
        """Read the store again; cheap when nothing has changed."""
        stored = await self._store.list_keys()
        if stored == self._stored:
            return
        self._opened = {key.kid: self._opened.get(key.kid) or self._open(key) for key in stored}
        self.ring = KeyRing(
            tuple(KeyRecord(self._opened[key.kid], key.signs_from_ms, key.verifies_until_ms) for key in stored)
        )
        self._stored = stored

    async def rotate(self, *, now_ms: int, announce_ms: int | None = None) -> SigningKey:
        """Make a new key, announce it now, let it sign once every guard can know it."""
        new = SigningKey.generate(self._algorithm)
        announce = self._announce_ms if announce_ms is None else announce_ms
        planned = plan_rotation(
            self.ring, new, now_ms=now_ms, announce_ms=announce, access_lifetime_ms=self._access_lifetime_ms
        )
        await self._store.save_keys([self._stored_form(record) for record in planned])
        await self.reload()
        return new

    def stored(self) -> tuple[StoredKey, ...]:
        """The keys as they were read last, the oldest first; those that are retired stay for 30 days."""
        return tuple(self._stored)

    def signing_key(self, *, now_ms: int) -> SigningKey:
        """The key that signs now."""
        return self.ring.signing_key(now_ms=now_ms)

    def find(self, kid: str, *, now_ms: int) -> SigningKey | None:
        """A key that verifies now, by its id."""
        return self.ring.find(kid, now_ms=now_ms)

    def jwks(self, *, now_ms: int) -> dict[str, Any]:
        """The public keys (RFC 7517), announced ones included."""
        return self.ring.jwks(now_ms=now_ms)

    async def _change_algorithm(self, *, now_ms: int) -> None:
        """The first key of all signs at once; after a change of the setting the new algorithm is announced first."""
        if self._stored:
            await self.rotate(now_ms=now_ms)
            return
        # Not from now on: where this machine's clock is set back, there must still be a key that signs.
        first = KeyRecord(SigningKey.generate(self._algorithm), 0, None)
        await self._store.add_first_key(self._stored_form(first))
        await self.reload()

    def _open(self, key: StoredKey) -> SigningKey:
        private = self._secrets.unwrap(key.private_wrapped, context=key.kid.encode())
        return SigningKey.from_private_bytes(Algorithm(key.algorithm), key.kid, private)

    def _stored_form(self, record: KeyRecord) -> StoredKey:
        key = record.key
        wrapped = self._secrets.wrap(key.to_private_bytes(), context=key.kid.encode())
        return StoredKey(key.kid, key.algorithm.value, wrapped, record.signs_from_ms, record.verifies_until_ms)

    def _rewrapped(self, key: StoredKey) -> StoredKey:
        record = KeyRecord(self._opened[key.kid], key.signs_from_ms, key.verifies_until_ms)
        return self._stored_form(record)
