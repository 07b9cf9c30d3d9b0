"""What a server of a dialect says, as JSON values: constant members, tokens, failures. Pure."""

import copy
from collections.abc import Iterable
from typing import Any, Final

from evertoken.wire.dialects import pointer
from evertoken.wire.dialects.dialect import Dialect, Match

TOO_MANY: Final = 429
BAD_REQUEST: Final = 400


class NoSuchPlace(ValueError):
    """Something else stands where a value should go, or an array would have a gap."""


def put(document: Any, place: str, value: Any) -> Any:
    """
    The document with a value at a JSON Pointer; what is missing on the way there is made.

    A container is made as an array where the step into it is `0`, else as an object.

    Raises:
        NoSuchPlace: A step leads into something that is no container, or beyond the end of an array.
    """
    steps = pointer.parse(place)
    if not steps:
        return value
    document = _container(steps[0]) if document is None else document
    inside = document
    for step, following in zip(steps, (*steps[1:], None), strict=True):
        is_last = following is None
        if isinstance(inside, dict):
            if is_last:
                inside[step] = value
            else:
                inside = inside.setdefault(step, _container(str(following)))
        elif isinstance(inside, list) and step.isdecimal() and step == str(int(step)) and int(step) <= len(inside):
            if int(step) == len(inside):
                inside.append(value if is_last else _container(str(following)))
            elif is_last:
                inside[int(step)] = value
            if not is_last:
                inside = inside[int(step)]
        else:
            raise NoSuchPlace(place)
    return document


def _container(step: str) -> Any:
    return [] if step == "0" else {}


def success_document(dialect: Dialect, said: Iterable[tuple[str | None, Any]]) -> Any:
    """
    The body of a good answer.

    Args:
        said: Places and what goes there; neither a place nor a value of None is written.
    """
    document: Any = copy.deepcopy(dict(dialect.success.body)) or None
    for place, value in said:
        if place is not None and value is not None:
            document = put(document, place, value)
    return {} if document is None else document


def failure_document(
    dialect: Dialect,
    rule: Match | None,
    *,
    status: int,
    message: str | None = None,
    code: str | None = None,
    reason: str | None = None,
) -> tuple[int, Any]:
    """
    The status and the body of a failure.

    Args:
        rule: What it says of a token or session, written on top; None: nothing.
        status: The failure's own.
        message, code, reason: Written where the dialect has a place for them.
    """
    manner = dialect.failure
    document: Any = None
    sent = status
    if manner is not None:
        document = copy.deepcopy(dict(manner.body)) or None
        said: tuple[tuple[str | None, Any], ...] = (
            (manner.status_at, status),
            (manner.message_at, message),
            (manner.code_at, code),
        )
        for place, value in (*said, (dialect.reason, reason)):
            if place is not None and value is not None:
                document = put(document, place, value)
        if manner.status is not None and 400 <= status < 500 and status != TOO_MANY:  # noqa: PLR2004
            sent = manner.status
    if rule is not None:
        sent = rule.status
        for place, values in rule.body.items():
            document = put(document, place, values[0])
    return sent, {} if document is None else document


def other_status(dialect: Dialect, status: int) -> int:
    """
    The status to say of a failure that is not about a token.

    A wrong password is a 401. Where only the body tells failures apart, a page would take that number for an expired
    access token and ask for a new one, so it is told 400 there.
    """
    if dialect.failure is None or dialect.failure.status is None:
        return status
    sent, document = failure_document(dialect, None, status=status)
    return BAD_REQUEST if dialect.verdict(sent, document) != "accepted" else status
