"""
The guard for Starlette, as its users know authentication.

    app = Starlette(routes=routes, middleware=[Middleware(TokenAuthentication, guard=server.guard)])

    @requires(roles=["admin"])
    async def users(request):
        return JSONResponse({"seen by": request.user.identity})

`evertoken.guards.asgi.GuardMiddleware` is for an application of which nothing is public.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

from starlette.authentication import (
    AuthCredentials,
    AuthenticationBackend,
    AuthenticationError,
    BaseUser,
    UnauthenticatedUser,
)
from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from evertoken.clock import Clock, system_clock
from evertoken.guards.access_check import ChecksAccess
from evertoken.guards.judging import Refusal, checked, close_code, demanded, judged, refuse
from evertoken.guards.speech import PLAIN, SPEECH_KEY, Speech, speech_in, speech_of
from evertoken.tokens.claims import AccessTokenClaims
from evertoken.wire import problems

_Endpoint = TypeVar("_Endpoint", bound=Callable[..., Any])

AUTHENTICATED: Final = "authenticated"
ROLE: Final = "role:"
"""What a role is called among `request.auth.scopes`: `@requires("role:admin")` of Starlette's own."""


class TokenUser(BaseUser):
    """
    Whoever holds a good access token: `request.user`.

    Args:
        claims: What the token says, typed.
    """

    __slots__ = ("claims",)

    def __init__(self, claims: AccessTokenClaims) -> None:
        self.claims = claims

    @property
    def is_authenticated(self) -> bool:
        """True."""
        return True

    @property
    def display_name(self) -> str:
        """`preferred_username`, which evertoken's tokens hold unless a claims hook decides otherwise; else the id."""
        name = self.claims.extra.get("preferred_username")
        return name if isinstance(name, str) else self.claims.sub

    @property
    def identity(self) -> str:
        """The user's id."""
        return self.claims.sub


class TokenAuthentication:
    """
    Middleware that sets `request.user` (`TokenUser`) and `request.auth`, as Starlette's AuthenticationMiddleware does.

    Without a token a request is unauthenticated and goes on; a bad token is answered at once: 401 with its challenge,
    400, or 503. `request.auth.scopes` holds `authenticated`, the token's scopes, and each role as `role:NAME`.

    Args:
        app: The application.
        guard: What checks the tokens.
        clock: Returns the time in milliseconds.
    """

    def __init__(self, app: ASGIApp, guard: ChecksAccess, *, clock: Clock = system_clock) -> None:
        speech = speech_of(guard)
        # Not a question asked at every request: evertoken's own dialect pays nothing for the others.
        self._app = app if speech.is_default else _marking(app, speech)
        self._guard = guard
        self._recall = guard.recall
        self._clock = clock
        self._header = speech.raw_header

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] in ("http", "websocket"):
            # The way of nearly every request, with a token that was seen before: no call here that is not needed.
            wanted, token, times = self._header, None, 0
            for name, value in scope["headers"]:
                if name == wanted:
                    token = value
                    times += 1
            claims, query = None, scope.get("query_string", b"")
            if token is not None and times == 1 and (not query or b"access_token" not in query):
                claims = self._recall(token, now_ms=self._clock())
            if claims is None and token is not None:
                try:
                    claims = await checked(scope, self._guard, now_ms=self._clock())
                except Refusal as refusal:
                    await refuse(refusal, scope, receive, send)
                    return
            if claims is None:
                scope["auth"], scope["user"] = AuthCredentials(), UnauthenticatedUser()
            else:
                scope["auth"], scope["user"] = TokenCredentials(claims), TokenUser(claims)
        await self._app(scope, receive, send)


class TokenBackend(AuthenticationBackend):
    """
    The same for Starlette's own AuthenticationMiddleware, where that is composed with others.

        Middleware(AuthenticationMiddleware, backend=TokenBackend(guard), on_error=on_error)

    Without `on_error` Starlette answers a bad token with a 400 and no challenge, which no client understands. A
    WebSocket with a bad token is closed by Starlette with 1000.

    Args:
        guard: What checks the tokens.
        clock: Returns the time in milliseconds.
    """

    def __init__(self, guard: ChecksAccess, *, clock: Clock = system_clock) -> None:
        self._guard = guard
        self._clock = clock
        self._speech = speech_of(guard)

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, BaseUser] | None:
        """
        Who it is, or None for a request without a token.

        Raises:
            AuthenticationError: The token is refused; `on_error` makes the answer of it.
        """
        conn.scope[SPEECH_KEY] = self._speech
        try:
            claims = await judged(conn.scope, self._guard, now_ms=self._clock())
        except Refusal as refusal:
            raise _Refused(refusal) from refusal
        return None if claims is None else _known(claims)


class _Refused(AuthenticationError):
    """A refusal on its way through Starlette's middleware."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.problem.detail)
        self.refusal = refusal


def on_error(conn: HTTPConnection, error: AuthenticationError) -> Response:
    """The answer to a bad token, for Starlette's AuthenticationMiddleware."""
    if isinstance(error, _Refused):
        return problem_response(error.refusal.problem, error.refusal.speech)
    of_another_backend = problems.unauthorized("token_invalid", "Sign in again.")
    return problem_response(of_another_backend, speech_in(conn.scope))


def requires(*scopes: str, roles: Sequence[str] = ()) -> Callable[[_Endpoint], _Endpoint]:
    """
    Let only those reach an endpoint who hold a good token, every one of the scopes and at least one of the roles.

    Starlette's own `@requires` works too, and answers 403 without a challenge, also to who has brought no token.

    Args:
        scopes: Every one of these; none demands a good token only.
        roles: At least one of these.

    Raises:
        TypeError: The function has no argument `request` or `websocket`.
    """

    def decorate(endpoint: _Endpoint) -> _Endpoint:
        names = list(inspect.signature(endpoint).parameters)
        name = next((name for name in names if name in ("request", "websocket")), None)
        if name is None:
            raise TypeError(f"{endpoint!r} has no argument named request or websocket")
        demands_rights = bool(scopes or roles)
        at, is_async = names.index(name), inspect.iscoroutinefunction(endpoint)

        @functools.wraps(endpoint)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            connection: HTTPConnection = args[at] if at < len(args) else kwargs[name]
            user = connection.scope.get("user")
            try:
                if demands_rights or not isinstance(user, TokenUser):
                    claims, speech = user.claims if isinstance(user, TokenUser) else None, speech_in(connection.scope)
                    demanded(claims, scopes=scopes, roles=roles, speech=speech)
            except Refusal as refusal:
                if not isinstance(connection, WebSocket):
                    return problem_response(refusal.problem, refusal.speech)
                return await connection.close(close_code(refusal.problem), refusal.problem.code)
            if is_async:
                return await endpoint(*args, **kwargs)
            return await run_in_threadpool(endpoint, *args, **kwargs)

        return guarded  # type: ignore[return-value]

    return decorate


def problem_response(problem: problems.ProblemAnswer, speech: Speech = PLAIN) -> Response:
    """A problem as Starlette's response."""
    answer = speech.answer(problem)
    headers = dict(answer.headers)
    return Response(answer.body, answer.status, headers, headers.pop("Content-Type"))


def _marking(app: ASGIApp, speech: Speech) -> ASGIApp:
    """The application, with what `requires` has to know in the scope."""

    async def marked(scope: Scope, receive: Receive, send: Send) -> None:
        scope[SPEECH_KEY] = speech
        await app(scope, receive, send)

    return marked


class TokenCredentials(AuthCredentials):
    """`request.auth`: `scopes` is put together when somebody asks, for most requests nobody does."""

    def __init__(self, claims: AccessTokenClaims) -> None:  # the base class would set `scopes`
        self._claims = claims

    @property
    def scopes(self) -> list[str]:  # type: ignore[override]
        """`authenticated`, the token's scopes, and its roles as `role:NAME`."""
        # A scope must not pass for a role: whoever grants scopes need not be who grants roles.
        granted = [scope for scope in self._claims.scope if not scope.startswith(ROLE)]
        return [AUTHENTICATED, *granted, *(ROLE + role for role in self._claims.roles)]


def _known(claims: AccessTokenClaims | None) -> tuple[AuthCredentials, BaseUser]:
    return (
        (AuthCredentials(), UnauthenticatedUser()) if claims is None else (TokenCredentials(claims), TokenUser(claims))
    )
