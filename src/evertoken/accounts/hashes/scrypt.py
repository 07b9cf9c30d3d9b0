"""scrypt: Django's `scrypt$...`, passlib's `$scrypt$...` and Werkzeug's `scrypt:...`, the default of Flask projects."""

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import Final

from evertoken.accounts.hashes.family import MAX_SALT_BYTES, Foreign, damaged, from_base64, from_hex, too_dear
from evertoken.errors import TemporarilyUnavailable

MAX_MEMORY_BYTES: Final = 128 * 2**20
"""What one hash may need: 128 * n * r. passlib's default needs 64 MiB, Werkzeug's 32."""

MAX_WORK_BYTES: Final = 512 * 2**20
"""The memory times p. Django 5.1 and later write 80 MiB."""

_DIGEST_BYTES: Final = frozenset({32, 64})
_DJANGO: Final = re.compile(r"scrypt\$([0-9]{1,9})\$([^$]+)\$([0-9]{1,5})\$([0-9]{1,5})\$([^$]+)")
_PASSLIB: Final = re.compile(r"\$scrypt\$ln=([0-9]{1,2}),r=([0-9]{1,5}),p=([0-9]{1,5})\$([^$]+)\$([^$]+)")
_WERKZEUG: Final = re.compile(r"scrypt:([0-9]{1,9}):([0-9]{1,5}):([0-9]{1,5})\$([^$]+)\$([^$]+)")


@dataclass(frozen=True, slots=True)
class ScryptHash(Foreign):
    """One of any library's."""

    n: int
    r: int
    p: int
    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)

    def matches(self, password: bytes) -> bool:
        """
        Whether this is its password.

        Raises:
            TemporarilyUnavailable: There is no memory for it.
        """
        try:
            made = hashlib.scrypt(
                password,
                salt=self.salt,
                n=self.n,
                r=self.r,
                p=self.p,
                maxmem=2 * MAX_MEMORY_BYTES,
                dklen=len(self.digest),
            )
        except (MemoryError, ValueError) as error:  # its numbers have been checked: what OpenSSL lacks is memory
            raise TemporarilyUnavailable("a password could not be checked") from error
        return hmac.compare_digest(made, self.digest)


def read_django(encoded: str) -> ScryptHash:
    """
    Read `scrypt$n$salt$r$p$digest`; the salt is text, the digest base64.

    Raises:
        HashRefused: It is damaged, or asks for too much.
    """
    n, salt, r, p, digest = _found(_DJANGO, encoded)
    return _checked(int(n), int(r), int(p), salt.encode(), from_base64(digest))


def read_passlib(encoded: str) -> ScryptHash:
    """
    Read `$scrypt$ln=16,r=8,p=1$salt$digest`; ln is the logarithm of n.

    Raises:
        HashRefused: It is damaged, or asks for too much.
    """
    ln, r, p, salt, digest = _found(_PASSLIB, encoded)
    return _checked(1 << int(ln), int(r), int(p), from_base64(salt), from_base64(digest))


def read_werkzeug(encoded: str) -> ScryptHash:
    """
    Read `scrypt:n:r:p$salt$digest`; the salt is text, the digest hexadecimal.

    Raises:
        HashRefused: It is damaged, or asks for too much.
    """
    n, r, p, salt, digest = _found(_WERKZEUG, encoded)
    return _checked(int(n), int(r), int(p), salt.encode(), from_hex(digest))


def _found(form: re.Pattern[str], encoded: str) -> tuple[str, ...]:
    match = form.fullmatch(encoded)
    if match is None:
        raise damaged()
    return match.groups()


def _checked(n: int, r: int, p: int, salt: bytes, digest: bytes) -> ScryptHash:
    # n is a power of two and more than 1 (RFC 7914 §2); with a small r it is also bounded by it.
    if n <= 1 or n & (n - 1) or r < 1 or p < 1 or n.bit_length() - 1 >= 16 * r:
        raise damaged()
    if len(digest) not in _DIGEST_BYTES or not 1 <= len(salt) <= MAX_SALT_BYTES:
        raise damaged()
    memory = 128 * n * r
    if memory > MAX_MEMORY_BYTES or memory * p > MAX_WORK_BYTES:
        raise too_dear()
    return ScryptHash(n, r, p, salt, digest)
