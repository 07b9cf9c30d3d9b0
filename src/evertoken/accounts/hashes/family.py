"""What every family of password hashes gives, and how it says that a hash cannot be taken."""

import base64
import binascii
from typing import Final, Protocol

from evertoken.accounts.hashes.cost import HashingParameters
from evertoken.errors import EvertokenError

MAX_HASH_CHARACTERS: Final = 1024
MAX_SALT_BYTES: Final = 128
"""Both far beyond what any library writes."""


class HashRefused(EvertokenError):
    """
    This text is no password hash that we can check a password against.

    The message goes on from "password_hash": `is damaged`. It never holds a part of the hash.
    """


class KnownHash(Protocol):
    """A stored hash that was read, and is not too dear to check."""

    def matches(self, password: bytes) -> bool:
        """
        Whether this is its password. Takes the hash's full time for a wrong one; compares in constant time.

        Raises:
            TemporarilyUnavailable: There is no memory for it.
        """

    def is_weaker_than(self, wanted: HashingParameters) -> bool:
        """Whether it should be made anew at the next sign-in."""

    def costs_as(self, wanted: HashingParameters) -> bool:
        """Whether checking it takes as long as checking one of ours."""


class Foreign:
    """What all hashes of other libraries have in common: each is made anew, as one of ours, when its owner signs in."""

    def is_weaker_than(self, wanted: HashingParameters) -> bool:
        """Always."""
        del wanted
        return True

    def costs_as(self, wanted: HashingParameters) -> bool:
        """Never, but by chance."""
        del wanted
        return False


def damaged() -> HashRefused:
    """A hash whose kind is known and whose parts are not as they should be."""
    return HashRefused("is damaged: it is not as its kind is written")


def too_dear() -> HashRefused:
    """A hash that would keep us busy for longer than a sign-in may take."""
    return HashRefused("asks for more work than is done for a sign-in here; see docs/adopting.md for the limits")


def from_base64(text: str) -> bytes:
    """
    Base64 with or without padding; passlib writes `.` for `+`.

    Raises:
        HashRefused: It is not base64.
    """
    plain = text.rstrip("=").replace(".", "+")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error as error:
        raise damaged() from error


def from_hex(text: str) -> bytes:
    """
    Hexadecimal digits.

    Raises:
        HashRefused: It is anything else.
    """
    try:
        return bytes.fromhex(text)
    except ValueError as error:
        raise damaged() from error
