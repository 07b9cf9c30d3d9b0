"""JSON from strangers: RFC 8259, and none of the liberties that parsers take with it."""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from evertoken.errors import MalformedToken

MAX_DEPTH: Final = 16
"""How deeply arrays and objects may nest. Our own tokens need three."""

MAX_NUMBER_CHARACTERS: Final = 100
"""Python reads long integers in quadratic time; no honest number is this long."""

# A string, closed or not, is one match: a quote in the middle of it can never start another search, so the
# time stays linear whatever was sent.
_STRING_OR_BRACKET: Final = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


def parse_object(raw: bytes) -> dict[str, Any]:
    """
    Read one JSON object.

    Args:
        raw: UTF-8 without a byte order mark. The caller bounds its length.

    Raises:
        MalformedToken: Anything but exactly one object; a repeated member at any depth; NaN, Infinity or a number
            beyond a float; a number of more than 100 characters; a NUL character or half of a surrogate pair in a
            string; nesting deeper than 16. Anything else that is raised is a bug.

    Source: RFC 8259; RFC 7515 §10.12 and RFC 8725 §2.4 for why repeated members are refused.
    """
    if _is_too_deep(raw):
        raise MalformedToken("JSON nested too deeply")
    try:
        value = _DECODER.decode(raw.decode("utf-8"))
    except ValueError:
        raise MalformedToken("not JSON") from None
    if not isinstance(value, dict):
        raise MalformedToken("JSON, but not an object")
    # Only an escape can bring in a NUL or a lone surrogate; the decoders refuse the characters themselves.
    if b"\\u" in raw:
        _refuse_unwritable_text(value)
    return value


def _is_too_deep(raw: bytes) -> bool:
    if raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH:
        return False
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(raw):
        token = match[0]
        if token in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif token in b"]}":
            depth -= 1
    return False


def _refuse_unwritable_text(value: Any) -> None:
    for text in _texts(value):
        if "\0" in text:
            raise MalformedToken("NUL in a JSON string")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise MalformedToken("lone surrogate in a JSON string") from None


def _texts(value: Any) -> Iterator[str]:
    """Every string inside, names of members too. The depth has been bounded before."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from _texts(item)


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(members)
    if len(value) != len(members):
        raise MalformedToken("repeated member in a JSON object")
    return value


def _integer(text: str) -> int:
    if len(text) > MAX_NUMBER_CHARACTERS:
        raise MalformedToken("JSON number too long")
    return int(text)


def _fraction(text: str) -> float:
    value = float(text)
    if len(text) > MAX_NUMBER_CHARACTERS or value in (float("inf"), float("-inf")):
        raise MalformedToken("JSON number too long or too large")
    return value


def _constant(name: str) -> float:
    raise MalformedToken(f"{name} is not JSON")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_fraction,
    parse_constant=_constant,
)
