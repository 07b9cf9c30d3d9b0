"""The Authorization header and its challenge (RFC 6750 §2.1 and §3). Pure."""

from collections.abc import Sequence
from typing import Final

MAX_TOKEN_CHARACTERS: Final = 8 * 1024


class BearerMisused(Exception):
    """The request carries credentials in a way that RFC 6750 §3.1 calls invalid_request; answer 400."""


def parse(authorization: Sequence[str], *, query: bytes = b"") -> str | None:
    """
    The access token of a request, or None when it brought none of the Bearer scheme.

    Args:
        authorization: Every Authorization header of the request, in order.
        query: The query of the URL. A token there is never taken (RFC 9700 §4.3.2).

    Raises:
        BearerMisused: more than one Authorization header, `Bearer` without exactly one token after it, or a second
            token in the URL.
    """
    if not authorization:
        return None
    if len(authorization) > 1:
        raise BearerMisused("more than one Authorization header")
    scheme, _, token = authorization[0].partition(" ")
    if scheme.lower() != "bearer":
        return None
    token = token.strip(" ")
    if not token or " " in token or not token.isascii():
        raise BearerMisused("the Authorization header must be: Bearer, a space, one token")
    if b"access_token" in query and any(field.partition(b"=")[0] == b"access_token" for field in query.split(b"&")):
        raise BearerMisused("a token in the header and another in the URL")
    return token


def challenge(error: str | None = None, *, description: str | None = None, scope: Sequence[str] = ()) -> str:
    """
    The WWW-Authenticate header. Without credentials in the request there is no error code (RFC 6750 §3).

    Args:
        description: Our own text only, never a part of the request: it must hold no quote and no line break.
    """
    parts = ['realm="evertoken"']
    if error is not None:
        parts.append(f'error="{error}"')
    if description is not None:
        parts.append(f'error_description="{description}"')
    if scope:
        parts.append(f'scope="{" ".join(scope)}"')
    return "Bearer " + ", ".join(parts)
