"""FastAPI: one route, open, behind the guard, and behind fastapi-users."""

from typing import Annotated

from fastapi import Depends, FastAPI

from bench.guards_server import Routes
from bench.peers import fastapi_users_guard
from evertoken.guards import AccessTokenClaims
from evertoken.guards.access_check import AccessCheck
from evertoken.guards.fastapi import Guarded


async def routes(guard: AccessCheck) -> Routes:
    """As docs and examples have it."""
    app, guarded = FastAPI(), Guarded(guard)

    @app.get("/plain")
    async def plain() -> dict[str, str]:
        return {"hello": "world"}

    @app.get("/guarded")
    async def behind(claims: Annotated[AccessTokenClaims, Depends(guarded)]) -> dict[str, str]:
        del claims
        return {"hello": "world"}

    peer, tokens = await fastapi_users_guard.application()
    return Routes({"/plain": app, "/guarded": app, "/peer": peer}, tokens)
