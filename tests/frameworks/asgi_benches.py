"""Applications of Starlette, FastAPI and Litestar, guarded as their users write it, for the compliance suite."""

import contextlib
from collections.abc import Iterator
from typing import Annotated, Any, Final

import litestar
from fastapi import Depends, FastAPI, Security
from fastapi.responses import JSONResponse as FastJSONResponse
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from evertoken.guards import AccessTokenClaims
from evertoken.guards.asgi import CLAIMS_KEY, GuardMiddleware
from evertoken.guards.fastapi import Guarded
from evertoken.guards.litestar import TokenAuth
from evertoken.guards.litestar import requires as litestar_requires
from evertoken.guards.starlette import TokenAuthentication, TokenBackend, on_error, requires
from tests.frameworks.asgi_serving import serving_asgi
from tests.frameworks.compliance.bench import HANDLED, PAGE, Bench, Stage

_CORS: Final[dict[str, Any]] = {
    "allow_origins": [PAGE],
    "allow_methods": ["GET", "POST"],
    "allow_headers": ["authorization"],
    "expose_headers": ["WWW-Authenticate"],
}
_OWN: Final = (HTTPException, 400, 401, 403, 503, Exception)
"""What the applications handle by themselves."""


async def handled(request: Request, error: Exception) -> Response:
    """The application's own handler."""
    return JSONResponse({"handled": True}, HANDLED)


async def opened(request: Request) -> JSONResponse:
    return JSONResponse({"open": True})


async def failing(request: Request) -> JSONResponse:
    raise RuntimeError("of the application")


def _starlette(routes: list[Route | Mount], *middleware: Middleware) -> Starlette:
    return Starlette(
        routes=routes,
        middleware=[Middleware(CORSMiddleware, **_CORS), *middleware],
        exception_handlers=dict.fromkeys(_OWN, handled),
    )


class _CatchesAll:
    """
    Around an application whose own handler of every exception has answered.

    Starlette raises the exception again after that, for the server's log; here it would be nothing but noise.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            await self._app(scope, receive, send)
        except RuntimeError as error:
            if str(error) != "of the application":
                raise


class MiddlewareBench(Bench):
    """Starlette with `GuardMiddleware` around what is not public; rights by middleware of their own."""

    @contextlib.contextmanager
    def serving(self, stage: Stage) -> Iterator[str]:
        with serving_asgi(self.application(stage)) as url:
            yield url

    def application(self, stage: Stage) -> Any:
        """What is served."""

        async def answered(request: Request) -> JSONResponse:
            return JSONResponse(stage.answer(request.scope[CLAIMS_KEY]))

        def behind(**rights: Any) -> Any:
            def around(app: Any) -> GuardMiddleware:
                return GuardMiddleware(app, stage.guard, clock=stage.clock, **rights)

            return [Middleware(around)]

        routes: list[Route | Mount] = [
            Route("/open", opened),
            Route("/guarded", answered, methods=["GET", "POST"], middleware=behind()),
            Route("/admin", answered, middleware=behind(roles=["admin", "owner"])),
            Route("/scoped", answered, middleware=behind(scopes=["read", "write"])),
            Route("/failing", failing, middleware=behind()),
        ]
        return _CatchesAll(_starlette(routes))


class StarletteBench(Bench):
    """Starlette with `TokenAuthentication` and `requires`."""

    def authentication(self, stage: Stage) -> Middleware:
        return Middleware(TokenAuthentication, guard=stage.guard, clock=stage.clock)

    @contextlib.contextmanager
    def serving(self, stage: Stage) -> Iterator[str]:
        @requires()
        async def guarded(request: Request) -> JSONResponse:
            return JSONResponse(stage.answer(request.user.claims))

        @requires(roles=["admin", "owner"])
        def admin(request: Request) -> JSONResponse:
            return JSONResponse(stage.answer(request.user.claims))

        @requires("read", "write")
        async def scoped(request: Request) -> JSONResponse:
            return JSONResponse(stage.answer(request.user.claims))

        routes: list[Route | Mount] = [
            Route("/open", opened),
            Route("/guarded", guarded, methods=["GET", "POST"]),
            Route("/admin", admin),
            Route("/scoped", scoped),
            Route("/failing", requires()(failing)),
        ]
        with serving_asgi(_CatchesAll(_starlette(routes, self.authentication(stage)))) as url:
            yield url


class BackendBench(StarletteBench):
    """The same with Starlette's own AuthenticationMiddleware and our backend in it."""

    def authentication(self, stage: Stage) -> Middleware:
        backend = TokenBackend(stage.guard, clock=stage.clock)
        return Middleware(AuthenticationMiddleware, backend=backend, on_error=on_error)


class FastAPIBench(Bench):
    """FastAPI with `Depends`, `Security` and dependencies of routes."""

    answers_head = False

    @contextlib.contextmanager
    def serving(self, stage: Stage) -> Iterator[str]:
        guarded = Guarded(stage.guard, clock=stage.clock)
        app = FastAPI(exception_handlers=dict.fromkeys(_OWN, handled))
        app.add_middleware(CORSMiddleware, **_CORS)

        @app.get("/open")
        async def open_to_all() -> dict[str, bool]:
            return {"open": True}

        @app.api_route("/guarded", methods=["GET", "POST"])
        async def behind(claims: Annotated[AccessTokenClaims, Depends(guarded)]) -> dict[str, Any]:
            return stage.answer(claims)

        @app.get("/admin")
        def admin(
            claims: Annotated[AccessTokenClaims, Depends(guarded.requiring(roles=["admin", "owner"]))],
        ) -> dict[str, Any]:
            return stage.answer(claims)

        @app.get("/scoped")
        async def scoped(
            claims: Annotated[AccessTokenClaims, Security(guarded, scopes=["read", "write"])],
        ) -> FastJSONResponse:
            return FastJSONResponse(stage.answer(claims))

        @app.get("/failing", dependencies=[Depends(guarded)])
        async def fails() -> None:
            raise RuntimeError("of the application")

        with serving_asgi(_CatchesAll(app)) as url:
            yield url


_Asked = litestar.Request[AccessTokenClaims, AccessTokenClaims, State]


class LitestarBench(Bench):
    """Litestar with the plugin `TokenAuth` and `guards=[requires(...)]`."""

    answers_head = False

    @contextlib.contextmanager
    def serving(self, stage: Stage) -> Iterator[str]:
        @litestar.get("/open", exclude_from_auth=True)
        async def open_to_all() -> dict[str, bool]:
            return {"open": True}

        @litestar.route("/guarded", http_method=["GET", "POST"], status_code=200)
        async def guarded(request: _Asked) -> dict[str, Any]:
            return stage.answer(request.auth)

        @litestar.get("/admin", guards=[litestar_requires(roles=["admin", "owner"])], sync_to_thread=False)
        def admin(request: _Asked) -> dict[str, Any]:
            return stage.answer(request.user)

        @litestar.get("/scoped", guards=[litestar_requires("read", "write")])
        async def scoped(request: _Asked) -> dict[str, Any]:
            return stage.answer(request.auth)

        @litestar.get("/failing")
        async def fails() -> None:
            raise RuntimeError("of the application")

        def own(request: Any, error: Exception) -> litestar.Response[Any]:
            return litestar.Response({"handled": True}, status_code=HANDLED)

        app = litestar.Litestar(
            [open_to_all, guarded, admin, scoped, fails],
            plugins=[TokenAuth(stage.guard, clock=stage.clock)],
            cors_config=CORSConfig(**_CORS),
            exception_handlers=dict.fromkeys(
                (litestar.exceptions.HTTPException, 400, 401, 403, 500, 503, Exception), own
            ),
            logging_config=None,
        )
        with serving_asgi(app) as url:
            yield url
