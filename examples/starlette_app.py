"""
A Starlette application with the whole evertoken server in it: some routes open, some for whoever has signed in.

    pip install 'evertoken[server]'
    export EVERTOKEN_PORT=8001 EVERTOKEN_STORE=app.db
    evertoken users add ada --role admin
    uvicorn starlette_app:app --port 8001 --no-proxy-headers --no-access-log

    curl -H "Authorization: Bearer $ACCESS_TOKEN" http://127.0.0.1:8001/api/reports
"""

import os

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from evertoken.assembly import build
from evertoken.edge.settings.sources import load
from evertoken.guards.starlette import TokenAuthentication, requires


async def index(request):
    who = request.user.display_name if request.user.is_authenticated else "somebody"
    return JSONResponse({"hello": who})


@requires()
async def reports(request):
    return JSONResponse({"reports for": request.user.identity, "session": request.user.claims.sid})


@requires(roles=["admin"])
async def everything(request):
    return JSONResponse({"seen by": request.user.identity})


server = build(load({}, os.environ))  # EVERTOKEN_* variables, checked
mine = Mount(
    "/api",
    routes=[Route("/", index), Route("/reports", reports), Route("/everything", everything)],
    middleware=[Middleware(TokenAuthentication, guard=server.guard)],
)
# The server last, and outside the middleware: what it is sent it judges by itself.
app = Starlette(routes=[mine, Mount("/", server.app)], lifespan=server.lifespan)
