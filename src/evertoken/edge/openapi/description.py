"""
The OpenAPI 3.1 description of this server, made from the Structs that read its requests and render its answers.

A test walks the router and fails when a route is missing here; others drive a running server by this description.
"""

import functools
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from evertoken.edge.openapi import admin, oauth, revocations, sessions
from evertoken.edge.openapi.parts import HEADERS, JSON, schema
from evertoken.edge.routes.account import PasswordBody
from evertoken.edge.routes.auth import LoginBody, RefreshBody
from evertoken.edge.settings import Settings
from evertoken.wire.answers import CsrfAnswer, OAuthError, Problem, SessionsAnswer, TokenAnswer
from evertoken.wire.cookies import RefreshCookie
from evertoken.wire.origins import is_trustworthy
from evertoken.wire.problems import TITLES

_STRUCTS: Final = (
    LoginBody,
    RefreshBody,
    PasswordBody,
    TokenAnswer,
    CsrfAnswer,
    SessionsAnswer,
    Problem,
    OAuthError,
    *admin.STRUCTS,
    *revocations.STRUCTS,
)

_ALWAYS_SENT: Final = {"TokenAnswer": ("refresh_token_expires_in", "session_id"), "OAuthError": ("error_description",)}
"""Members that the Structs leave open for what other servers answer, and that this server always sends."""

_ABOUT: Final = """\
Keeps people signed in without their noticing: short-lived access tokens, rotating refresh tokens, sessions that can
be ended.

Refusals are problems (RFC 9457); programs go by `code`. The OAuth endpoints answer as RFC 6749 §5.2 says. A 503 is
never a sign-out.

Any call may also be refused before it reaches its route, always with a problem: 400 `invalid_request` (not HTTP/1.1),
404 `not_found`, 405 `method_not_allowed` with Allow, 408 `timeout` (10 s to arrive), 431 `too_large` (32 KiB of
headers). A 500 `internal` is a fault of ours; its `instance` stands in the log. HEAD goes wherever GET does.

The pages and the browser client (/auth/client.js) are files, and not described here.
"""

_DIALECTS: Final = """
Other ways to sign in and refresh are served as well (setting `dialects`). They are not described here: each is
described by its own document, which its clients read, and answers with its own statuses and bodies.
"""

_TAGS: Final = {
    "Signing in and out": "Where tokens come from, and how they are taken back.",
    "Your account": "For whoever holds an access token.",
    "OAuth": "For generic OAuth clients and resource servers.",
    "Running it": "For whoever runs the server.",
    "Operators": "Over every user, for access tokens that carry the role `admin`.",
}


@functools.lru_cache(maxsize=8)
def description(settings: Settings) -> dict[str, Any]:
    """The description, made once for each settings; not to be changed by who gets it."""
    paths = sessions.paths(changes_passwords=not settings.user_directory)
    paths |= oauth.paths(has_metrics=settings.metrics)
    paths |= revocations.paths()
    paths |= admin.paths(keeps_users=not settings.user_directory)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": settings.service_name,
            "version": "1",
            "description": _ABOUT + (_DIALECTS if settings.dialects else ""),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": settings.issuer_url}],
        "tags": [{"name": name, "description": what} for name, what in _TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "headers": HEADERS,
            "securitySchemes": _security_schemes(settings),
        },
    }


def _security_schemes(settings: Settings) -> JSON:
    cookie = RefreshCookie(is_trustworthy(settings.issuer_url), settings.cookie_samesite)
    return {
        "accessToken": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "refreshCookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": cookie.name,
            "description": (
                "The refresh token in cookie mode. The browser must say that the request comes from a page of this"
                " origin (Sec-Fetch-Site: same-origin) or of one in `allowed_origins` (Origin)."
            ),
        },
        "csrfToken": {
            "type": "apiKey",
            "in": "header",
            "name": "X-CSRF-Token",
            "description": "What sign-in, refresh and /auth/csrf told the page.",
        },
        "clientSecret": {
            "type": "http",
            "scheme": "basic",
            "description": "A confidential client's id and secret, each form-encoded (RFC 6749 §2.3.1).",
        },
    }


def _schemas() -> JSON:
    _, components = msgspec.json.schema_components(_STRUCTS, ref_template="#/components/schemas/{name}")
    for name in ("TokenAnswer", "Problem", "OAuthError", *(struct.__name__ for struct in admin.STRUCTS)):
        components[name]["properties"] = {
            member: _never_null(found) for member, found in components[name]["properties"].items()
        }
        components[name]["required"] = _in_order(
            components[name]["properties"], {*components[name]["required"], *_ALWAYS_SENT.get(name, ())}
        )
    components["Problem"]["properties"]["code"] |= {"enum": list(TITLES)}
    components["Problem"]["properties"]["type"] |= {"pattern": "^urn:evertoken:problem:"}
    for holder in ("TokenAnswer", "CsrfAnswer"):
        components[holder]["properties"]["session_id"] = schema("SessionId")
    components["RevokedSession"]["properties"]["session_id"] = schema("SessionId")
    for holder in ("SessionAnswer", "OperatorSession"):
        components[holder]["properties"]["id"] = schema("SessionId")
    return {**components, **oauth.SCHEMAS, "SessionId": _SESSION_ID, "Claims": _CLAIMS}


def _never_null(member: JSON) -> JSON:
    """Answers leave out what they do not have; null never stands there."""
    kinds = [kind for kind in member.get("anyOf", ()) if kind != {"type": "null"}]
    if len(kinds) != 1:
        return member
    rest = {name: value for name, value in member.items() if name not in ("anyOf", "default")}
    return {**rest, **kinds[0]}


def _in_order(members: Iterable[str], wanted: set[str]) -> list[str]:
    return [member for member in members if member in wanted]


_SESSION_ID: Final[JSON] = {
    "type": "string",
    "description": "16 bytes as base64url, in its one spelling.",
    "pattern": "^[A-Za-z0-9_-]{21}[AQgw]$",
}

_CLAIMS: Final[JSON] = {
    "type": "object",
    "description": "RFC 9068 §2.2, and what the application adds.",
    "properties": {
        "iss": {"type": "string"},
        "sub": {"type": "string", "description": "The user's id."},
        "aud": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]},
        "client_id": {"type": "string"},
        "exp": {"type": "number", "description": "NumericDate."},
        "iat": {"type": "number", "description": "NumericDate."},
        "jti": {"type": "string"},
        "sid": schema("SessionId"),
        "roles": {"type": "array", "items": {"type": "string"}, "description": "Left out where there are none."},
        "scope": {"type": "string"},
        "preferred_username": {"type": "string", "description": "Unless a claims hook says otherwise."},
    },
    "required": ["iss", "sub", "aud", "client_id", "exp", "iat", "jti", "sid"],
}
