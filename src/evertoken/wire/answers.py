"""
What evertoken says: token answers (RFC 6749 §5.1), problems (RFC 9457) and OAuth errors (RFC 6749 §5.2).

Structs, so that one definition renders the answer and documents it in the OpenAPI description.
"""

from typing import Annotated, Any, Final, Literal

import msgspec

TokenType = Literal["Bearer"]
BEARER: Final[TokenType] = "Bearer"
Code = Annotated[str, msgspec.Meta(description="Stable; programs go by this, people by title and detail.")]
Instant = Annotated[int, msgspec.Meta(description="NumericDate: seconds since the epoch (RFC 7519 §2).")]


class TokenAnswer(msgspec.Struct, omit_defaults=True, kw_only=True):
    """
    New tokens.

    `refresh_token` is absent where it stays as it was (keep the one you have) and in cookie mode, where
    `csrf_token` is there instead.
    """

    access_token: str
    token_type: TokenType  # no default: one that is left out breaks RFC 6749 §5.1
    expires_in: int | float
    refresh_token: str | None = None
    refresh_token_expires_in: int | None = None
    csrf_token: str | None = None
    session_id: str | None = None
    scope: str | None = None


class Problem(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What went wrong and what to do, for a program (`code`) and for a person (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: Code
    reason: str | None = None
    instance: str | None = None


class OAuthError(msgspec.Struct, omit_defaults=True, kw_only=True):
    """The error of the OAuth endpoints."""

    error: str
    error_description: str | None = None


class SessionAnswer(msgspec.Struct, kw_only=True):
    """One of the caller's sessions."""

    id: str
    device: str
    address: str
    client_id: str
    created_at: Instant
    last_refreshed_at: Instant
    expires_at: Instant
    current: bool


class SessionsAnswer(msgspec.Struct, kw_only=True):
    """The caller's live sessions."""

    sessions: list[SessionAnswer]


class CsrfAnswer(msgspec.Struct, kw_only=True):
    """The CSRF token of the cookie's session."""

    csrf_token: str
    session_id: str


def encode(answer: Any) -> bytes:
    """Render as JSON."""
    return msgspec.json.encode(answer)
