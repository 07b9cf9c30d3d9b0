"""
Dialects for applications: the built-in ones by name, and documents of your own.

    Session("https://api.example.com", dialect="nest")
    Session("https://api.example.com", dialect=load("our-dialect.json"))
"""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

from evertoken.wire.dialects.contradictions import refuse_contradictions
from evertoken.wire.dialects.dialect import (
    AccessTokenPlace,
    AuthCall,
    CsrfPlace,
    Dialect,
    Failure,
    Match,
    OptOut,
    Success,
    TokenPlace,
    TokenPointers,
)
from evertoken.wire.dialects.document import LONGEST_DOCUMENT, Contradiction, DialectError, read, write
from evertoken.wire.dialects.known import NAMES, named

__all__ = [
    "NAMES",
    "AccessTokenPlace",
    "AuthCall",
    "Contradiction",
    "CsrfPlace",
    "Dialect",
    "DialectError",
    "Failure",
    "Match",
    "OptOut",
    "Spoken",
    "Success",
    "TokenPlace",
    "TokenPointers",
    "load",
    "named",
    "read",
    "write",
]

Spoken = Dialect | Mapping[str, Any] | PathLike[str] | str
"""What names a dialect: one that is made, a document, a file with a document, or the name of a built-in one."""


def load(spoken: Spoken) -> Dialect:
    """
    The dialect that is meant.

    Args:
        spoken: A `Dialect`; a document as a mapping; a path; or a text, which is the name of a
            built-in dialect unless it holds a slash or ends in `.json`.

    Raises:
        DialectError: There is none of this name, the file cannot be read, or the document is refused.
    """
    match spoken:
        case Dialect():
            refuse_contradictions(spoken)
            return spoken
        case Mapping():
            return read(spoken)
        case str() if "/" not in spoken and "\\" not in spoken and not spoken.endswith(".json"):
            return named(spoken)
    try:
        with Path(spoken).open("rb") as file:
            return read(file.read(4 * LONGEST_DOCUMENT + 1))
    except (OSError, ValueError) as error:  # ValueError: no path at all, as with a NUL in it
        raise DialectError("", f"{spoken!r} cannot be read: {getattr(error, 'strerror', None) or error}") from error
