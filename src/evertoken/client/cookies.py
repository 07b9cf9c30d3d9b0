"""
A refresh token in a cookie, for a client without a cookie jar. Pure.

What a browser would keep in its jar stands in the record's `refresh_token`, as one text that is a token to every store:
`cookies.` and, in base64url, the JSON of the cookies and of the CSRF token. A store needs to know nothing of it.

Only our own calls carry these cookies, so neither Path nor Domain is looked at: all calls of a cookie dialect go to
one origin, or the session is refused at start.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from evertoken.client.refresher.answers import Tokens, Unusable
from evertoken.client.refresher.record import LONGEST_TOKEN, is_token
from evertoken.errors import ConfigurationError
from evertoken.wire.dialects.dialect import Dialect
from evertoken.wire.dialects.pointer import find
from evertoken.wire.origins import origin_of

_MARK: Final = "cookies."
_MOST: Final = 20
_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}")
_VALUE: Final = re.compile(r"[!#-+\--:<-\[\]-~]*")  # RFC 6265 §4.1.1: no space, quote, comma, semicolon, backslash
_BETWEEN: Final = re.compile(r", *(?=[!#$%&'*+.^_`|~0-9A-Za-z-]+=)")
"""Where one of several Set-Cookie headers ends that were joined by a comma: no value holds one, and in a date none is
followed by a name and an equals sign."""

_ENDED: Final = re.compile(r"max-age=(0+|-[0-9]+)(?![0-9])|expires=[a-z]+, *[0-9]+[ -][a-z]+[ -]19[67][0-9]")
"""How a server removes a cookie; any later date is left to Max-Age, or to the server that will not take it."""


@dataclass(frozen=True, slots=True)
class Held:
    """What proves the session: the cookies by their names, and the CSRF token that goes with them."""

    cookies: Mapping[str, str] = field(repr=False)
    csrf_token: str = field(repr=False)


def pack(held: Held) -> str | None:
    """As one token; None where that would be longer than a token may be."""
    document = json.dumps([dict(held.cookies), held.csrf_token], separators=(",", ":"), sort_keys=True)
    packed = _MARK + base64.urlsafe_b64encode(document.encode()).decode().rstrip("=")
    return packed if len(packed) <= LONGEST_TOKEN else None


def unpack(token: str) -> Held | None:
    """What `pack` has made a token of; None where it has not, or where somebody has changed it since."""
    if not token.startswith(_MARK):
        return None
    text = token.removeprefix(_MARK)
    try:
        document = json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
        cookies, csrf_token = document
        held = Held(dict(cookies), csrf_token)
    except (ValueError, TypeError, binascii.Error, RecursionError):
        return None
    good = all(_is_cookie(name, value) for name, value in held.cookies.items())
    return held if good and held.cookies and is_token(held.csrf_token) else None


def carried(dialect: Dialect, url: str, token: str) -> dict[str, str]:
    """
    The headers of a call that carries the cookies.

    A server takes a cookie from its own pages only, and this session stands for one of them: hence Origin.

    Raises:
        ConfigurationError: The token is not from a cookie.
    """
    held = unpack(token)
    if held is None or dialect.csrf is None:
        raise ConfigurationError(
            "dialect", "the refresh token in the store is not from a cookie, as this dialect has it: sign in again"
        )
    return {
        **origin_header(url),
        "Cookie": "; ".join(f"{name}={value}" for name, value in held.cookies.items()),
        dialect.csrf.header: held.csrf_token,
    }


def origin_header(url: str) -> dict[str, str]:
    """The Origin of a sign-in that is to set cookies."""
    return {"Origin": origin_of(url) or ""}


def kept(
    dialect: Dialect, tokens: Tokens, *, headers: Mapping[str, str], document: Any, before: str | None
) -> Tokens | Unusable:
    """
    The tokens of an answer, with what its cookies say as their refresh token.

    Args:
        headers: Of the answer, names in lower case.
        document: Its body as JSON.
        before: The refresh token that was sent; None at sign-in.
    """
    assert dialect.csrf is not None
    held = unpack(before) if before is not None else None
    cookies = _after(held.cookies if held else {}, headers.get("set-cookie", ""))
    said = find(document, dialect.tokens.csrf_token) if dialect.tokens.csrf_token is not None else None
    by_cookie = cookies.get(dialect.csrf.cookie) if dialect.csrf.cookie is not None else None
    csrf_token = said if is_token(said) else by_cookie or (held.csrf_token if held else None)
    if not set(cookies) - {dialect.csrf.cookie}:
        return Unusable("the answer sets no refresh cookie, as the dialect says", is_final=True)
    if not is_token(csrf_token):
        return Unusable("the answer says no CSRF token, as the dialect has it", is_final=True)
    packed = pack(Held(cookies, str(csrf_token)))
    if packed is None or len(cookies) > _MOST:
        return Unusable("the cookies of the answer are too many or too long", is_final=True)
    return replace(tokens, refresh_token=None if packed == before else packed)


def _after(before: Mapping[str, str], header: str) -> dict[str, str]:
    """The cookies once an answer has set, replaced and removed some."""
    cookies = dict(before)
    for one in _BETWEEN.split(header) if header else ():
        pair, *attributes = one.split(";")
        name, equals, value = pair.strip().partition("=")
        value = value.strip().removeprefix('"').removesuffix('"')
        if not equals or not _is_cookie(name, value):
            continue  # what RFC 6265 §4.1.1 calls no cookie is not kept
        if not value or any(_ENDED.match(each.strip().lower()) for each in attributes):
            cookies.pop(name, None)
        else:
            cookies[name] = value
    return cookies


def _is_cookie(name: Any, value: Any) -> bool:
    return (
        isinstance(name, str)
        and isinstance(value, str)
        and _NAME.fullmatch(name) is not None
        and _VALUE.fullmatch(value) is not None
    )
