"""
The guard for FastAPI: a dependency.

    guarded = Guarded(server.guard)
    Claims = Annotated[AccessTokenClaims, Depends(guarded)]

    @app.get("/reports")
    async def reports(claims: Claims):
        return {"reports for": claims.sub}

    @app.delete("/users/{name}", dependencies=[Depends(guarded.requiring(roles=["admin"]))])
    async def remove(name: str): ...
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

from fastapi import APIRouter, HTTPException
from fastapi.openapi.models import APIKey, APIKeyIn, HTTPBearer
from fastapi.openapi.models import SecurityBase as SecurityModel
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.routing import Route
from starlette.websockets import WebSocket

from evertoken.clock import Clock, system_clock
from evertoken.guards.access_check import ChecksAccess
from evertoken.guards.judging import (
    DESCRIPTION,
    SCHEME,
    EmbeddedServer,
    Refusal,
    checked,
    close_code,
    demanded,
    recalled,
)
from evertoken.guards.speech import speech_of
from evertoken.guards.starlette import problem_response
from evertoken.tokens.claims import AccessTokenClaims
from evertoken.wire import problems

PLACES: Final = (
    *("/auth", "/oauth", "/.well-known", "/admin", "/healthz", "/readyz", "/metrics"),
    *("/sessions", "/pages"),  # the pages "my sessions" and "admin", and what they load
)
"""Where the server's routes are: what `evertoken_router` takes of the application's paths."""

_HANDLERS: Final = "starlette.exception_handlers"


class Guarded(SecurityBase):
    """
    A dependency that lets a request pass only with a good access token, and gives its claims.

    It works in routes, routers (`dependencies=`), the whole application and WebSockets, and with
    `Security(guarded, scopes=["read"])`. A refusal is a problem (RFC 9457) with its challenge, whatever exception
    handlers the application has; a WebSocket is closed before it is accepted, with 1008, or 1013 for "try again".

    Args:
        guard: What checks the tokens: `build(...).guard` or a `Guard`.
        scopes: Every one of these is demanded, beside those of `Security`.
        roles: At least one of these is demanded.
        clock: Returns the time in milliseconds.
    """

    def __init__(
        self,
        guard: ChecksAccess,
        *,
        scopes: Sequence[str] = (),
        roles: Sequence[str] = (),
        clock: Clock = system_clock,
    ) -> None:
        self._speech = speech_of(guard)
        self.model: SecurityModel = HTTPBearer(bearerFormat="JWT", description=DESCRIPTION)
        if not self._speech.is_bearer:
            self.model = APIKey.model_validate(
                {"in": APIKeyIn.header, "name": self._speech.header, "description": DESCRIPTION}
            )
        self.scheme_name = SCHEME
        self._guard = guard
        self._header = self._speech.raw_header
        self._scopes = tuple(scopes)
        self._roles = tuple(roles)
        self._demands_rights = bool(self._scopes or self._roles)
        self._clock = clock

    def requiring(self, *, scopes: Sequence[str] = (), roles: Sequence[str] = ()) -> "Guarded":
        """The same with rights: every one of the scopes, and at least one of the roles."""
        return Guarded(
            self._guard, scopes=(*self._scopes, *scopes), roles=tuple(roles) or self._roles, clock=self._clock
        )

    async def __call__(self, connection: HTTPConnection, wanted: SecurityScopes) -> AccessTokenClaims:
        """
        The claims; FastAPI calls it.

        Raises:
            Refusal: The answer is a problem; it finds its way past the application's own handlers.
        """
        now_ms = self._clock()
        claims = recalled(connection.scope, self._guard, self._header, now_ms=now_ms)
        if claims is not None and not (self._demands_rights or wanted.scopes):
            return claims
        try:
            if claims is None:
                claims = await checked(connection.scope, self._guard, now_ms=now_ms)
            every = (*self._scopes, *wanted.scopes)
            return demanded(claims, scopes=every, roles=self._roles, speech=self._speech)
        except Refusal as refusal:
            raise _on_its_way(refusal, connection) from refusal.__cause__


def _on_its_way(refusal: Refusal, connection: HTTPConnection) -> Exception:
    """
    The exception that becomes our answer.

    Starlette looks handlers up in its scope, per application. Ours is put there when it is first needed, so that
    nobody has to register it; and the application's own for HTTPException or 401, which could lose the challenge, do
    not fit a `Refusal`.
    """
    known = connection.scope.get(_HANDLERS)
    if isinstance(known, tuple) and known and isinstance(known[0], dict):
        known[0].setdefault(Refusal, _answer)
        return refusal
    problem = refusal.problem  # a Starlette that keeps them elsewhere: then as FastAPI's own schemes do it
    return HTTPException(problem.status, problem.detail, {"Cache-Control": "no-store", **dict(problem.headers)})


async def _answer(connection: HTTPConnection, refusal: Refusal) -> Response | None:
    if isinstance(connection, WebSocket):
        await connection.close(close_code(refusal.problem), refusal.problem.code)
        return None
    return problem_response(refusal.problem, refusal.speech)


def _described(status: int, description: str) -> dict[str, Any]:
    members = {name: {"type": "string"} for name in ("type", "title", "detail", "code")}
    schema = {
        "type": "object",
        "title": "Problem",
        "required": ["type", "title", "status", "detail", "code"],
        "properties": {**members, "status": {"type": "integer", "const": status}},
    }
    challenge = {"WWW-Authenticate": {"description": "RFC 6750 §3", "schema": {"type": "string"}}}
    retry = {"Retry-After": {"description": "Seconds", "schema": {"type": "integer"}}}
    return {
        "description": description,
        "headers": retry if status == 503 else challenge,  # noqa: PLR2004
        "content": {problems.MEDIA_TYPE: {"schema": schema}},
    }


REFUSALS: Final[dict[int | str, dict[str, Any]]] = {
    400: _described(400, "The access token is not where it must be: once, in the Authorization header."),
    401: _described(401, "There is no access token, or it has expired (`token_expired`) or is not valid."),
    403: _described(403, "The access token lacks a scope or role."),
    503: _described(503, "The access token cannot be checked now. Nobody is signed out."),
}
"""What a guarded route answers instead, for the OpenAPI description: `APIRouter(responses=REFUSALS)`."""


def evertoken_router(server: EmbeddedServer, *, places: Sequence[str] = PLACES) -> APIRouter:
    """
    The whole server, to be included at the root: `app.include_router(evertoken_router(server))`.

    Its lifespan begins after your own and ends before it; FastAPI sees to that, there is nothing else to do. Its paths
    are not in your OpenAPI description, and /openapi.json stays yours.

    Args:
        server: From `evertoken.assembly.build`.
        places: The paths that become the server's, with all below. Routes of yours that were added before come first.
            Leave out those of pages if `Settings(pages=False)`.
    """

    def lifespan(app: Any) -> AbstractAsyncContextManager[None]:
        return server.lifespan(app)

    router = APIRouter(lifespan=lifespan)
    for place in places:
        for path in (place, place + "/{rest:path}"):
            router.routes.append(Route(path, server.app, include_in_schema=False))
    return router
