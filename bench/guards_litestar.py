"""Litestar: one route, open, and behind the plugin."""

from typing import Any

import litestar

from bench.guards_server import Routes
from evertoken.guards.access_check import AccessCheck
from evertoken.guards.litestar import TokenAuth


async def routes(guard: AccessCheck) -> Routes:
    """As docs and examples have it."""

    def application(path: str, plugins: list[Any]) -> litestar.Litestar:
        @litestar.get(path)
        async def hello() -> dict[str, str]:
            return {"hello": "world"}

        return litestar.Litestar([hello], plugins=plugins, logging_config=None)

    return Routes({"/plain": application("/plain", []), "/guarded": application("/guarded", [TokenAuth(guard)])})
