"""How results are said."""

import re

_CODES = re.compile(r"\b(invalid_grant|temporarily_unavailable|50\d)\b")


def count_of(number: int, one: str, many: str) -> str:
    """`1 refresh`, `2 refreshes`."""
    return f"{number} {one if number == 1 else many}"


def told(error: BaseException) -> str:
    """An error by its class, and by what it says of the reason: never its text, which may hold anything."""
    name = type(error).__name__
    reason = getattr(error, "reason", None) or getattr(error, "error", None)
    if not isinstance(reason, str) or not reason.isidentifier():
        found = _CODES.search(str(error))
        reason = found[1] if found else None
    is_said = reason is None or reason.replace("_", "") in name.lower()
    return name if is_said else f"{name} ({reason})"
