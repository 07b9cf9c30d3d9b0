"""
PBKDF2: Django's default for many years (`pbkdf2_sha256$...`), passlib's `$pbkdf2-sha256$...` and Werkzeug's
`pbkdf2:sha256:...`.
"""

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final

from evertoken.accounts.hashes.family import (
    MAX_SALT_BYTES,
    Foreign,
    HashRefused,
    damaged,
    from_base64,
    from_hex,
    too_dear,
)

MAX_ITERATIONS: Final = 5_000_000
"""Some seconds of one core; Django 6.0 writes 1,200,000."""

_DIGEST_BYTES: Final = {"sha1": 20, "sha256": 32, "sha512": 64}
_ITERATIONS: Final = re.compile(r"[1-9][0-9]{0,9}")


@dataclass(frozen=True, slots=True)
class Pbkdf2Hash(Foreign):
    """One of any library's."""

    algorithm: str
    iterations: int
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    def matches(self, password: bytes) -> bool:
        """Whether this is its password."""
        made = hashlib.pbkdf2_hmac(self.algorithm, password, self.salt, self.iterations)
        return hmac.compare_digest(made, self.digest)


def read_django(encoded: str) -> Pbkdf2Hash:
    """
    Read `pbkdf2_sha256$1000000$salt$digest`; the salt is text, the digest base64.

    Raises:
        HashRefused: It is damaged, or asks for too much.
    """
    name, iterations, salt, digest = _parts(encoded, 4)
    return _checked(name.removeprefix("pbkdf2_"), iterations, salt.encode(), from_base64(digest))


def read_passlib(encoded: str) -> Pbkdf2Hash:
    """
    Read `$pbkdf2-sha256$29000$salt$digest`; `$pbkdf2$` is SHA-1.

    Raises:
        HashRefused: It is damaged, or asks for too much.
    """
    _, name, iterations, salt, digest = _parts(encoded, 5)
    algorithm = "sha1" if name == "pbkdf2" else name.removeprefix("pbkdf2-")
    return _checked(algorithm, iterations, from_base64(salt), from_base64(digest))


def read_werkzeug(encoded: str) -> Pbkdf2Hash:
    """
    Read `pbkdf2:sha256:1000000$salt$digest`; the salt is text, the digest hexadecimal.

    Raises:
        HashRefused: It is damaged, of another digest, or asks for too much.
    """
    method, salt, digest = _parts(encoded, 3)
    _, algorithm, iterations = _parts(method, 3, ":")
    return _checked(algorithm, iterations, salt.encode(), from_hex(digest))


def _parts(text: str, count: int, separator: str = "$") -> list[str]:
    parts = text.split(separator)
    if len(parts) != count:
        raise damaged()
    return parts


def _checked(algorithm: str, iterations: str, salt: bytes, digest: bytes) -> Pbkdf2Hash:
    if algorithm not in _DIGEST_BYTES:
        raise HashRefused("is PBKDF2 of a digest that is not read here: SHA-1, SHA-256 and SHA-512 are")
    if not _ITERATIONS.fullmatch(iterations) or not 1 <= len(salt) <= MAX_SALT_BYTES:
        raise damaged()
    # A digest that was cut short would be matched by many passwords.
    if len(digest) != _DIGEST_BYTES[algorithm]:
        raise damaged()
    if int(iterations) > MAX_ITERATIONS:
        raise too_dear()
    return Pbkdf2Hash(algorithm, int(iterations), salt, digest)
