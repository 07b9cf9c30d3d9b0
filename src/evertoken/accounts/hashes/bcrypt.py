"""
bcrypt: plain (`$2b$...`), in Django's forms (`bcrypt$$2b$...`, `bcrypt_sha256$$2b$...`) and passlib's
`$bcrypt-sha256$...`. Needs the package bcrypt: pip install 'evertoken[bcrypt]'.

bcrypt reads 72 bytes of a password. Whoever made a plain hash of a longer one has cut it there, knowingly or not, so we
cut as well, or its owner could not sign in. That ends with the first sign-in, when the hash is made anew.
"""

import base64
import hashlib
import hmac
import importlib.util
import re
from dataclasses import dataclass, field
from typing import Final, Literal

from evertoken.accounts.hashes.family import Foreign, HashRefused, damaged, too_dear

MAX_COST: Final = 15
"""The logarithm of the rounds: 12 is usual, and each step doubles the time; 15 is some seconds."""

MOST_BYTES_READ: Final = 72

_LEAST_COST: Final = 4
_ALPHABET: Final = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_SALT_AND_DIGEST: Final = r"(?P<salt>[./A-Za-z0-9]{22})(?P<digest>[./A-Za-z0-9]{31})"
_PLAIN: Final = re.compile(r"\$2[aby]\$(?P<cost>[0-9]{2})\$" + _SALT_AND_DIGEST)
_PASSLIB_SHA256: Final = re.compile(
    r"\$bcrypt-sha256\$(?:2[ab],(?P<old_cost>[0-9]{1,2})|v=2,t=2b,r=(?P<cost>[0-9]{1,2}))"
    r"\$(?P<salt>[./A-Za-z0-9]{22})\$(?P<digest>[./A-Za-z0-9]{31})"
)

Before = Literal["nothing", "sha256 hex", "sha256 base64", "hmac base64"]
"""What is done to a password before bcrypt gets it."""


@dataclass(frozen=True, slots=True)
class BcryptHash(Foreign):
    """
    One of any library's.

    Args:
        salt: 22 characters in bcrypt's alphabet, stray bits cleared.
        digest: 31 of them, likewise.
    """

    cost: int
    salt: str = field(repr=False)
    digest: str = field(repr=False)
    before: Before = "nothing"

    def matches(self, password: bytes) -> bool:
        """Whether this is its password."""
        import bcrypt  # noqa: PLC0415 - an extra; `read` has seen that it is there

        given = self._prepared(password)
        # No library makes a hash of a NUL. C's crypt would stop at one, so that what stands behind it went unseen.
        is_possible = b"\0" not in given
        made = bcrypt.hashpw(given.replace(b"\0", b"?")[:MOST_BYTES_READ], f"$2b${self.cost:02}${self.salt}".encode())
        return hmac.compare_digest(made[-len(self.digest) :], self.digest.encode()) and is_possible

    def _prepared(self, password: bytes) -> bytes:
        if self.before == "sha256 hex":
            return hashlib.sha256(password).hexdigest().encode()
        if self.before == "sha256 base64":
            return base64.b64encode(hashlib.sha256(password).digest())
        if self.before == "hmac base64":
            return base64.b64encode(hmac.digest(self.salt.encode(), password, "sha256"))
        return password


def read_plain(encoded: str) -> BcryptHash:
    """
    Read `$2b$12$...`; `$2a$` and `$2y$` are the same for text in UTF-8.

    Raises:
        HashRefused: It is damaged, asks for too much, or the package bcrypt is not installed.
    """
    return _read(_PLAIN.fullmatch(encoded), "nothing")


def read_django(encoded: str) -> BcryptHash:
    """
    Read `bcrypt$$2b$12$...`.

    Raises:
        HashRefused: As `read_plain`.
    """
    return _read(_PLAIN.fullmatch(encoded.removeprefix("bcrypt$")), "nothing")


def read_django_sha256(encoded: str) -> BcryptHash:
    """
    Read `bcrypt_sha256$$2b$12$...`, in which no password is too long.

    Raises:
        HashRefused: As `read_plain`.
    """
    return _read(_PLAIN.fullmatch(encoded.removeprefix("bcrypt_sha256$")), "sha256 hex")


def read_passlib_sha256(encoded: str) -> BcryptHash:
    """
    Read `$bcrypt-sha256$v=2,t=2b,r=12$salt$digest`, and version 1, `$bcrypt-sha256$2b,12$salt$digest`.

    Raises:
        HashRefused: As `read_plain`.
    """
    match = _PASSLIB_SHA256.fullmatch(encoded)
    return _read(match, "hmac base64" if match is not None and match["cost"] else "sha256 base64")


def _read(match: re.Match[str] | None, before: Before) -> BcryptHash:
    if match is None:
        raise damaged()
    groups = match.groupdict()
    cost = int(groups["cost"] or groups["old_cost"])
    if cost < _LEAST_COST:
        raise damaged()
    if cost > MAX_COST:
        raise too_dear()
    if importlib.util.find_spec("bcrypt") is None:
        raise HashRefused("is bcrypt, which needs a package that is not installed: pip install 'evertoken[bcrypt]'")
    return BcryptHash(cost, _without_stray_bits(match["salt"], 4), _without_stray_bits(match["digest"], 2), before)


def _without_stray_bits(text: str, bits: int) -> str:
    """Clear the bits of the last character that stand for nothing: some libraries have left dust there."""
    return text[:-1] + _ALPHABET[_ALPHABET.index(text[-1]) >> bits << bits]
