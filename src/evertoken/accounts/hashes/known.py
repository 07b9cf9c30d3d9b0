"""Which family a stored hash belongs to, by how it begins."""

import re
from collections.abc import Callable
from typing import Final

from evertoken.accounts.hashes import argon2, bcrypt, pbkdf2, scrypt
from evertoken.accounts.hashes.cost import OWASP_MINIMUM, HashingParameters
from evertoken.accounts.hashes.family import MAX_HASH_CHARACTERS, HashRefused, KnownHash

_ARGON2: Final = frozenset({"$argon2id", "$argon2i", "$argon2d", "argon2"})

_READERS: Final[dict[str, Callable[[str], KnownHash]]] = {
    "pbkdf2_sha256": pbkdf2.read_django,
    "pbkdf2_sha1": pbkdf2.read_django,
    "$pbkdf2": pbkdf2.read_passlib,
    "$pbkdf2-sha256": pbkdf2.read_passlib,
    "$pbkdf2-sha512": pbkdf2.read_passlib,
    "pbkdf2:": pbkdf2.read_werkzeug,
    "scrypt": scrypt.read_django,
    "$scrypt": scrypt.read_passlib,
    "scrypt:": scrypt.read_werkzeug,
    "$2a": bcrypt.read_plain,
    "$2b": bcrypt.read_plain,
    "$2y": bcrypt.read_plain,
    "bcrypt": bcrypt.read_django,
    "bcrypt_sha256": bcrypt.read_django_sha256,
    "$bcrypt-sha256": bcrypt.read_passlib_sha256,
}

_TOO_QUICK: Final = "is {}, which is guessed at billions a second; import these users without a password_hash"
_REFUSED: Final = {
    **dict.fromkeys(("md5", "unsalted_md5", "$1", "$apr1"), _TOO_QUICK.format("MD5")),
    **dict.fromkeys(("sha1", "unsalted_sha1"), _TOO_QUICK.format("SHA-1")),
    "crypt": _TOO_QUICK.format("DES crypt"),
    "$2": "is of the first bcrypt, which has a flaw; import these users without a password_hash",
    "$2x": "is of a bcrypt that had a flaw; import these users without a password_hash",
    "$5": "is sha256-crypt, which is not read here; import these users without a password_hash",
    "$6": "is sha512-crypt, which is not read here; import these users without a password_hash",
}
_BARE_DIGEST: Final = re.compile(r"[0-9A-Fa-f]{32}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}|[0-9A-Fa-f]{128}")


def read_hash(encoded: str, own: HashingParameters = OWASP_MINIMUM) -> KnownHash:
    """
    Read a password hash of evertoken, Django, passlib, Werkzeug or plain bcrypt.

    Args:
        own: The parameters of our own hashes, which are read whatever they cost.

    Raises:
        HashRefused: It is damaged, of a kind that is too weak or not known, or would take more than some seconds to
            check. The message never holds a part of it.
    """
    # Some readers of hashes stop at the first NUL, so what stands behind one would go unseen.
    if len(encoded) > MAX_HASH_CHARACTERS or not encoded.isascii() or not encoded.isprintable():
        raise HashRefused("is not a password hash")
    kind = _kind(encoded)
    if kind in _ARGON2:
        return argon2.read(encoded, own)
    reader = _READERS.get(kind)
    if reader is not None:
        return reader(encoded)
    if _BARE_DIGEST.fullmatch(encoded):
        raise HashRefused(_TOO_QUICK.format("a bare digest without a salt"))
    raise HashRefused(_REFUSED.get(kind, "is not of a kind that is read here; docs/adopting.md lists them"))


def _kind(encoded: str) -> str:
    """How the hash begins: `$2b`, `bcrypt`, or with a colon for Werkzeug's, `scrypt:`."""
    if encoded.startswith("$"):
        return "$" + encoded[1:].partition("$")[0]
    name = encoded.partition("$")[0]
    return name.partition(":")[0] + ":" if ":" in name else name
