"""The dialects that cases name: built-in ones, those of known.json, and documents of the cases' own."""

from functools import cache
from typing import Any

from evertoken.wire.dialects import document, known
from evertoken.wire.dialects.dialect import Dialect
from evertoken.wire.dialects.kinds import DialectError

from .loading import ROOT, BadCase, Members, read

render = document.write


def parse(value: Any, where: str) -> Dialect:
    """The dialect that a JSON document describes."""
    try:
        return document.read(value)
    except DialectError as error:
        raise BadCase(f"{where}: {error}") from error


@cache
def of_cases() -> dict[str, Dialect]:
    """The dialects of known.json."""
    with read(ROOT / "dialects" / "known.json") as file:
        return {name: parse(value, f"{file.where}, {name}") for name, value in file.take("dialects", dict).items()}


def named(case: Members) -> Dialect:
    """The dialect of a case: built in, one of known.json, or its own."""
    value = case.take("dialect", (str, dict))
    if not isinstance(value, str):
        return parse(value, f"{case.where}.dialect")
    return of_cases()[value] if value in of_cases() else known.named(value)
