"""What the OpenAPI description is put together from: references, headers, answers, operations."""

from collections.abc import Sequence
from typing import Any, Final

from evertoken.sessions.rotation import Reason
from evertoken.wire.problems import MEDIA_TYPE, TITLES

JSON = dict[str, Any]

FORM: Final = "application/x-www-form-urlencoded"
ALL_REASONS: Final = tuple(reason.value for reason in Reason)

BEARER: Final[JSON] = {"accessToken": []}
COOKIE: Final[JSON] = {"refreshCookie": [], "csrfToken": []}
COOKIE_ALONE: Final[JSON] = {"refreshCookie": []}
CLIENT: Final[JSON] = {"clientSecret": []}
NOTHING: Final[JSON] = {}

EXAMPLE_SESSION: Final = "Zm9ydHktdHdvIGJ5dGVzLg"
EXAMPLE_ACCESS_TOKEN: Final = "HEADER.CLAIMS.SIGNATURE"  # noqa: S105 - stands for one
EXAMPLE_REFRESH_TOKEN: Final = "etr_REFRESH-TOKEN"  # noqa: S105 - stands for one

HEADERS: Final[JSON] = {
    "NoStore": {
        "description": "No cache keeps this answer.",
        "required": True,
        "schema": {"const": "no-store"},
    },
    "NoCache": {
        "description": "For caches of HTTP/1.0 (RFC 6749 §5.1).",
        "required": True,
        "schema": {"const": "no-cache"},
    },
    "Challenge": {
        "description": "How to authenticate (RFC 6750 §3).",
        "required": True,
        "schema": {"type": "string", "pattern": '^(Bearer|Basic) realm="evertoken"'},
        "example": 'Bearer realm="evertoken", error="invalid_token"',
    },
    "RetryAfter": {
        "description": "Seconds to wait before the next attempt.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "example": 1,
    },
    "RefreshCookie": {
        "description": "Cookie mode only: the next refresh token, or, at sign-out, none.",
        "schema": {"type": "string", "pattern": "HttpOnly"},
    },
}

_NAMES: Final = {
    "NoStore": "Cache-Control",
    "NoCache": "Pragma",
    "Challenge": "WWW-Authenticate",
    "RetryAfter": "Retry-After",
    "RefreshCookie": "Set-Cookie",
}


def ref(kind: str, name: str) -> JSON:
    """A reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def schema(name: str) -> JSON:
    """A reference to a schema."""
    return ref("schemas", name)


def headers(*names: str) -> JSON:
    """Headers of an answer, by the names they have in `HEADERS`."""
    return {_NAMES[name]: ref("headers", name) for name in names}


def answer(
    description: str,
    content: JSON | None = None,
    *,
    example: Any = None,
    media_type: str = "application/json",
    sends: Sequence[str] = ("NoStore",),
) -> JSON:
    """
    One answer.

    Args:
        content: The schema of its body; None for an answer without one.
        sends: The headers that come with it, by the names they have in `HEADERS`.
    """
    rendered: JSON = {"description": description}
    if sends:
        rendered["headers"] = headers(*sends)
    if content is not None:
        body: JSON = {"schema": content}
        if example is not None:
            body["example"] = example
        rendered["content"] = {media_type: body}
    return rendered


def problem(status: int, *codes: str, reasons: Sequence[str] = ()) -> tuple[str, JSON]:
    """
    A refusal of this status with one of these codes, as an entry of `responses`.

    Args:
        reasons: What `reason` says beside the code `session_over`.
    """
    members: JSON = {"status": {"const": status}, "code": {"enum": list(codes)}}
    narrowed: JSON = {"properties": members}
    if reasons:
        members["reason"] = {"enum": list(reasons)}
        narrowed["if"] = {"properties": {"code": {"const": "session_over"}}}
        narrowed["then"] = {"required": ["reason"]}
    told = "; ".join(f"`{code}`: {TITLES[code]}" for code in codes) + "."
    return str(status), answer(
        told, {"allOf": [schema("Problem"), narrowed]}, media_type=MEDIA_TYPE, sends=_sent_with(status)
    )


def oauth_error(status: int, *errors: str) -> tuple[str, JSON]:
    """A refusal by an OAuth endpoint (RFC 6749 §5.2), as an entry of `responses`."""
    narrowed = {"properties": {"error": {"enum": list(errors)}}}
    content = {"allOf": [schema("OAuthError"), narrowed]}
    told = " or ".join(f"`{error}`" for error in errors) + "."
    return str(status), answer(told, content, sends=("NoCache", *_sent_with(status)))


def body(name: str, *, example: JSON, media_type: str = "application/json", required: bool = True) -> JSON:
    """A request body of one of the component schemas."""
    return {"required": required, "content": {media_type: {"schema": schema(name), "example": example}}}


def operation(
    name: str,
    tag: str,
    summary: str,
    *,
    description: str = "",
    security: Sequence[JSON] = (),
    parameters: Sequence[JSON] = (),
    takes: JSON | None = None,
    answers: Sequence[tuple[str, JSON]],
) -> JSON:
    """
    One operation.

    Args:
        security: Any one of these is enough; none at all where nothing is needed.
        takes: The request body.
        answers: Every status with its answer.
    """
    rendered: JSON = {"operationId": name, "tags": [tag], "summary": summary}
    if description:
        rendered["description"] = description
    rendered["security"] = list(security)
    if parameters:
        rendered["parameters"] = list(parameters)
    if takes is not None:
        rendered["requestBody"] = takes
    rendered["responses"] = dict(answers)
    return rendered


def _sent_with(status: int) -> tuple[str, ...]:
    match status:
        case 401:
            return ("NoStore", "Challenge")
        case 429 | 503:
            return ("NoStore", "RetryAfter")
        case _:
            return ("NoStore",)
