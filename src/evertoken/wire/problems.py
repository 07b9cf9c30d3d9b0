"""Problems (RFC 9457) as values: what both the server and the guards answer when something is wrong. Pure."""

from dataclasses import dataclass
from typing import Final

from evertoken.errors import TemporarilyUnavailable, TokenError, TokenExpired
from evertoken.wire import bearer
from evertoken.wire.answers import Problem, encode

MEDIA_TYPE: Final = "application/problem+json"

TITLES: Final = {
    "token_expired": "The access token has expired",
    "token_invalid": "The token is not valid",
    "bad_credentials": "Wrong user name or password",
    "client_refused": "Wrong client or secret",
    "session_over": "The session is over",
    "insufficient_rights": "The token lacks a right",
    "invalid_request": "The request is not as it must be",
    "too_large": "The request is too large",
    "unsupported_media_type": "The body must be JSON",
    "origin_not_allowed": "Not from this page",
    "csrf": "The CSRF token is missing or wrong",
    "not_found": "There is nothing here",
    "method_not_allowed": "Not with this method",
    "rate_limited": "Too many attempts",
    "stale": "A newer token is on its way",
    "unavailable": "Try again in a moment",
    "timeout": "The request took too long",
    "password_refused": "The new password is not good enough",
    "internal": "A fault of ours",
}
"""Every code that evertoken answers with, and what it says to a person."""


@dataclass(frozen=True, slots=True)
class ProblemAnswer:
    """A problem on its way out: everything an edge needs to send it."""

    status: int
    code: str
    detail: str
    headers: tuple[tuple[str, str], ...] = ()
    reason: str | None = None
    instance: str | None = None

    def body(self) -> bytes:
        """The JSON document."""
        return encode(
            Problem(
                type=f"urn:evertoken:problem:{self.code}",
                title=TITLES[self.code],
                status=self.status,
                detail=self.detail,
                code=self.code,
                reason=self.reason,
                instance=self.instance,
            )
        )


def unauthorized(code: str, detail: str, *, challenge: str | None = None, reason: str | None = None) -> ProblemAnswer:
    """A 401 with its challenge; `challenge` is the one that RFC 6750 §3 gives for a bad token unless said otherwise."""
    header = bearer.challenge("invalid_token") if challenge is None else challenge
    return ProblemAnswer(401, code, detail, (("WWW-Authenticate", header),), reason)


NO_TOKEN: Final = unauthorized(
    "token_invalid", "Send an access token: Authorization: Bearer TOKEN.", challenge=bearer.challenge()
)


def token_refused(error: TokenError) -> ProblemAnswer:
    """
    What a bad access token gets. Only that it has expired is told; every other cause goes to the log.

    A revoked session's token is merely invalid here: the refresh that follows is told the reason.
    """
    if isinstance(error, TokenExpired):
        return unauthorized(
            "token_expired",
            "Refresh it and send the request again.",
            challenge=bearer.challenge("invalid_token", description="The access token expired"),
        )
    return unauthorized("token_invalid", "Refresh it, or sign in again.")


def token_misused() -> ProblemAnswer:
    """Credentials that RFC 6750 §3.1 calls an invalid request."""
    return ProblemAnswer(
        400,
        "invalid_request",
        "Send one access token, in one Authorization header: Bearer, a space, the token.",
        (("WWW-Authenticate", bearer.challenge("invalid_request")),),
    )


def rights_missing(scopes: tuple[str, ...]) -> ProblemAnswer:
    """A good token without the rights that the resource demands."""
    return ProblemAnswer(
        403,
        "insufficient_rights",
        "The access token does not hold the scope or role that this resource demands.",
        (("WWW-Authenticate", bearer.challenge("insufficient_scope", scope=scopes)),),
    )


def unavailable(error: TemporarilyUnavailable) -> ProblemAnswer:
    """A fault of ours: nobody is signed out by it."""
    retry = (("Retry-After", str(error.retry_after_seconds)),)
    return ProblemAnswer(503, "unavailable", "The access token cannot be checked now. Send the request again.", retry)
