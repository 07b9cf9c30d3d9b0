"""What the fake server refuses, and how evertoken says so: problems (RFC 9457), and OAuth errors (RFC 6749 §5.2)."""

from dataclasses import dataclass, replace
from typing import Final, Literal

from evertoken.testing.listener import Answer

Kind = Literal["access", "refresh", "stale", "sign_in", "request"]

_TITLES: Final = {
    "token_expired": "The access token has expired",
    "token_invalid": "The token is not valid",
    "bad_credentials": "Wrong user name or password",
    "session_over": "The session is over",
    "invalid_request": "The request is not as it must be",
    "unsupported_media_type": "The body must be JSON",
    "method_not_allowed": "Not with this method",
    "stale": "A newer token is on its way",
}
_INVALID_GRANT: Final = "The refresh token is invalid, expired or revoked."
_INVALID_TOKEN_CHALLENGE: Final = 'Bearer realm="evertoken", error="invalid_token"'  # noqa: S105 - a header, not a password


@dataclass(frozen=True, slots=True)
class Refusal:
    """
    Something that the server refuses, before it is spelled for the wire.

    Args:
        kind: What was refused: an access token, a refresh token (for good, or as STALE: for now), a sign-in, or a
            request that is not as it must be.
        code: evertoken's stable code; see docs/http.md.
        reason: Why a session is over.
        retry_after_seconds: How long to wait, where that is said.
        is_oauth: The call came to one of the OAuth endpoints, which say it their own way.
        oauth_error: The code there.
    """

    kind: Kind
    status: int
    code: str
    detail: str
    headers: tuple[tuple[str, str], ...] = ()
    reason: str | None = None
    retry_after_seconds: int | None = None
    is_oauth: bool = False
    oauth_error: str = "invalid_request"


class Refused(Exception):
    """Raised while a call is handled, to answer with a refusal."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


def render(refusal: Refusal) -> Answer:
    """A refusal as evertoken spells it."""
    headers = refusal.headers
    if refusal.retry_after_seconds is not None:
        headers = (*headers, ("Retry-After", str(refusal.retry_after_seconds)))
    if refusal.is_oauth:
        members = {"error": refusal.oauth_error, "error_description": refusal.detail}
        status = 400 if refusal.kind == "refresh" else refusal.status
        return Answer.json(status, members, ("Pragma", "no-cache"), *headers)
    problem = {
        "type": f"urn:evertoken:problem:{refusal.code}",
        "title": _TITLES[refusal.code],
        "status": refusal.status,
        "detail": refusal.detail,
        "code": refusal.code,
    }
    if refusal.reason is not None:
        problem["reason"] = refusal.reason
    return Answer.json(refusal.status, problem, *headers, media_type="application/problem+json")


def access_refused(code: Literal["token_expired", "token_invalid"]) -> Refused:
    """An access token that is not good."""
    if code == "token_expired":
        challenge, detail = (
            f'{_INVALID_TOKEN_CHALLENGE}, error_description="The access token expired"',
            "Refresh it and send again.",
        )
    else:
        challenge, detail = _INVALID_TOKEN_CHALLENGE, "Refresh it, or sign in again."
    return Refused(Refusal("access", 401, code, detail, (("WWW-Authenticate", challenge),)))


NO_ACCESS_TOKEN: Final = Refusal(
    "access",
    401,
    "token_invalid",
    "Send an access token: Authorization: Bearer TOKEN.",
    (("WWW-Authenticate", 'Bearer realm="evertoken"'),),
)

ACCESS_TOKEN_MISUSED: Final = Refusal(
    "request",
    400,
    "invalid_request",
    "Send one access token, in one Authorization header: Bearer, a space, the token.",
    (("WWW-Authenticate", 'Bearer realm="evertoken", error="invalid_request"'),),
)

BAD_CREDENTIALS: Final = Refusal(
    "sign_in",
    401,
    "bad_credentials",
    "The user name or the password is wrong.",
    (("WWW-Authenticate", 'Bearer realm="evertoken"'),),
)


def refresh_token_unknown(*, is_oauth: bool) -> Refused:
    """No refresh token came along, or none of this server."""
    detail = _INVALID_GRANT if is_oauth else "This is not a refresh token of ours."
    return _refresh_refused("token_invalid", detail, None, is_oauth=is_oauth)


def session_over(reason: str, *, is_oauth: bool) -> Refused:
    """The session of a genuine refresh token is over."""
    detail = _INVALID_GRANT if is_oauth else "Sign in again."
    return _refresh_refused("session_over", detail, reason, is_oauth=is_oauth)


def _refresh_refused(code: str, detail: str, reason: str | None, *, is_oauth: bool) -> Refused:
    refusal = Refusal("refresh", 401, code, detail, reason=reason, is_oauth=is_oauth, oauth_error="invalid_grant")
    return Refused(refusal if is_oauth else replace(refusal, headers=(("WWW-Authenticate", _INVALID_TOKEN_CHALLENGE),)))


def stale(retry_after_ms: int, *, is_oauth: bool) -> Refused:
    """A late duplicate of an older refresh token: nothing has been decided against its sender."""
    detail = "A newer token is on its way. Read your stored token again, else wait."
    wait = max(-(-retry_after_ms // 1000), 1)
    return Refused(
        Refusal(
            "stale",
            503,
            "stale",
            detail,
            retry_after_seconds=wait,
            is_oauth=is_oauth,
            oauth_error="temporarily_unavailable",
        )
    )


def bad_request(
    detail: str, *, status: int = 400, code: str = "invalid_request", oauth_error: str | None = None
) -> Refused:
    """A request that is not as it must be; with `oauth_error` in OAuth's words."""
    return Refused(
        Refusal(
            "request",
            status,
            code,
            detail,
            is_oauth=oauth_error is not None,
            oauth_error=oauth_error or "invalid_request",
        )
    )


def wrong_method(allow: str, *, is_oauth: bool) -> Refused:
    """A path that takes other methods."""
    return Refused(
        Refusal("request", 405, "method_not_allowed", f"Use {allow}.", (("Allow", allow),), is_oauth=is_oauth)
    )
