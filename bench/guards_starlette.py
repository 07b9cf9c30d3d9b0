"""Starlette: one route, open and behind the guard in its two forms."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from bench.guards_server import Routes
from evertoken.guards.access_check import AccessCheck
from evertoken.guards.asgi import GuardMiddleware
from evertoken.guards.starlette import TokenAuthentication, requires


async def routes(guard: AccessCheck) -> Routes:
    """As docs and examples have it."""

    async def hello(_request: Request) -> JSONResponse:
        return JSONResponse({"hello": "world"})

    @requires()
    async def required(request: Request) -> JSONResponse:
        del request
        return JSONResponse({"hello": "world"})

    around = [Middleware(GuardMiddleware, guard=guard)]
    before = [Middleware(TokenAuthentication, guard=guard)]
    return Routes(
        {
            "/plain": Starlette(routes=[Route("/plain", hello)]),
            "/middleware": Starlette(routes=[Route("/middleware", hello)], middleware=around),
            "/requires": Starlette(routes=[Route("/requires", required)], middleware=before),
        }
    )
