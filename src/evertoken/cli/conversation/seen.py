"""An answer in words: its status and the members of its body, and never a secret. Pure."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from evertoken.wire.dialects.dialect import Dialect, Match
from evertoken.wire.dialects.pointer import MISSING, find

MOST_PLACES: Final = 10
DEEPEST: Final = 3

_PLAIN_NAME: Final = re.compile(r"[A-Za-z_$-]{1,40}[0-9]{0,2}")
"""What a member's name may look like to be shown: a text that serves as a name may be a secret, too."""
_WORDS: Final = re.compile(r"[A-Z][A-Z_]{0,31}|[A-Z]?[a-z_]{0,31}( [a-z]{1,15}){0,6}[.!]?", re.ASCII)
"""A text of one case without a digit: a code or a sentence. Tokens have both, or digits."""
_MOST_DIGITS: Final = 6


class Veil:
    """What must not be printed, whatever an API puts it into."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()

    def add(self, *secrets: str | None) -> None:
        """Remember secrets."""
        self._secrets.update(secret for secret in secrets if secret)

    def over(self, text: str) -> str:
        """The text without any of them."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "**********")
        return text


def in_words(status: int, document: Any, *, known: frozenset[str] = frozenset()) -> str:
    """
    What came back.

    Args:
        status: The HTTP status.
        document: The body as JSON, or MISSING.
        known: Texts that a dialect names, so that they are no secrets.
    """
    if document is MISSING:
        return f"{status}, no JSON"
    places = list(_places(document, known))
    if not places:
        return f"{status}, JSON without members"
    shown = ", ".join(f"{place} {value}" for place, value in places[:MOST_PLACES])
    return f"{status} with {shown}" + (", ..." if len(places) > MOST_PLACES else "")


def in_short(status: int, document: Any, dialect: Dialect) -> str:
    """The same where all is well: only what the rules of a dialect look at."""
    places = dict.fromkeys(place for rule in _rules(dialect) for place in rule.body)
    found = ((place, find(document, place)) for place in places)
    shown = [f"{place} {_value(value, known_texts(dialect))}" for place, value in found if value is not MISSING]
    return f"{status} with {', '.join(shown)}" if shown else str(status)


def _places(document: Any, known: frozenset[str], above: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    if not isinstance(document, dict) or (depth == DEEPEST and document):
        yield above or "the whole body", _value(document, known)
        return
    for name, value in document.items():
        place = f"{above}/{name if _PLAIN_NAME.fullmatch(name) else '*'}"
        if isinstance(value, dict) and value:
            yield from _places(value, known, place, depth + 1)
        else:
            yield place, _value(value, known)


def _value(value: Any, known: frozenset[str]) -> str:
    match value:
        case None | bool():
            return json.dumps(value)
        case int() | float():
            text = json.dumps(value)
            return text if len(text) <= _MOST_DIGITS else "a number"
        case str():
            return value if is_shown(value, known) else f"(text of {len(value)} characters)"
        case list():
            return f"(list of {len(value)})"
        case _:
            return "(object)"


def is_shown(text: str, known: frozenset[str] = frozenset()) -> bool:
    """Whether a text of an answer can be no secret."""
    return text in known or (bool(text) and _WORDS.fullmatch(text) is not None)


def known_texts(dialect: Dialect) -> frozenset[str]:
    """The values that a dialect names in its rules."""
    return frozenset(
        value for rule in _rules(dialect) for values in rule.body.values() for value in values if isinstance(value, str)
    )


def _rules(dialect: Dialect) -> tuple[Match, ...]:
    return (*dialect.expired, *dialect.over, *dialect.refresh_over, *dialect.stale)


def said(rules: Iterable[Match]) -> str:
    """What a dialect says an answer looks like."""
    return " or ".join(_rule(rule) for rule in rules) or "nothing"


def _rule(rule: Match) -> str:
    body = " and ".join(
        f"{place} {' or '.join(json.dumps(value) for value in values)}" for place, values in rule.body.items()
    )
    return f"{rule.status}" + (f" with {body}" if body else "")


_CODES: Final = ("code", "statusCode", "status", "status_code", "errcode", "errno", "error", "error_code", "errorCode")


def rule_for(status: int, document: Any) -> str:
    """The rule, as a dialect document has it, that would fit an answer: an offer, to be judged by who knows the API."""
    members: Mapping[str, Any] = document if isinstance(document, dict) else {}
    body: dict[str, list[Any]] = {}
    for name in _CODES:
        value = members.get(name)
        if isinstance(value, bool) or not isinstance(value, str | int):
            continue
        if isinstance(value, int) or is_shown(value):
            body["/" + name] = [value]
            break
    return json.dumps({"status": status} | ({"body": body} if body else {}))
