"""
Which new passwords are refused.

Long, and not foreseeable; nothing else. No character classes are demanded and no character is forbidden.

A password is read after NFKC, without regard to case, as it stands and with the usual digits and signs read as
letters (`p4$$w0rd`). The first rule that it breaks is reported:

1. `not_text`, `too_long`, `too_short`.
2. `too_common`: the whole of it is on the list of common passwords.
3. `contains_username`, `contains_service_name`: once that name is cut out, at most 2 letters are left.
4. `too_common`: its letters are one listed word, once or repeated, and at most 2 others. Digits, years, spaces
   and punctuation around and between are padding, however many there are, and so are names and runs: hardly any
   common password has 15 characters, but `Password2024!!!!` is foreseen all the same.
5. `repetitive`: fewer than 5 different characters, or a piece that is listed or shorter than `min_length`, again
   and again.
6. `sequential`: once runs of 4 or more are cut out (`aaaa`, `4567`, `dcba`, `qwer`, `1q2w`), fewer than 8
   characters are left.

Two different words are not refused for being listed, so `correct-horse-battery` passes. Nor are random
digits: there is no rule of composition. A name or a listed word within something longer does not matter: NIST
wants the entire password compared, not the words in it.
"""

import gzip
import re
import unicodedata
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from itertools import pairwise
from typing import Final

from evertoken.accounts.password_text import PasswordRefused, normalised, password_bytes
from evertoken.accounts.usernames import username_key
from evertoken.secret import Secret

__all__ = ["MIN_PASSWORD_CODE_POINTS", "PasswordRefused", "check_new_password"]

MIN_PASSWORD_CODE_POINTS: Final = 15
"""NIST SP 800-63B-4 §3.1.1.2, for a password that is the only factor; 8 where there is a second one."""

LEAST_UNFORESEEN: Final = 8
"""How many code points must be left once runs are cut out."""

LEAST_DIFFERENT: Final = 5
"""How many different characters a password must have."""

MAX_STRAY_LETTERS: Final = 2
"""How many letters beside a single listed word still count as padding."""

SHORTEST_RUN: Final = 4
SHORTEST_CONTEXT_WORD: Final = 3
SHORTEST_LISTED_WORD: Final = 4  # the list has single letters, as has any random text

_WORD: Final = re.compile(r"[^\W\d_]+")
_WORD_WITH_DIGITS: Final = re.compile(r"[^\W_]*[^\W\d_][^\W_]*")
_NOT_WORD_AT_ENDS: Final = re.compile(r"^[\W\d_]+|[\W\d_]+$")
_LEET: Final = tuple(str.maketrans("034578@$!1", "oeastbasi" + one) for one in "il")
_WALKS: Final = (
    "1234567890",
    "!@#$%^&*()",
    "qwertyuiop",
    "asdfghjkl;",
    "zxcvbnm,./",
    "qwertzuiopü",
    "asdfghjklöä",
    "yxcvbnm,.-",
    "azertyuiop",
    "qsdfghjklm",
    "wxcvbn,;:!",
    "йцукенгшщзхъ",
    "фывапролджэ",
    "ячсмитьбю",
    "1q2w3e4r5t6y7u8i9o0p",
    "q1w2e3r4t5y6u7i8o9p0",
    "1qaz2wsx3edc4rfv5tgb6yhn7ujm",
    "qazwsxedcrfvtgbyhnujm",
)
"""Ways over a keyboard: the rows of the common layouts, and the zigzags that are typed as often."""


def check_new_password(
    password: Secret, *, username: str, service_name: str, min_length: int = MIN_PASSWORD_CODE_POINTS
) -> None:
    """
    Refuse a new password that is short or foreseeable.

    The rules, in the order in which they are tried, stand at the top of this module.

    Args:
        password: As typed. Leading and trailing spaces are part of it.
        username: The user's name; its parts of 3 or more characters count as well (`ann@example.com`).
        service_name: The name under which people know the service; its parts likewise.
        min_length: In code points after NFKC.

    Raises:
        PasswordRefused: With the `.rule` that it breaks first, and a message for the person.

    Source: NIST SP 800-63B-4 §3.1.1.2; OWASP ASVS 5.0 §6.2.
    """
    password_bytes(password)
    text = normalised(password)
    if len(text) < min_length:
        raise PasswordRefused("too_short", f"Use at least {min_length} characters; this has {len(text)}.")
    folded = _folded(text)
    if folded.strip() in common_passwords():
        raise PasswordRefused("too_common", "This is one of the passwords that are tried first. Choose another.")
    readings = (folded, *(_NOT_WORD_AT_ENDS.sub("", folded).translate(table) for table in _LEET))
    if any(_is_name_and_padding(reading, username) for reading in readings):
        raise PasswordRefused("contains_username", "This is little more than your user name. Use unrelated words.")
    if any(_is_name_and_padding(reading, service_name) for reading in readings):
        raise PasswordRefused("contains_service_name", "This is little more than our name. Use unrelated words.")
    if any(_is_word_and_padding(reading, (username, service_name)) for reading in readings):
        raise PasswordRefused("too_common", "This is one common word with padding. Use several unrelated words.")
    if _is_repetitive(folded, min_length):
        raise PasswordRefused("repetitive", "This repeats itself. Choose something more varied.")
    if sum(map(len, _without_runs([folded]))) < LEAST_UNFORESEEN:
        raise PasswordRefused("sequential", "This is mostly a row of letters, digits or keys. Add unrelated words.")


@cache
def common_passwords() -> frozenset[str]:
    """
    About 20,000 common passwords, folded; read from the package once, when first needed.

    The file is django/contrib/auth/common-passwords.txt.gz of Django 5.2.19, unchanged: BSD-3-Clause, copyright Django
    Software Foundation and individual contributors; compiled by Royce Williams. See NOTICE.
    """
    packed = files("evertoken.accounts").joinpath("common-passwords.txt.gz").read_bytes()
    return frozenset(_folded(line.strip()) for line in gzip.decompress(packed).decode("utf-8").splitlines())


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())


def _is_repetitive(folded: str, min_length: int) -> bool:
    """Whether it has hardly any different characters, or is a short or listed piece at least twice."""
    if len(set(folded)) < LEAST_DIFFERENT or _unit(folded) in common_passwords():
        return True
    # Not _unit: the last piece may be cut short.
    longest_period = min(min_length - 1, len(folded) // 2)
    return any(folded[period:] == folded[:-period] for period in range(1, longest_period + 1))


def _is_name_and_padding(reading: str, name: str) -> bool:
    pieces = _without_names(reading, (name,))
    if pieces == [reading]:
        return False
    return sum(map(len, _words(_without_runs(pieces)))) <= MAX_STRAY_LETTERS


def _is_word_and_padding(reading: str, names: Iterable[str]) -> bool:
    """Whether the letters are one listed word, once or repeated, beside names, runs and a few stray letters."""
    # Also as it stands, since a listed word may hold a name or a run (`liberty` has `erty`), or digits (`trustno1`).
    pieces = _without_runs(_without_names(reading, names))
    found = (_words(pieces), _words([reading]), _WORD_WITH_DIGITS.findall(reading))
    return any(_is_one_listed_word(words) for words in found)


def _is_one_listed_word(words: list[str]) -> bool:
    return any(
        _is_listed(_unit(word)) and sum(len(other) for other in words if other != word) <= MAX_STRAY_LETTERS
        for word in set(words)
    )


def _is_listed(word: str) -> bool:
    return len(word) >= SHORTEST_LISTED_WORD and word in common_passwords()


def _unit(word: str) -> str:
    """The shortest piece of which a word is a repetition: `abcabc` gives `abc`."""
    return word[: (word + word).index(word, 1)]


def _words(pieces: Iterable[str]) -> list[str]:
    return [word for piece in pieces for word in _WORD.findall(piece)]


def _without_names(reading: str, names: Iterable[str]) -> list[str]:
    """What is left of a text around these names and their parts. Longer ones are cut first."""
    parts = {
        part
        for name in map(username_key, names)
        for part in (name, "".join(re.findall(r"\w+", name)), *re.findall(r"\w+", name))
        if len(part) >= SHORTEST_CONTEXT_WORD
    }
    if not parts:
        return [reading]
    return re.split("|".join(map(re.escape, sorted(parts, key=len, reverse=True))), reading)


def _without_runs(pieces: Iterable[str]) -> list[str]:
    """What is left of these texts around runs: one character repeated, a row of the alphabet, a walk of keys."""
    left = []
    for piece in pieces:
        start = kept_from = 0
        while start < len(piece):
            end = _run_end(piece, start)
            if end - start >= SHORTEST_RUN:
                left.append(piece[kept_from:start])
                start = kept_from = end
            else:
                start += 1
        left.append(piece[kept_from:])
    return left


def _run_end(text: str, start: int) -> int:
    """Where the run that begins at `start` ends: as long as every step is of the same kind."""
    end = start + 1
    kinds: frozenset[object] | None = None
    while end < len(text):
        step = _step_kinds(text[end - 1], text[end])
        kinds = step if kinds is None else kinds & step
        if not kinds:
            break
        end += 1
    return end


def _step_kinds(before: str, after: str) -> frozenset[object]:
    difference = ord(after) - ord(before)
    return _walk_steps().get((before, after), frozenset()) | ({difference} if abs(difference) <= 1 else frozenset())


@cache
def _walk_steps() -> dict[tuple[str, str], frozenset[object]]:
    """Which walks take one from one key to the next, and in which direction."""
    steps: dict[tuple[str, str], frozenset[object]] = {}
    for walk in _WALKS:
        for direction in (walk, walk[::-1]):
            for pair in pairwise(direction):
                steps[pair] = steps.get(pair, frozenset()) | {direction}
    return steps
