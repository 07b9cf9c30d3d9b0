"""The OpenAPI description of the revocation feed."""

from typing import Final

from evertoken.edge.openapi.parts import CLIENT, EXAMPLE_SESSION, JSON, answer, operation, problem, schema
from evertoken.wire.revocations import (
    DEFAULT_WAIT_SECONDS,
    LONGEST_WAIT_SECONDS,
    PATH,
    RevocationsAnswer,
    RevokedSession,
)

STRUCTS: Final = (RevocationsAnswer, RevokedSession)

_PARAMETERS: Final[list[JSON]] = [
    {
        "name": "after",
        "in": "query",
        "description": "The cursor of the answer before. Leave it out to get everything that is kept.",
        "schema": {"type": "string", "pattern": "^(0|[1-9][0-9]{0,15})$"},
    },
    {
        "name": "wait",
        "in": "query",
        "description": "Seconds to wait for something new; the answer comes as soon as there is any.",
        "schema": {
            "type": "integer",
            "minimum": 0,
            "maximum": LONGEST_WAIT_SECONDS,
            "default": DEFAULT_WAIT_SECONDS,
        },
    },
]


def paths() -> JSON:
    """The path."""
    return {PATH: {"get": _revocations()}}


def _revocations() -> JSON:
    page = answer(
        "Ended sessions, oldest first; none where nothing came in time.",
        schema("RevocationsAnswer"),
        example={
            "revoked": [{"session_id": EXAMPLE_SESSION, "at": 1_790_000_000}],
            "cursor": "1790000000000000",
            "complete": True,
            "snapshot": False,
            "kept_seconds": 1861,
        },
    )
    return operation(
        "revocations",
        "OAuth",
        "Sessions that have ended, for guards in other services",
        description=(
            "For confidential clients only (`evertoken clients add`). Refuse the access tokens (`sid`) of every session"
            " that is told here. Without `after`: all that are kept, page by page until `complete`. With it: what"
            " came after, at once or as soon as there is any. An entry may be told twice, and is never left out."
        ),
        security=[CLIENT],
        parameters=_PARAMETERS,
        answers=[
            ("200", page),
            problem(400, "invalid_request"),
            problem(401, "client_refused"),
            problem(503, "unavailable"),
        ],
    )
