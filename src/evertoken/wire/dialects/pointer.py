"""JSON Pointer (RFC 6901), reading only. Pure."""

from typing import Any, Final

MISSING: Final = object()
"""What `find` gives for a place that is not there; None is a value."""


def parse(pointer: str) -> tuple[str, ...]:
    """
    The steps of a pointer.

    Raises:
        ValueError: It is neither empty nor begins with a slash, or holds a `~` that escapes nothing (RFC 6901 §3).
    """
    if not pointer:
        return ()
    if not pointer.startswith("/"):
        raise ValueError(f"{pointer!r} is not a JSON Pointer: it must begin with a slash")
    steps = pointer[1:].split("/")
    for step in steps:
        if "~" in step.replace("~0", " ").replace("~1", " "):
            raise ValueError(f"{pointer!r} is not a JSON Pointer: a ~ is written as ~0, a slash in a name as ~1")
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in steps)


def find(document: Any, pointer: str) -> Any:
    """The value at that place of a document, or `MISSING`."""
    for step in parse(pointer):
        if isinstance(document, dict):
            document = document.get(step, MISSING)
        elif isinstance(document, list) and step.isascii() and step.isdigit() and (step == "0" or step[0] != "0"):
            document = document[int(step)] if int(step) < len(document) else MISSING
        else:
            return MISSING
        if document is MISSING:
            return MISSING
    return document
