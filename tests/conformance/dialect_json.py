"""The JSON form of a dialect: the members of the dataclasses by their names; whatever is left out has its default."""

from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, Final

from evertoken.wire.dialects.dialect import AccessTokenPlace, AuthCall, Dialect, Match, TokenPlace, TokenPointers

from .loading import ROOT, BadCase, Members, read

PARTS: Final[dict[tuple[type, str], type]] = {
    (Dialect, "access_token"): AccessTokenPlace,
    (Dialect, "login"): AuthCall,
    (Dialect, "refresh"): AuthCall,
    (Dialect, "logout"): AuthCall,
    (Dialect, "tokens"): TokenPointers,
    (Dialect, "expired"): Match,
    (Dialect, "over"): Match,
    (Dialect, "refresh_over"): Match,
    (Dialect, "stale"): Match,
    (AuthCall, "token"): TokenPlace,
}
NULLABLE: Final = {
    (AccessTokenPlace, "scheme"),
    (TokenPlace, "scheme"),
    (Dialect, "login"),
    (Dialect, "refresh"),
    (Dialect, "logout"),
    (Dialect, "reason"),
    (Dialect, "lifetime_seconds"),
    *((TokenPointers, name) for name in ("refresh_token", "expires_in", "refresh_token_expires_in", "session_id")),
}
WORDS: Final = {
    (TokenPlace, "kind"): ("body", "header", "query"),
    (AuthCall, "encoding"): ("json", "form"),
}
KINDS: Final[dict[tuple[type, str], type | tuple[type, ...]]] = {
    (AuthCall, "body"): dict,
    (AuthCall, "headers"): dict,
    (Match, "status"): int,
    (Dialect, "refresh_is_repeatable"): bool,
    (Dialect, "lifetime_seconds"): (int, float),
}


def parse(value: Any, where: str) -> Dialect:
    """The dialect that a JSON document describes."""
    found = _parsed(Dialect, Members(value, where))
    assert isinstance(found, Dialect)
    return found


def render(part: Any) -> Any:
    """The whole JSON form of a dialect or a part of one, with every member."""
    if is_dataclass(part):
        return {field.name: render(getattr(part, field.name)) for field in fields(part)}
    if isinstance(part, tuple):
        return [render(each) for each in part]
    if hasattr(part, "items"):
        return {name: render(each) for name, each in part.items()}
    return part


@cache
def known() -> dict[str, Dialect]:
    """The dialects that cases name."""
    with read(ROOT / "dialects" / "known.json") as file:
        return {name: parse(value, f"{file.where}, {name}") for name, value in file.take("dialects", dict).items()}


def named(case: Members) -> Dialect:
    """The dialect of a case: one of the known, or its own."""
    value = case.take("dialect", (str, dict))
    return known()[value] if isinstance(value, str) else parse(value, f"{case.where}.dialect")


def _parsed(kind: type, members: Members) -> Any:
    given = {}
    with members:
        for field in fields(kind):
            if members.has(field.name):
                given[field.name] = _member(kind, field.name, members)
    return kind(**given)


def _member(kind: type, name: str, members: Members) -> Any:
    place = (kind, name)
    if place in NULLABLE and members.is_null(name):
        return members.take(name, type(None))
    part = PARTS.get(place)
    if part is Match:
        return tuple(_parsed(Match, Members(each, members.where)) for each in members.take(name, list))
    if part is not None:
        return _parsed(part, members.inner(name))
    if place == (Match, "body"):
        values = members.take(name, dict)
        if not all(isinstance(each, list) for each in values.values()):
            raise BadCase(f"{members.where}: the values of a place are a list")
        return {pointer: tuple(each) for pointer, each in values.items()}
    value = members.take(name, KINDS.get(place, str))
    if value not in WORDS.get(place, (value,)):
        raise BadCase(f"{members.where}: {name} may not be {value!r}")
    return value
