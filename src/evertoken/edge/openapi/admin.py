"""The OpenAPI description of /admin: what an operator may see and do."""

from typing import Final

from evertoken.edge.openapi.parts import BEARER, EXAMPLE_SESSION, JSON, answer, operation, problem, schema
from evertoken.edge.operators import DEFAULT_LIMIT, MAX_CURSOR_CHARACTERS, MAX_LIMIT, MAX_PART_CHARACTERS
from evertoken.wire import operator_answers

STRUCTS: Final = (
    operator_answers.Overview,
    operator_answers.UserCounts,
    operator_answers.SessionCounts,
    operator_answers.AccessTokenCounts,
    operator_answers.UserWithSessions,
    operator_answers.HourAnswer,
    operator_answers.OperatorUsers,
    operator_answers.OperatorUser,
    operator_answers.OperatorSessions,
    operator_answers.OperatorSession,
    operator_answers.Timeline,
    operator_answers.TimelineItem,
    operator_answers.Evidence,
    operator_answers.SigningKeys,
    operator_answers.SigningKeyAnswer,
)

_TAG: Final = "Operators"
_EXAMPLE_USER: Final = "usr_ada"
_DONE: Final = ("204", answer("Done."))
_REFUSALS: Final = (problem(401, "token_invalid", "token_expired"), problem(503, "unavailable"))
_BAD_REQUEST: Final = problem(400, "invalid_request")
_NOT_FOUND: Final = problem(404, "not_found")
_NOT_ADMIN: Final = problem(403, "insufficient_rights")
_NOT_ADMIN_OR_FOREIGN: Final = problem(403, "insufficient_rights", "origin_not_allowed")
for _refusal in (_NOT_ADMIN, _NOT_ADMIN_OR_FOREIGN):
    _refusal[1]["headers"]["WWW-Authenticate"] = {
        "description": "Of `insufficient_rights` (RFC 6750 §3.1).",
        "schema": {"type": "string", "pattern": 'error="insufficient_scope"'},
    }


def paths(*, keeps_users: bool) -> JSON:
    """
    The paths.

    Args:
        keeps_users: Whether users live in our own table; otherwise the routes about them answer 404 and say so.
    """
    return {
        "/admin/overview": {"get": _overview()},
        "/admin/users": {"get": _users(keeps_users=keeps_users)},
        "/admin/users/{id}/disable": {
            "post": _user_change("disableUser", "Disable a user", "All sessions of the user end.")
        },
        "/admin/users/{id}/enable": {
            "post": _user_change("enableUser", "Let a disabled user sign in again", "Ended sessions stay ended.")
        },
        "/admin/users/{id}/sessions": {
            "delete": _user_change(
                "endUsersSessions", "End all sessions of a user", "A sign-in under way does not slip through."
            )
        },
        "/admin/sessions": {"get": _sessions()},
        "/admin/sessions/{id}": {"get": _session(), "delete": _end_session()},
        "/admin/sessions/{id}/timeline": {"get": _timeline()},
        "/admin/keys": {"get": _keys()},
        "/admin/keys/rotate": {"post": _rotate()},
    }


def _overview() -> JSON:
    return operation(
        "overview",
        _TAG,
        "How many tokens are out there, and whose",
        description=(
            "Sessions, users, sign-ins and refresh outcomes, counted. Where counting takes long, the answer is as old"
            " as `at` says, at most ten times as long as it took."
        ),
        security=[BEARER],
        answers=[_found("The figures.", "Overview"), _BAD_REQUEST, _NOT_ADMIN, *_REFUSALS],
    )


def _users(*, keeps_users: bool) -> JSON:
    return operation(
        "allUsers",
        _TAG,
        "Users, by name",
        security=[BEARER],
        parameters=[
            _search("Part of the name; case and width make no difference."),
            _after({"type": "string", "maxLength": MAX_CURSOR_CHARACTERS}, "ada"),
            _limit(),
        ],
        answers=[
            _found("A page of users.", "OperatorUsers"),
            _BAD_REQUEST,
            _NOT_ADMIN,
            *([] if keeps_users else [_NOT_FOUND]),
            *_REFUSALS,
        ],
    )


def _user_change(name: str, summary: str, description: str) -> JSON:
    return operation(
        name,
        _TAG,
        summary,
        description=f"{description} 404 too where users live in the application's own table.",
        security=[BEARER],
        parameters=[_path("The user's id.", {"type": "string", "minLength": 1}, _EXAMPLE_USER)],
        answers=[_DONE, _BAD_REQUEST, _NOT_ADMIN_OR_FOREIGN, _NOT_FOUND, *_REFUSALS],
    )


def _sessions() -> JSON:
    place = {"type": "string", "pattern": "^[0-9]{1,15}\\.[A-Za-z0-9_-]{21}[AQgw]$"}
    return operation(
        "allSessions",
        _TAG,
        "Everybody's sessions",
        description="The newest sign-in first.",
        security=[BEARER],
        parameters=[
            _search(
                "Part of the user name, of an address or of a device; or the session's id, or its first 6 characters or"
                " more."
            ),
            _query("user_id", "Only this user's.", {"type": "string", "maxLength": MAX_PART_CHARACTERS}, _EXAMPLE_USER),
            _query("state", "`all` includes those that are over.", {"enum": ["live", "all"]}, "all"),
            _after(place, f"1800000000000.{EXAMPLE_SESSION}"),
            _limit(),
        ],
        answers=[_found("A page of sessions.", "OperatorSessions"), _BAD_REQUEST, _NOT_ADMIN, *_REFUSALS],
    )


def _session() -> JSON:
    return operation(
        "anySession",
        _TAG,
        "One session, live or over",
        security=[BEARER],
        parameters=[_session_id()],
        answers=[_found("The session.", "OperatorSession"), _BAD_REQUEST, _NOT_ADMIN, _NOT_FOUND, *_REFUSALS],
    )


def _end_session() -> JSON:
    return operation(
        "endAnySession",
        _TAG,
        "End a session",
        description="One that is over already is ended once more, without effect.",
        security=[BEARER],
        parameters=[_session_id()],
        answers=[_DONE, _BAD_REQUEST, _NOT_ADMIN_OR_FOREIGN, _NOT_FOUND, *_REFUSALS],
    )


def _timeline() -> JSON:
    return operation(
        "timeline",
        _TAG,
        "The story of one session",
        description="Sign-in, the last 20 refreshes, everything unusual, and why it ended; oldest first.",
        security=[BEARER],
        parameters=[_session_id()],
        answers=[_found("The story.", "Timeline"), _BAD_REQUEST, _NOT_ADMIN, _NOT_FOUND, *_REFUSALS],
    )


def _keys() -> JSON:
    return operation(
        "signingKeys",
        _TAG,
        "Signing keys",
        security=[BEARER],
        answers=[_found("The keys.", "SigningKeys"), _BAD_REQUEST, _NOT_ADMIN, *_REFUSALS],
    )


def _rotate() -> JSON:
    return operation(
        "rotateKeys",
        _TAG,
        "Make a new signing key",
        description="It is published now, and signs after `key_announce`, when guards elsewhere know it.",
        security=[BEARER],
        answers=[_found("The new key.", "SigningKeyAnswer"), _BAD_REQUEST, _NOT_ADMIN_OR_FOREIGN, *_REFUSALS],
    )


def _found(description: str, name: str) -> tuple[str, JSON]:
    return "200", answer(description, schema(name))


def _search(description: str) -> JSON:
    return _query("search", description, {"type": "string", "maxLength": MAX_PART_CHARACTERS}, "ada")


def _after(shape: JSON, example: str) -> JSON:
    return _query("after", "`next` of the page before.", shape, example)


def _limit() -> JSON:
    bounds = {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    return _query("limit", "How many at most.", bounds, 20)


def _query(name: str, description: str, shape: JSON, example: str | int) -> JSON:
    return {"name": name, "in": "query", "description": description, "schema": shape, "example": example}


def _session_id() -> JSON:
    return _path("The session's id: 16 bytes as base64url.", schema("SessionId"), EXAMPLE_SESSION)


def _path(description: str, shape: JSON, example: str) -> JSON:
    return {
        "name": "id",
        "in": "path",
        "required": True,
        "description": description,
        "schema": shape,
        "example": example,
    }
