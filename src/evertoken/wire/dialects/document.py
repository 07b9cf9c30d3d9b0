"""
The dialect document: one JSON object, read by the server, the guards and every client alike. Pure.

Its members are those of the dataclasses in `dialect`, described one by one in `dialect.schema.json`; what is left out
has the default given there.
"""

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

from evertoken.wire.dialects import contradictions
from evertoken.wire.dialects.dialect import Dialect
from evertoken.wire.dialects.kinds import Contradiction, DialectError
from evertoken.wire.dialects.members import DIALECT
from evertoken.wire.dialects.serving import refuse_unservable

__all__ = [
    "LONGEST_DOCUMENT",
    "Contradiction",
    "DialectError",
    "read",
    "refuse_tokens_in_urls",
    "refuse_unservable",
    "write",
]

LONGEST_DOCUMENT: Final = 64 * 1024
"""In characters; the longest of the built-in ones has about 1,300."""


def read(document: Mapping[str, Any] | bytes | str, *, allow_token_in_url: bool = True) -> Dialect:
    """
    The dialect that a document describes.

    Args:
        document: Its text, or what JSON makes of it.
        allow_token_in_url: Whether a refresh token may travel in a URL, where it ends in logs and histories. A
            server asks its operator; a client has to speak as its server does.

    Raises:
        DialectError: It is not JSON, or a member is not what it must be; `.field` is its JSON Pointer.
        Contradiction: Its members cannot be meant together, or are not safe.
    """
    found = DIALECT.read(_json(document), "")
    assert isinstance(found, Dialect)
    contradictions.refuse_contradictions(found)
    if not allow_token_in_url:
        refuse_tokens_in_urls(found)
    return found


def refuse_tokens_in_urls(dialect: Dialect) -> None:
    """
    For a server whose operator has not allowed it.

    Raises:
        Contradiction: A call carries its refresh token in the URL.
    """
    for place, _ in contradictions.calls_with_token_in_url(dialect):
        raise Contradiction(
            f"{place}/token/kind",
            "puts the refresh token into the URL, which ends in logs and histories: the operator must allow it",
        )


def write(dialect: Dialect) -> dict[str, Any]:
    """The document of a dialect, with every member."""
    return {field.name: _written(getattr(dialect, field.name)) for field in fields(dialect)}


def _written(part: Any) -> Any:
    if is_dataclass(part):
        return {field.name: _written(getattr(part, field.name)) for field in fields(part)}
    if isinstance(part, tuple | list):
        return [_written(each) for each in part]
    if isinstance(part, Mapping):
        return {name: _written(each) for name, each in part.items()}
    return part


def _json(document: Mapping[str, Any] | bytes | str) -> Any:
    if isinstance(document, Mapping):
        try:  # so that a mapping may hold nothing that a file could not
            document = json.dumps(dict(document), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise DialectError("", f"is no JSON: {error}") from None
    try:
        text = document.decode("utf-8-sig") if isinstance(document, bytes) else document
        if len(text) > LONGEST_DOCUMENT:
            raise DialectError("", f"is too long: {LONGEST_DOCUMENT} characters are the most")
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_without_repetition)
    except UnicodeDecodeError:
        raise DialectError("", "is not in UTF-8") from None
    except json.JSONDecodeError as error:
        raise DialectError("", f"is not JSON: {error.msg}, line {error.lineno} column {error.colno}") from None
    except (ValueError, RecursionError) as error:
        raise DialectError("", f"is not JSON: {error}") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no number (RFC 8259 §6)")


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for name, value in pairs:
        if name in members:
            raise ValueError(f"the member {name!r} is there twice")
        members[name] = value
    return members
