"""
The guard for Litestar: a plugin, and guards for rights.

    auth = TokenAuth(server.guard, public=["/schema/", "/healthz"])

    @get("/reports", guards=[requires(roles=["editor"])])
    async def reports(request: Request[AccessTokenClaims, AccessTokenClaims, State]) -> dict[str, str]:
        return {"reports for": request.auth.sub}

    app = Litestar([reports], plugins=[auth])
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from copy import copy
from typing import Any, Final
from urllib.parse import unquote

from litestar import Request, Response, asgi
from litestar.config.app import AppConfig
from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.exceptions import HTTPException, WebSocketException
from litestar.handlers import ASGIRouteHandler, BaseRouteHandler
from litestar.middleware import ASGIMiddleware
from litestar.openapi.spec import Components, SecurityScheme
from litestar.plugins import InitPlugin
from litestar.types import ASGIApp, Receive, Scope, Send

from evertoken.clock import Clock, system_clock
from evertoken.guards.access_check import ChecksAccess
from evertoken.guards.judging import (
    DESCRIPTION,
    SCHEME,
    EmbeddedServer,
    PublicPlaces,
    Refusal,
    close_code,
    demanded,
    judged,
    refuse,
)
from evertoken.guards.speech import SPEECH_KEY, speech_in, speech_of
from evertoken.tokens.claims import AccessTokenClaims

RetrieveUser = Callable[[AccessTokenClaims, ASGIConnection[Any, Any, Any, Any]], Awaitable[Any]]

PUBLIC_OPT: Final = "exclude_from_auth"
"""`@get("/healthz", exclude_from_auth=True)`: Litestar's own name for a route that anybody may reach."""


class TokenAuth(InitPlugin):
    """
    Lets requests and WebSockets pass only with a good access token, but for what is public.

    `request.auth` are the claims, and `request.user` too unless `retrieve_user` finds somebody. Refusals are problems
    with their challenge, whatever exception handlers the application has; a WebSocket is closed before it is accepted.
    The application's OpenAPI description gets the security scheme.

    Args:
        guard: What checks the tokens: `build(...).guard` or a `Guard`.
        public: Paths that anybody may reach: exact, or with everything below when they end in `/`. Whether a request
            has a slash at the end makes no difference, as to Litestar. Routes with `exclude_from_auth=True` are public,
            too.
        scopes: Every one of these is demanded everywhere.
        roles: At least one of these is demanded everywhere.
        retrieve_user: Finds the application's own user for the claims; it may return None.
        clock: Returns the time in milliseconds.
    """

    def __init__(
        self,
        guard: ChecksAccess,
        *,
        public: Iterable[str] = (),
        scopes: Sequence[str] = (),
        roles: Sequence[str] = (),
        retrieve_user: RetrieveUser | None = None,
        clock: Clock = system_clock,
    ) -> None:
        self._speech = speech_of(guard)
        self._middleware = _Middleware(guard, PublicPlaces(public), tuple(scopes), tuple(roles), retrieve_user, clock)

    def on_app_init(self, app_config: AppConfig) -> AppConfig:
        """Called by Litestar: `plugins=[auth]`, or `on_app_init=[auth.on_app_init]`."""
        app_config.middleware.insert(0, self._middleware)
        app_config.exception_handlers = {**(app_config.exception_handlers or {}), Refusal: _answer}
        described = app_config.openapi_config
        if described is not None:
            described = app_config.openapi_config = copy(described)
            scheme = SecurityScheme(type="http", scheme="bearer", bearer_format="JWT", description=DESCRIPTION)
            if not self._speech.is_bearer:
                header = self._speech.header
                scheme = SecurityScheme(
                    type="apiKey", name=header, security_scheme_in="header", description=DESCRIPTION
                )
            known = described.components if isinstance(described.components, list) else [described.components]
            described.components = [*known, Components(security_schemes={SCHEME: scheme})]
            described.security = [*(described.security or []), {SCHEME: []}]
        return app_config


class _Middleware(ASGIMiddleware):
    scopes = (ScopeType.HTTP, ScopeType.WEBSOCKET, ScopeType.ASGI)
    exclude_opt_key = PUBLIC_OPT

    def __init__(  # noqa: PLR0917 - those of TokenAuth
        self,
        guard: ChecksAccess,
        public: PublicPlaces,
        demanded_scopes: tuple[str, ...],
        roles: tuple[str, ...],
        retrieve_user: RetrieveUser | None,
        clock: Clock,
    ) -> None:
        self._guard = guard
        self._speech = speech_of(guard)
        self._public = public
        self._demanded = demanded_scopes
        self._roles = roles
        self._retrieve_user = retrieve_user
        self._clock = clock

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Called by Litestar for what no route has opted out of."""
        path = "/" + scope["path"].strip("/")  # to Litestar a slash at the end makes no difference
        if self._public.have(path) or self._public.have(path + "/"):
            await next_app(scope, receive, send)
            return
        raw: Any = scope
        try:
            claims = await judged(raw, self._guard, now_ms=self._clock())
            claims = demanded(claims, scopes=self._demanded, roles=self._roles, speech=self._speech)
        except Refusal as refusal:
            untyped: tuple[Any, Any] = (receive, send)
            await refuse(refusal, raw, *untyped)
            return
        scope["auth"] = scope["user"] = claims
        if not self._speech.is_default:
            raw[SPEECH_KEY] = self._speech
        if self._retrieve_user is not None:
            scope["user"] = await self._retrieve_user(claims, ASGIConnection(scope))
        await next_app(scope, receive, send)


def requires(
    *scopes: str, roles: Sequence[str] = ()
) -> Callable[[ASGIConnection[Any, Any, Any, Any], BaseRouteHandler], None]:
    """
    A guard for routes, controllers and routers: `guards=[requires("read", roles=["editor"])]`.

    Args:
        scopes: Every one of these; none demands a good token only.
        roles: At least one of these.
    """

    def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        del handler
        raw: Any = connection.scope
        claims, speech = raw.get("auth"), speech_in(raw)
        try:
            demanded(
                claims if isinstance(claims, AccessTokenClaims) else None, scopes=scopes, roles=roles, speech=speech
            )
        except Refusal as refusal:
            if connection.scope["type"] == ScopeType.WEBSOCKET:
                detail, code = refusal.problem.code, close_code(refusal.problem)
                raise WebSocketException(detail=detail, code=code) from refusal
            if Refusal in connection.app.exception_handlers:
                raise
            # Without the plugin nobody has been asked for a token, so nobody passes.
            problem = refusal.problem
            headers = dict(problem.headers)
            raise HTTPException(detail=problem.detail, status_code=problem.status, headers=headers) from refusal

    return guard


def _answer(request: Request[Any, Any, Any], refusal: Refusal) -> Response[bytes]:
    del request
    answer = refusal.speech.answer(refusal.problem)
    headers = dict(answer.headers)
    media_type = headers.pop("Content-Type")
    return Response(answer.body, status_code=answer.status, headers=headers, media_type=media_type)


def evertoken_handler(server: EmbeddedServer) -> ASGIRouteHandler:
    """
    The whole server, for an application's route handlers: it answers what no route of yours does.

        Litestar([reports, evertoken_handler(server)], lifespan=[server.lifespan], plugins=[TokenAuth(server.guard)])

    The lifespan has to be given, as here: Litestar runs none of what is mounted.

    Args:
        server: From `evertoken.assembly.build`.
    """

    @asgi("/", is_mount=True, copy_scope=True, opt={PUBLIC_OPT: True})
    async def evertoken(scope: Scope, receive: Receive, send: Send) -> None:
        # Litestar has taken the path apart; the server wants it as it came (RFC 3986 §2.4), as uvicorn makes it.
        scope["path"] = unquote(scope["raw_path"].decode("latin-1"))
        raw: tuple[Any, Any, Any] = (scope, receive, send)
        await server.app(*raw)

    return evertoken
