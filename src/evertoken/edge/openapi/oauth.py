"""The OpenAPI description of the OAuth endpoints, of /.well-known, and of what runs the server."""

from typing import Final

from evertoken.edge.metrics import CONTENT_TYPE
from evertoken.edge.openapi.parts import (
    CLIENT,
    EXAMPLE_ACCESS_TOKEN,
    EXAMPLE_REFRESH_TOKEN,
    EXAMPLE_SESSION,
    FORM,
    JSON,
    NOTHING,
    answer,
    body,
    headers,
    oauth_error,
    operation,
    problem,
    schema,
)

_TEXT: Final[JSON] = {"type": "string", "minLength": 1}
_ONCE: Final[JSON] = {"type": "string", "description": "Ignored, but no parameter may come twice (RFC 6749 §3.2)."}
_CLIENT_MEMBERS: Final[JSON] = {
    "client_id": {"type": "string", "description": "Of a public client, or with client_secret."},
    "client_secret": {"type": "string", "description": "Where the client does not authenticate by the header."},
}

SCHEMAS: Final[JSON] = {
    "TokenForm": {
        "type": "object",
        "description": "The refresh_token grant (RFC 6749 §6). There are no scopes to ask for.",
        "properties": {
            "grant_type": {"enum": ["refresh_token"]},
            "refresh_token": _TEXT,
            **_CLIENT_MEMBERS,
        },
        "required": ["grant_type", "refresh_token"],
        "additionalProperties": _ONCE,
    },
    "TokenToJudgeForm": {
        "type": "object",
        "description": "An access or refresh token (RFC 7009 §2.1, RFC 7662 §2.1).",
        "properties": {
            "token": _TEXT,
            "token_type_hint": {"type": "string", "description": "Ignored: both kinds are tried."},
            **_CLIENT_MEMBERS,
        },
        "required": ["token"],
        "additionalProperties": _ONCE,
    },
    "InactiveToken": {
        "type": "object",
        "description": "Not good now. Why is not told (RFC 7662 §2.2).",
        "properties": {"active": {"const": False}},
        "required": ["active"],
        "additionalProperties": False,
    },
    "ActiveToken": {
        "type": "object",
        "description": "Good now. An access token's claims come along.",
        "properties": {
            "active": {"const": True},
            "token_type": {"const": "Bearer", "description": "Of an access token."},
            "iss": {"type": "string"},
            "sub": {"type": "string"},
            "client_id": {"type": "string"},
            "sid": schema("SessionId"),
            "exp": {"type": "number", "description": "NumericDate."},
        },
        "required": ["active", "iss", "sub", "client_id", "sid", "exp"],
    },
    "KeySet": {
        "type": "object",
        "description": "Public keys (RFC 7517), those included that will sign later.",
        "properties": {
            "keys": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "kid": {"type": "string"},
                        "kty": {"enum": ["EC", "OKP", "RSA"]},
                        "alg": {"enum": ["ES256", "EdDSA", "RS256"]},
                        "use": {"const": "sig"},
                        "crv": {"type": "string"},
                        "x": {"type": "string"},
                        "y": {"type": "string"},
                        "n": {"type": "string"},
                        "e": {"type": "string"},
                    },
                    "required": ["kid", "kty", "alg", "use"],
                    "additionalProperties": False,
                },
            }
        },
        "required": ["keys"],
    },
    "ServerMetadata": {
        "type": "object",
        "description": "What is offered (RFC 8414 §2).",
        "properties": {
            **{
                name: {"type": "string", "format": "uri"}
                for name in (
                    "issuer",
                    "token_endpoint",
                    "revocation_endpoint",
                    "introspection_endpoint",
                    "jwks_uri",
                    "service_documentation",
                )
            },
            "grant_types_supported": {"type": "array", "items": {"const": "refresh_token"}},
        },
        "required": ["issuer", "token_endpoint", "jwks_uri", "grant_types_supported"],
    },
}


def paths(*, has_metrics: bool) -> JSON:
    """The paths; those of them that the settings switch off are left out."""
    described = {
        "/oauth/token": {"post": _token()},
        "/oauth/revoke": {"post": _revoke()},
        "/oauth/introspect": {"post": _introspect()},
        "/.well-known/oauth-authorization-server": {"get": _metadata("oauthMetadata", "RFC 8414")},
        "/.well-known/openid-configuration": {
            "get": _metadata("openidMetadata", "the same, where some client libraries look for it")
        },
        "/.well-known/jwks.json": {"get": _jwks()},
        "/healthz": {"get": _healthz()},
        "/readyz": {"get": _readyz()},
        "/openapi.json": {"get": _openapi()},
    }
    if has_metrics:
        described["/metrics"] = {"get": _metrics()}
    return described


def _token() -> JSON:
    tokens = answer(
        "New tokens.",
        schema("TokenAnswer"),
        example={
            "access_token": EXAMPLE_ACCESS_TOKEN,
            "token_type": "Bearer",
            "expires_in": 1800,
            "refresh_token": EXAMPLE_REFRESH_TOKEN,
            "refresh_token_expires_in": 604_800,
            "session_id": EXAMPLE_SESSION,
        },
        sends=("NoStore", "NoCache"),
    )
    return operation(
        "token",
        "OAuth",
        "Refresh, the OAuth way",
        description=(
            "For generic OAuth clients; the rules of /auth/refresh apply. A token handed out as a cookie is not taken."
            " Where the answer holds no refresh token, keep the one you have (RFC 6749 §6)."
        ),
        security=[CLIENT, NOTHING],
        takes=body(
            "TokenForm",
            example={"grant_type": "refresh_token", "refresh_token": EXAMPLE_REFRESH_TOKEN},
            media_type=FORM,
        ),
        answers=[
            ("200", tokens),
            oauth_error(400, "invalid_request", "invalid_grant", "unsupported_grant_type", "invalid_scope"),
            oauth_error(401, "invalid_client"),
            oauth_error(413, "invalid_request"),
            oauth_error(503, "temporarily_unavailable"),
        ],
    )


def _revoke() -> JSON:
    return operation(
        "revoke",
        "OAuth",
        "End the session of a token",
        description="RFC 7009. A token that is none of ours is no error. 503 means: still valid, try again.",
        security=[CLIENT, NOTHING],
        takes=body("TokenToJudgeForm", example={"token": EXAMPLE_REFRESH_TOKEN}, media_type=FORM),
        answers=[
            ("200", answer("The session is over, or there was none.")),
            oauth_error(400, "invalid_request", "invalid_grant"),
            oauth_error(401, "invalid_client"),
            oauth_error(413, "invalid_request"),
            oauth_error(503, "temporarily_unavailable"),
        ],
    )


def _introspect() -> JSON:
    return operation(
        "introspect",
        "OAuth",
        "Whether a token is good now",
        description="RFC 7662. For confidential clients only (`evertoken clients add`).",
        security=[CLIENT, NOTHING],
        takes=body("TokenToJudgeForm", example={"token": EXAMPLE_ACCESS_TOKEN}, media_type=FORM),
        answers=[
            (
                "200",
                answer(
                    "Good, or not.",
                    {"anyOf": [schema("ActiveToken"), schema("InactiveToken")]},
                    example={"active": False},
                ),
            ),
            oauth_error(400, "invalid_request"),
            oauth_error(401, "invalid_client"),
            oauth_error(413, "invalid_request"),
            oauth_error(503, "temporarily_unavailable"),
        ],
    )


def _metadata(name: str, what: str) -> JSON:
    return operation(
        name,
        "OAuth",
        "What this server offers",
        description=f"Metadata: {what}.",
        answers=[("200", answer("The metadata.", schema("ServerMetadata")))],
    )


def _jwks() -> JSON:
    keys = answer("The keys.", schema("KeySet"), sends=())
    keys["headers"] = {
        "Cache-Control": {
            "description": "Read it anew every five minutes: a new key is published for longer before it signs.",
            "required": True,
            "schema": {"const": "public, max-age=300"},
        }
    }
    return operation("keys", "OAuth", "The keys that verify access tokens", answers=[("200", keys)])


def _healthz() -> JSON:
    alive = answer("It answers.", {"type": "object", "properties": {"status": {"const": "ok"}}, "required": ["status"]})
    return operation("health", "Running it", "Whether the process answers", answers=[("200", alive)])


def _readyz() -> JSON:
    ready = answer(
        "It can work.", {"type": "object", "properties": {"status": {"const": "ready"}}, "required": ["status"]}
    )
    return operation(
        "ready",
        "Running it",
        "Whether the store takes writes, and the server is not about to stop",
        answers=[("200", ready), problem(503, "unavailable")],
    )


def _openapi() -> JSON:
    described = answer(
        "OpenAPI 3.1.",
        {"type": "object", "properties": {"openapi": {"const": "3.1.0"}}, "required": ["openapi", "info", "paths"]},
    )
    described["headers"] = headers("NoStore")
    return operation("description", "Running it", "This description", answers=[("200", described)])


def _metrics() -> JSON:
    counters = answer("The counters.", {"type": "string"}, media_type=CONTENT_TYPE.partition(";")[0], sends=())
    return operation("metrics", "Running it", "Counters for Prometheus", answers=[("200", counters)])
