"""
A server in the manner of a Nest service: public /aaa, guarded /bbb, POST /user/login, GET /user/refresh.

    python app.py            # http://localhost:8000, the user ada, password correct-horse-battery

evertoken runs inside, in the dialect `nest`. Access tokens live 30 minutes; a session ends after 7 days without use.
To watch it renew: EVERTOKEN_ACCESS_LIFETIME=10s python app.py
"""

import contextlib
import os
import subprocess
from pathlib import Path

import uvicorn
from people import people
from starlette.applications import Starlette
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse
from starlette.routing import Mount, Route, request_response
from starlette.staticfiles import StaticFiles

from evertoken.assembly import build
from evertoken.clock import system_clock
from evertoken.edge import logs
from evertoken.edge.serving import uvicorn_config
from evertoken.edge.settings.sources import load
from evertoken.guards.asgi import GuardMiddleware

HERE = Path(__file__).parent
AXIOS = HERE / "node_modules" / "axios" / "dist" / "esm" / "axios.min.js"
DEFAULTS = {
    "EVERTOKEN_DIALECTS": "nest",
    "EVERTOKEN_ALLOW_TOKEN_IN_URL": "true",  # GET /user/refresh?refresh_token=... is what the page sends
    "EVERTOKEN_ACCESS_LIFETIME": "30m",
    "EVERTOKEN_IDLE_LIFETIME": "7d",
    "EVERTOKEN_USER_DIRECTORY": "people:people",
}


async def aaa(request):
    return PlainTextResponse("aaa")


async def bbb(request):
    return PlainTextResponse(f"bbb for user {request.scope['evertoken.claims'].sub}")


async def home(request):
    return RedirectResponse("/page/index.html")


async def axios(request):
    return FileResponse(AXIOS, media_type="text/javascript")


def make(environment, clock=system_clock):
    """
    The application, and evertoken's server inside it.

    Args:
        environment: Variables; those of evertoken's settings go before the defaults above.
        clock: The time in milliseconds.
    """
    server = build(load({}, {**DEFAULTS, **environment}), clock=clock)
    routes = [
        Route("/", home),
        Route("/axios.js", axios),
        Mount("/page", StaticFiles(directory=HERE / "page")),
        Route("/aaa", aaa),
        Route("/bbb", GuardMiddleware(request_response(bbb), server.guard.speaking("nest"), clock=clock)),
        Mount("/", server.app),
    ]
    return Starlette(routes=routes, lifespan=server.lifespan), server


def main():
    if not AXIOS.exists():  # the first start: the version in package-lock.json, from your npm registry
        subprocess.run(["npm", "ci"], cwd=HERE, check=True)
    people.add("ada", "correct-horse-battery")
    app, server = make(os.environ)
    settings = server.services.settings
    logs.configure(level=settings.log_level, as_json=settings.log_format == "json")
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(uvicorn_config(app, settings)).run()


if __name__ == "__main__":
    main()
