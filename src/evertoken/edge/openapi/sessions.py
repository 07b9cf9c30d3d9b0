"""The OpenAPI description of /auth: signing in and out, and what a signed-in person may see and change."""

from typing import Final

from evertoken.edge.openapi.parts import (
    ALL_REASONS,
    BEARER,
    COOKIE,
    COOKIE_ALONE,
    EXAMPLE_ACCESS_TOKEN,
    EXAMPLE_REFRESH_TOKEN,
    EXAMPLE_SESSION,
    JSON,
    NOTHING,
    answer,
    body,
    headers,
    operation,
    problem,
    schema,
)
from evertoken.sessions.rotation import Reason

_TOKENS: Final[JSON] = {
    "access_token": EXAMPLE_ACCESS_TOKEN,
    "token_type": "Bearer",
    "expires_in": 1800,
    "refresh_token": EXAMPLE_REFRESH_TOKEN,
    "refresh_token_expires_in": 604_800,
    "session_id": EXAMPLE_SESSION,
}
_SESSION: Final[JSON] = {
    "id": EXAMPLE_SESSION,
    "device": "Firefox on Linux",
    "address": "203.0.113.7",
    "client_id": "evertoken",
    "created_at": 1_800_000_000,
    "last_refreshed_at": 1_800_003_600,
    "expires_at": 1_800_608_400,
    "current": True,
}

_NEW_TOKENS: Final = ("200", answer("New tokens.", schema("TokenAnswer"), example=_TOKENS, sends=("NoStore",)))
_NEW_TOKENS[1]["headers"] |= headers("RefreshCookie")
_DONE: Final = ("204", answer("Done."))
_NOT_OVERLOADED: Final = problem(503, "unavailable")
_BAD_ACCESS_TOKEN: Final = problem(401, "token_invalid", "token_expired")
_BAD_HEADER: Final = problem(400, "invalid_request")
_BODY_TOO_LARGE: Final = problem(413, "too_large")
_BODY_NOT_JSON: Final = problem(415, "unsupported_media_type")


def paths(*, changes_passwords: bool) -> JSON:
    """
    The paths.

    Args:
        changes_passwords: Whether every password is kept here; otherwise the application's directory may keep them.
    """
    return {
        "/auth/login": {"post": _login()},
        "/auth/refresh": {"post": _refresh()},
        "/auth/csrf": {"get": _csrf()},
        "/auth/logout": {"post": _logout()},
        "/auth/me": {"get": _me()},
        "/auth/verify": {"get": _verify()},
        "/auth/sessions": {"get": _sessions(), "delete": _end_all()},
        "/auth/sessions/{id}": {"delete": _end_one()},
        "/auth/password": {"post": _password(changes_passwords=changes_passwords)},
    }


def _login() -> JSON:
    return operation(
        "login",
        "Signing in and out",
        "Sign in with user name and password",
        description=(
            "Begins a session. `delivery` is chosen here for its whole life: `body` puts the refresh token into the"
            " answers, `cookie` into an HttpOnly cookie. `cookie` must be asked for by a page of this origin or of one"
            " in `allowed_origins`. A session whose cookie comes along ends. A password of more than 1024 bytes"
            " (UTF-8, after NFKC) is refused unread. A wrong user and a wrong password are one answer."
        ),
        takes=body("LoginBody", example={"username": "ada", "password": "correct-horse-battery"}),
        answers=[
            _NEW_TOKENS,
            problem(400, "invalid_request"),
            problem(401, "bad_credentials"),
            problem(403, "origin_not_allowed"),
            _BODY_TOO_LARGE,
            _BODY_NOT_JSON,
            problem(429, "rate_limited"),
            _NOT_OVERLOADED,
        ],
    )


def _refresh() -> JSON:
    return operation(
        "refresh",
        "Signing in and out",
        "Get a new access token",
        description=(
            "Send the refresh token in the body; in cookie mode send no body, the cookie and X-CSRF-Token. Store the"
            " new refresh token before you use the access token. Where the answer holds none, keep the one you have."
            " `session_over` means: sign in again. 503 never does: `stale` means that a newer token should be in your"
            " store by now, so read it again."
        ),
        security=[COOKIE, NOTHING],
        takes=body("RefreshBody", example={"refresh_token": EXAMPLE_REFRESH_TOKEN}, required=False),
        answers=[
            _NEW_TOKENS,
            problem(400, "invalid_request"),
            problem(401, "token_invalid", "session_over", reasons=ALL_REASONS),
            problem(403, "origin_not_allowed", "csrf"),
            _BODY_TOO_LARGE,
            _BODY_NOT_JSON,
            problem(503, "stale", "unavailable"),
        ],
    )


def _csrf() -> JSON:
    return operation(
        "csrf",
        "Signing in and out",
        "Get the CSRF token of the cookie's session",
        description="For a page that has just been loaded: of this origin, or of one in `allowed_origins`.",
        security=[COOKIE_ALONE],
        answers=[
            (
                "200",
                answer(
                    "The CSRF token.",
                    schema("CsrfAnswer"),
                    example={"csrf_token": "CSRF-TOKEN", "session_id": EXAMPLE_SESSION},
                ),
            ),
            problem(400, "invalid_request"),
            problem(401, "token_invalid"),
            problem(403, "origin_not_allowed"),
        ],
    )


def _logout() -> JSON:
    signed_out = answer("Signed out, or signed out before. Clears the cookie where it was this session's.")
    signed_out["headers"] |= headers("RefreshCookie")
    return operation(
        "logout",
        "Signing in and out",
        "Sign out",
        description=(
            "Ends the session of the access token, or of any genuine refresh token of it, however old: one in the body"
            " goes first, then the access token, then the cookie. 503 means: not signed out, try again."
        ),
        security=[BEARER, COOKIE, NOTHING],
        takes=body("RefreshBody", example={"refresh_token": EXAMPLE_REFRESH_TOKEN}, required=False),
        answers=[
            ("204", signed_out),
            problem(400, "invalid_request"),
            _BAD_ACCESS_TOKEN,
            problem(403, "origin_not_allowed", "csrf"),
            _BODY_TOO_LARGE,
            _BODY_NOT_JSON,
            _NOT_OVERLOADED,
        ],
    )


def _me() -> JSON:
    return operation(
        "me",
        "Your account",
        "The claims of the access token",
        security=[BEARER],
        answers=[("200", answer("The claims.", schema("Claims"))), _BAD_HEADER, _BAD_ACCESS_TOKEN],
    )


def _verify() -> JSON:
    good = answer("The access token is good.")
    for name, what in {
        "X-Auth-Subject": "`sub`, percent-encoded beyond ASCII.",
        "X-Auth-Session": "`sid`.",
        "X-Auth-Roles": "The roles, each percent-encoded, with commas between.",
        "X-Auth-Username": "`preferred_username`, percent-encoded beyond ASCII; empty where there is none.",
    }.items():
        good["headers"][name] = {"description": what, "required": True, "schema": {"type": "string"}}
    return operation(
        "verify",
        "Your account",
        "Check an access token for a proxy",
        description=(
            "For nginx auth_request, Traefik and Caddy forward auth: user headers, or a refusal. It is never 400, for"
            " nginx makes a 500 of anything but 401 and 403."
        ),
        security=[BEARER],
        answers=[("200", good), _BAD_ACCESS_TOKEN],
    )


def _sessions() -> JSON:
    return operation(
        "sessions",
        "Your account",
        "Where you are signed in",
        description="Your live sessions, the last refreshed first.",
        security=[BEARER],
        answers=[
            ("200", answer("The sessions.", schema("SessionsAnswer"), example={"sessions": [_SESSION]})),
            _BAD_HEADER,
            _BAD_ACCESS_TOKEN,
            _NOT_OVERLOADED,
        ],
    )


def _end_all() -> JSON:
    return operation(
        "endSessions",
        "Your account",
        "End all of your sessions, or all others",
        security=[BEARER],
        parameters=[
            {
                "name": "keep",
                "in": "query",
                "description": "`current` keeps the session that asks.",
                "schema": {"enum": ["current"]},
                "example": "current",
            }
        ],
        answers=[
            _DONE,
            problem(400, "invalid_request"),
            _BAD_ACCESS_TOKEN,
            problem(403, "origin_not_allowed"),
            _NOT_OVERLOADED,
        ],
    )


def _end_one() -> JSON:
    return operation(
        "endSession",
        "Your account",
        "End one of your sessions",
        description="One that is over already is ended once more, without effect.",
        security=[BEARER],
        parameters=[
            {
                "name": "id",
                "in": "path",
                "required": True,
                "description": "The session's id: 16 bytes as base64url.",
                "schema": schema("SessionId"),
                "example": EXAMPLE_SESSION,
            }
        ],
        answers=[
            _DONE,
            _BAD_HEADER,
            _BAD_ACCESS_TOKEN,
            problem(403, "origin_not_allowed"),
            problem(404, "not_found"),
            _NOT_OVERLOADED,
        ],
    )


def _password(*, changes_passwords: bool) -> JSON:
    return operation(
        "changePassword",
        "Your account",
        "Change your password",
        description=(
            "Every other session of yours ends; this one goes on. The new password must be long and not foreseeable:"
            " 422 says what is wrong with it. No character is demanded or forbidden; 1024 bytes are the most."
        ),
        security=[BEARER],
        takes=body(
            "PasswordBody",
            example={"current_password": "correct-horse-battery", "new_password": "violet-anchor-stapler"},
        ),
        answers=[
            _DONE,
            problem(400, "invalid_request"),
            problem(401, "token_invalid", "token_expired", "session_over", reasons=[Reason.ACCOUNT_DISABLED.value]),
            problem(403, "origin_not_allowed", "bad_credentials"),
            *([] if changes_passwords else [problem(404, "not_found")]),
            _BODY_TOO_LARGE,
            _BODY_NOT_JSON,
            problem(422, "password_refused"),
            problem(429, "rate_limited"),
            _NOT_OVERLOADED,
        ],
    )
