"""Reading what the authorization server answered: new tokens, an end, or nothing that can be used. Pure."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from evertoken.client.refresher.record import is_finite, is_token, refuse_constant
from evertoken.wire.dialects.dialect import Dialect
from evertoken.wire.dialects.pointer import MISSING, find

WORTH_ASKING_AGAIN: Final = (408, 425, 429)
LONGEST_LIFETIME_SECONDS: Final = 10 * 365 * 86_400.0


@dataclass(frozen=True, slots=True)
class Tokens:
    """
    What an answer holds.

    Args:
        access_token: The new one.
        refresh_token: The new one; None: keep the old one.
        expires_in, refresh_expires_in: Seconds from when the answer was made; None: not said.
        session_id: Which session they belong to; None: not said.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    expires_in: float | None
    refresh_expires_in: float | None
    session_id: str | None


@dataclass(frozen=True, slots=True)
class Over:
    """The session is over, for `reason`."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unusable:
    """
    Nothing to go on with; the tokens are kept.

    Args:
        why: For people, without a secret and without text from the server that could be one.
        retry_after_seconds: What it asked for.
        is_stale: Somebody has used a newer refresh token: read the store again.
        is_final: Asking again cannot help: what came is no answer, not a server in trouble.
    """

    why: str
    retry_after_seconds: float | None = None
    is_stale: bool = False
    is_final: bool = False


def parse_body(body: bytes) -> Any:
    """The body as JSON in UTF-8 (RFC 8259 §8.1), or MISSING; the same bodies that a browser takes."""
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=refuse_constant)
    except (ValueError, RecursionError):
        return MISSING


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds of a Retry-After header; None without one, or where it names a date (RFC 9110 §10.2.3)."""
    text = headers.get("retry-after", "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 10 else None  # noqa: PLR2004


def read_refresh(
    dialect: Dialect, *, status: int, headers: Mapping[str, str], body: bytes, session_id: str | None
) -> Tokens | Over | Unusable:
    """
    What an answer to a refresh means.

    Args:
        dialect: How the server speaks.
        status, headers, body: The answer; header names in lower case.
        session_id: The session that was refreshed; an answer for another one is refused.
    """
    document = parse_body(body)
    verdict = dialect.refresh_verdict(status, document)
    if verdict == "over":
        return Over(dialect.reason_in(document, "unknown"))
    wait = retry_after(headers)
    if verdict == "stale":
        return Unusable("a newer refresh token of this session has been used", wait, is_stale=True)
    if not 200 <= status < 300:  # noqa: PLR2004
        is_final = 300 <= status < 500 and status not in WORTH_ASKING_AGAIN  # noqa: PLR2004
        return Unusable(_status_told(status, find(document, "/error")), wait, is_final=is_final)
    tokens = read_tokens(dialect, document)
    if isinstance(tokens, Tokens) and None not in (session_id, tokens.session_id) and tokens.session_id != session_id:
        return Unusable("the answer to the refresh belongs to another session", is_final=True)
    return tokens


def read_tokens(dialect: Dialect, document: Any) -> Tokens | Unusable:
    """
    The tokens in an answer of sign-in or refresh.

    Returns:
        Unusable where it is not JSON, lacks an access token, or holds anything that cannot be one.
    """
    if document is MISSING:
        return Unusable("the answer is not JSON", is_final=True)
    places = dialect.tokens
    access_token = find(document, places.access_token)
    if not is_token(access_token):
        return Unusable(f"the answer holds no access token at {places.access_token}", is_final=True)
    refresh_token = _optional(document, places.refresh_token)
    if refresh_token is not None and not is_token(refresh_token):
        return Unusable(f"the answer holds no usable refresh token at {places.refresh_token}", is_final=True)
    expires_in = _optional(document, places.expires_in)
    if expires_in is None:
        expires_in = dialect.lifetime_seconds
    lifetime = _seconds(expires_in)
    if expires_in is not None and lifetime is None:
        return Unusable(f"the answer holds no number of seconds at {places.expires_in}", is_final=True)
    if lifetime is not None and lifetime <= 0:
        return Unusable("the answer holds an access token that has expired already", is_final=True)
    session_id = _optional(document, places.session_id)
    return Tokens(
        access_token,
        refresh_token,
        lifetime,
        _seconds(_optional(document, places.refresh_token_expires_in)),
        session_id if _is_session_id(session_id) else None,
    )


def _is_session_id(value: Any) -> bool:
    # Half of a surrogate pair, which JSON can spell, could not be stored: the new tokens would be lost with it.
    return isinstance(value, str) and 0 < len(value) <= 256 and value.isprintable()  # noqa: PLR2004


def _optional(document: Any, place: str | None) -> Any:
    found = MISSING if place is None else find(document, place)
    return None if found is MISSING else found


def _seconds(value: Any) -> float | None:
    """A number of seconds; some servers write it as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 12:  # noqa: PLR2004
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not is_finite(value):
        return None
    return min(float(value), LONGEST_LIFETIME_SECONDS)


_WRONG_SETTING: Final = {
    "invalid_client": "check client_id and client_secret",
    "unauthorized_client": "check what this client_id is registered for",
    "unsupported_grant_type": "it takes no refresh tokens at this URL",
    "invalid_scope": "check scope",
}
"""Which setting an OAuth error is about (RFC 6749 §5.2)."""


def _status_told(status: int, error: Any) -> str:
    if 400 <= status < 500 and isinstance(error, str) and error in _WRONG_SETTING:  # noqa: PLR2004
        advice = _WRONG_SETTING[error]
        return f"the authorization server does not take the refresh call ({status} {error}): {advice}"
    match status:
        case 429:
            return "the authorization server asks for fewer calls (429)"
        case 400 | 401 | 403 | 404 | 405 | 415 | 422:
            return f"the authorization server does not take the refresh call ({status}): check the URL and the dialect"
        case _ if 300 <= status < 400:  # noqa: PLR2004
            return f"the authorization server answers with a redirect ({status}), which is not followed: check the URL"
        case _:
            return f"the authorization server is in trouble ({status})"
