"""
User names: which are one and the same, and which are refused.

Not covered: names that look alike in different scripts or fonts (`paypal` with a Cyrillic a, `rn` for `m`, `l` for
`I`, the Turkish dotless i), since telling them apart needs the tables of Unicode Technical Standard 39, and an
honest name in Cyrillic looks like a Latin one often enough. Where names are shown to strangers, show the user's
id as well, or let the host application allow one script only.

Looser than the PRECIS profile UsernameCaseMapped (RFC 8265 §3.3): spaces inside and symbols are allowed.
"""

import re
import unicodedata
from typing import Final

from evertoken.errors import EvertokenError

MAX_USERNAME_CODE_POINTS: Final = 128

MAX_KEY_CODE_POINTS: Final = 2 * MAX_USERNAME_CODE_POINTS
"""The longest that `username_key` returns: folding the case at most doubles a normalised name."""

_MAX_RAW_CODE_POINTS: Final = 4 * MAX_USERNAME_CODE_POINTS
"""NFKC makes one code point out of at most four, so anything longer is too long afterwards as well."""

_NO_ONE: Final = "\ufffd"
"""In the key of a text that cannot be a user name. `check_new_username` refuses this character."""

_NOT_STORABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

# Shown as nothing although their category is that of a letter, a mark or a symbol.
_INVISIBLE: Final = re.compile(
    r"[\u034f\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)

_RULES_BY_CATEGORY: Final = {
    "Cs": "not_text",
    "Cc": "control_character",
    "Zl": "control_character",
    "Zp": "control_character",
    "Cf": "invisible_character",
    "Co": "unassigned_character",
    "Cn": "unassigned_character",
}

_MESSAGES: Final = {
    "not_text": "This is not valid text: a character in it is cut in half.",
    "control_character": "A user name cannot hold control characters or line breaks.",
    "invisible_character": "A user name cannot hold characters that are invisible or change the direction of writing.",
    "unassigned_character": "A user name cannot hold characters that Unicode has not assigned.",
}


class UsernameRefused(EvertokenError):
    """
    This text cannot be a user name; `.rule` says why, the message what to do about it.

    Args:
        rule: A stable code: `empty`, `too_long`, `not_text`, `control_character`, `invisible_character` or
            `unassigned_character`.
        message: For the person who chose it.
    """

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


def username_key(username: str) -> str:
    """
    What is unique about a user name: two names are one if their keys are equal.

    NFKC, case folded, spaces at the ends dropped and spaces in a row made one. Never raises: it is used on whatever
    is typed at sign-in. A text that cannot be stored (controls, halves of surrogate pairs, over-long) has a key that
    no user has. The key of a key is that key.

    Returns:
        Text without control characters that UTF-8 can encode, at most `MAX_KEY_CODE_POINTS` long. Store it
        under a binary collation.

    Source: Unicode §3.13 D145 and D146 (compatibility caseless matching, in NFKC).
    """
    if len(username) > _MAX_RAW_CODE_POINTS:
        return _NO_ONE
    text = _NOT_STORABLE.sub(_NO_ONE, username)
    # Twice, as D146 does: folding may leave forms that only normalising shows to be capital letters.
    for _ in range(2):
        text = unicodedata.normalize("NFKC", unicodedata.normalize("NFD", text).casefold())
    key = _without_spare_spaces(text)
    return key if len(key) <= MAX_KEY_CODE_POINTS else _NO_ONE


def check_new_username(username: str) -> str:
    """
    Refuse what cannot be a user name, and return the form in which to store and show it.

    That form is NFKC, with the case kept, spaces at the ends dropped and spaces in a row made one. Characters are
    refused, not dropped, so that nobody is given another name than the one they typed.

    Raises:
        UsernameRefused: It is empty, has more than 128 code points, or holds a control, bidi or zero-width
            character, half of a surrogate pair, or a code point that Unicode has not assigned (its folding might
            change with a later Python, and the key with it).
    """
    name = unicodedata.normalize("NFKC", username) if len(username) <= _MAX_RAW_CODE_POINTS else username
    name = _without_spare_spaces(name)
    if not name:
        raise UsernameRefused("empty", "Choose a user name.")
    if len(name) > MAX_USERNAME_CODE_POINTS:
        raise UsernameRefused("too_long", f"Use at most {MAX_USERNAME_CODE_POINTS} characters.")
    for character in name:
        rule = _broken_rule(character)
        if rule is not None:
            raise UsernameRefused(rule, _MESSAGES[rule])
    return name


def _broken_rule(character: str) -> str | None:
    if character == _NO_ONE:
        return "unassigned_character"
    if _INVISIBLE.match(character):
        return "invisible_character"
    return _RULES_BY_CATEGORY.get(unicodedata.category(character))


def _without_spare_spaces(text: str) -> str:
    # Not split(): it takes line breaks and other controls for spaces, and those are refused, not forgiven.
    return " ".join(part for part in text.split(" ") if part)
