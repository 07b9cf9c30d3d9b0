"""
A password as text and as bytes: how it is normalised, and how long it may be.

Everything that hashes or judges a password reads it through here, so that a password set on one keyboard is
the same password on another.
"""

import re
import unicodedata
from typing import Final

from evertoken.errors import EvertokenError
from evertoken.secret import Secret

MAX_PASSWORD_BYTES: Final = 1024
"""The longest password, in bytes of UTF-8 after normalisation: 256 code points of any script, 1024 of ASCII.
NIST SP 800-63B-4 §3.1.1.2 asks for at least 64 code points."""

_MAX_CODE_POINTS_MERGED: Final = 4
"""NFKC never makes one code point out of more than this many (a Greek vowel and its three marks)."""

_LONE_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")


class PasswordRefused(EvertokenError):
    """
    This text cannot be a password; `.rule` says which rule it breaks, the message what to do about it.

    Args:
        rule: A stable code: `not_text`, `too_long`, `too_short`, `too_common`, `contains_username`,
            `contains_service_name`, `repetitive` or `sequential`.
        message: For the person who chose it. Never holds a part of the password.
    """

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


def is_too_long(password: Secret) -> bool:
    """Whether a password exceeds `MAX_PASSWORD_BYTES`. Costs no hash, and next to nothing for a megabyte."""
    # Python sorts combining marks in quadratic time: 100,000 of them keep NFKC busy for seconds. So what cannot
    # shrink to the limit is refused unread.
    if len(password.reveal()) > _MAX_CODE_POINTS_MERGED * MAX_PASSWORD_BYTES:
        return True
    return len(normalised(password).encode("utf-8", "surrogatepass")) > MAX_PASSWORD_BYTES


def normalised(password: Secret) -> str:
    """
    The text that counts as the password: NFKC, nothing trimmed. Check `is_too_long` first.

    Source: NIST SP 800-63B-4 §3.1.1.2 (normalisation before hashing); Unicode Standard Annex 15.
    """
    return unicodedata.normalize("NFKC", password.reveal())


def password_bytes(password: Secret) -> bytes:
    """
    The bytes that are hashed, or the reason why there are none.

    Raises:
        PasswordRefused: `too_long`, or `not_text` where it holds half of a surrogate pair.
    """
    if is_too_long(password):
        raise PasswordRefused("too_long", f"Use at most {MAX_PASSWORD_BYTES} bytes; that is 256 characters or more.")
    # Found by a search and not by catching UnicodeEncodeError, which would carry the password into tracebacks.
    if _LONE_SURROGATE.search(password.reveal()):
        raise PasswordRefused("not_text", "This is not valid text: a character in it is cut in half.")
    return normalised(password).encode("utf-8")


def admit(password: Secret) -> None:
    """
    Let a password through to the hashing, at sign-in, where no other rule applies.

    Raises:
        PasswordRefused: `too_long` or `not_text`; see `password_bytes`.
    """
    password_bytes(password)
