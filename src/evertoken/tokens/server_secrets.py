"""
The server's secrets, and the keys that are made from them.

A ring is a list: the first secret mints, all verify. To change the secret, put the new one last on every server,
then move it to the front, and drop the old one when `doctor` counts no session under it any more.
"""

import hmac
import secrets as system_random
from collections.abc import Iterator, Sequence
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from evertoken.errors import ConfigurationError
from evertoken.secret import Secret

MIN_SECRET_CHARACTERS: Final = 32
KEY_ID_BYTES: Final = 4
FINGERPRINT_BYTES: Final = 16
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_SETTING: Final = "secret"


class Mac:
    """
    HMAC-SHA256 for one purpose, under a key made for that purpose.

    The purpose is part of the key and comes first under the MAC, so nothing made for one purpose can stand in for
    another (RFC 8725 §3.12).
    """

    __slots__ = ("_prepared",)

    def __init__(self, secret: bytes, purpose: bytes) -> None:
        self._prepared = HMAC(_derive(secret, purpose, _KEY_BYTES), hashes.SHA256())
        self._prepared.update(purpose + b"\0")

    def of(self, message: bytes) -> bytes:
        """The 32 bytes that belong to `message`."""
        # A copy of the prepared state costs a third of hmac.digest; this runs in every refresh, twice.
        mac = self._prepared.copy()
        mac.update(message)
        return mac.finalize()

    def is_genuine(self, given: bytes, message: bytes) -> bool:
        """Whether `given` is the MAC of `message`, in the same time whatever it is."""
        return hmac.compare_digest(given, self.of(message))


class ServerSecret:
    """
    One secret of the ring, as the keys for each purpose. The secret itself is not kept.

    `key_id` names it in what it made; it tells nothing about the secret.
    """

    __slots__ = ("csrf", "key_id", "lookup", "refresh_token", "wrapping")

    def __init__(self, secret: Secret) -> None:
        text = secret.reveal()
        if len(text) < MIN_SECRET_CHARACTERS:
            raise ConfigurationError(
                _SETTING,
                f"a secret of {len(text)} characters can be guessed; take at least {MIN_SECRET_CHARACTERS} random ones",
            )
        raw = text.encode("utf-8", "surrogatepass")
        self.key_id = _derive(raw, b"evertoken/1/key-id", KEY_ID_BYTES)
        self.refresh_token = Mac(raw, b"evertoken/1/refresh-token")
        self.csrf = Mac(raw, b"evertoken/1/csrf")
        self.lookup = Mac(raw, b"evertoken/1/lookup")
        self.wrapping = AESGCM(_derive(raw, b"evertoken/1/key-wrapping", _KEY_BYTES))

    def __repr__(self) -> str:
        return f"ServerSecret(key_id={self.key_id.hex()})"


class SecretRing:
    """
    The secrets of the server: the first mints, all verify.

    Raises:
        ConfigurationError: There is none, one is shorter than 32 characters, or one stands there twice.
    """

    __slots__ = ("_by_key_id", "minting")

    def __init__(self, secrets: Sequence[Secret]) -> None:
        if not secrets:
            raise ConfigurationError(_SETTING, "is empty; set one of at least 32 random characters")
        entries = [ServerSecret(secret) for secret in secrets]
        self._by_key_id = {entry.key_id: entry for entry in entries}
        if len(self._by_key_id) != len(entries):
            raise ConfigurationError(_SETTING, "holds the same secret twice; name each once, the one that mints first")
        self.minting = entries[0]

    def __iter__(self) -> Iterator[ServerSecret]:
        return iter(self._by_key_id.values())

    def __len__(self) -> int:
        return len(self._by_key_id)

    def __repr__(self) -> str:
        return f"SecretRing({', '.join(key_id.hex() for key_id in self._by_key_id)})"

    def find(self, key_id: bytes) -> ServerSecret | None:
        """The secret of this id, or None where the ring no longer holds it."""
        return self._by_key_id.get(key_id)

    def wrap(self, plaintext: bytes, *, context: bytes) -> bytes:
        """
        Encrypt what the store keeps for us, under the minting secret: key id, nonce, ciphertext (AES-256-GCM).

        Args:
            context: What it is and whose, such as the kid of a signing key. `unwrap` demands the same, so that
                whoever can write to the store cannot put one thing in the place of another.
        """
        nonce = system_random.token_bytes(_NONCE_BYTES)
        key_id = self.minting.key_id
        return key_id + nonce + self.minting.wrapping.encrypt(nonce, plaintext, key_id + context)

    def unwrap(self, blob: bytes, *, context: bytes) -> bytes:
        """
        Decrypt what `wrap` made under any secret of the ring.

        Raises:
            ConfigurationError: Its secret is not in the ring, or it is damaged or belongs elsewhere.
        """
        if len(blob) < KEY_ID_BYTES + _NONCE_BYTES + _TAG_BYTES:
            raise ConfigurationError(_SETTING, "what the store holds is too short to have been encrypted by evertoken")
        key_id, nonce = blob[:KEY_ID_BYTES], blob[KEY_ID_BYTES : KEY_ID_BYTES + _NONCE_BYTES]
        entry = self.find(key_id)
        if entry is None:
            raise ConfigurationError(
                _SETTING,
                f"the store holds keys encrypted under a secret that is not configured (its id is {key_id.hex()}); "
                "put that secret back, after the one that mints, until they are encrypted anew",
            )
        try:
            return entry.wrapping.decrypt(nonce, blob[KEY_ID_BYTES + _NONCE_BYTES :], key_id + context)
        except InvalidTag:
            raise ConfigurationError(
                _SETTING,
                "a key in the store is damaged, or was moved from another row; restore it from a backup or delete it",
            ) from None

    def needs_rewrapping(self, blob: bytes) -> bool:
        """Whether `blob` was made under another secret than the one that mints now."""
        return blob[:KEY_ID_BYTES] != self.minting.key_id

    def fingerprint(self, text: str) -> bytes:
        """
        16 bytes that stand for a user name or an address where we must recognise it but not keep it.

        Made with the minting secret: when that changes, counters that go by fingerprints start anew.
        """
        # Names come from strangers and may hold half a surrogate pair: that must not raise.
        return self.minting.lookup.of(text.encode("utf-8", "surrogatepass"))[:FINGERPRINT_BYTES]


def _derive(secret: bytes, purpose: bytes, length: int) -> bytes:
    """HKDF-SHA256 (RFC 5869). No salt: the secret is random, and servers that share it must derive the same."""
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=purpose).derive(secret)
