"""Writes the tables of docs/dialects/document.md from the schema: `python -m tests.dialects.documents.docs`."""

import json
import re
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, Final

from evertoken.wire.dialects.kinds import Flag as Boolean
from evertoken.wire.dialects.kinds import Integer, Kind, ListOf, Members, OrNull, Part, Seconds, Text, Word
from evertoken.wire.dialects.members import DIALECT

PAGE: Final = Path(__file__).parents[3] / "docs" / "dialects" / "document.md"
_MARK: Final = re.compile(r"(<!-- members of (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)

_SECTION: Final = {
    "AccessTokenPlace": "access_token",
    "AuthCall": "login-refresh-logout",
    "TokenPlace": "token-in-a-call",
    "CsrfPlace": "csrf",
    "TokenPointers": "tokens",
    "OptOut": "opt_out",
    "Success": "success",
    "Failure": "failure",
}
"""Where the page describes a part."""


def parts(part: Part = DIALECT) -> Iterator[Part]:
    """A part of the document and all parts within it, each once."""
    seen: list[Part] = []

    def visit(kind: Kind) -> None:
        match kind:
            case OrNull(inner) | ListOf(inner):
                visit(inner)
            case Part() if kind not in seen:
                seen.append(kind)
                for inner, _ in kind.members.values():
                    visit(inner)

    visit(part)
    return iter(seen)


def called(kind: Kind) -> str:
    """What a kind of value is called in the tables."""
    match kind:
        case OrNull(inner):
            return f"{called(inner)}, or null"
        case ListOf(Part()):
            return "list of [matches](#expired-over-refresh_over-stale)"
        case ListOf(inner):
            return f"list of {called(inner)}"
        case Members():
            return "object"
        case Part(made):
            return f"object: [below](#{_SECTION[getattr(made, '__name__', '')]})"
        case Word(words):
            return " ".join(f"`{word}`" for word in words)
        case Integer(least, most):
            return f"{least} to {most}"
        case Boolean():
            return "true or false"
        case Seconds():
            return "number"
        case Text(_, what):
            return what.split(" (")[0].split(": ")[0].removeprefix("an ").removeprefix("a ")
        case _:
            return "any JSON"


def default(part: Part, name: str) -> str:
    """What holds where a member is left out."""
    (field,) = (field for field in fields(part.made) if field.name == name)  # type: ignore[arg-type]
    value: Any = field.default if field.default_factory is MISSING else field.default_factory()
    if value is MISSING:
        return "demanded"
    if value == () or value is None or isinstance(value, str | bool | int) or value == {}:
        return f"`{json.dumps(list(value) if value == () else value)}`"
    return "see below"


def table(part: Part) -> str:
    """The members of a part, a row each."""
    rows = [
        f"| `{name}` | {called(kind)} | {default(part, name)} | {about} |"
        for name, (kind, about) in part.members.items()
    ]
    return "\n".join(["| member | what it is | left out | |", "|---|---|---|---|", *rows]) + "\n"


def renewed(page: str) -> str:
    """The page with its tables as they must be."""
    known = {getattr(part.made, "__name__", ""): part for part in parts()}
    return _MARK.sub(lambda found: f"{found[1]}{table(known[found[2]])}{found[4]}", page)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text("utf-8")), "utf-8")
