"""
A FastAPI application with the whole evertoken server in it, and routes behind its guard.

    pip install 'evertoken[server,fastapi]'
    export EVERTOKEN_PORT=8001 EVERTOKEN_STORE=app.db
    evertoken users add ada --role admin
    uvicorn fastapi_app:app --port 8001 --no-proxy-headers --no-access-log

    curl -d '{"username": "ada", "password": "..."}' -H "Content-Type: application/json" http://127.0.0.1:8001/auth/login
    curl -H "Authorization: Bearer $ACCESS_TOKEN" http://127.0.0.1:8001/reports

http://127.0.0.1:8001/docs has an "Authorize" for the access token; http://127.0.0.1:8001/sessions is for people.
"""

import os
from typing import Annotated

from fastapi import APIRouter, Depends, FastAPI, WebSocket

from evertoken.assembly import build
from evertoken.edge.settings.sources import load
from evertoken.guards import AccessTokenClaims
from evertoken.guards.fastapi import REFUSALS, Guarded, evertoken_router

server = build(load({}, os.environ))  # EVERTOKEN_* variables, checked
guarded = Guarded(server.guard)
Claims = Annotated[AccessTokenClaims, Depends(guarded)]
AdminClaims = Annotated[AccessTokenClaims, Depends(guarded.requiring(roles=["admin"]))]

app = FastAPI(title="Reports")
app.include_router(evertoken_router(server))  # /auth/..., /oauth/..., and its lifespan


@app.get("/")
async def index() -> dict[str, str]:
    return {"service": "reports"}


@app.get("/reports", responses=REFUSALS)
async def reports(claims: Claims) -> dict[str, str]:
    return {"reports for": claims.sub, "name": claims.extra["preferred_username"]}


# A whole router behind the guard, for those who have one of these roles; its routes may ask for the claims too.
admin = APIRouter(prefix="/everything", dependencies=[Depends(guarded.requiring(roles=["admin"]))], responses=REFUSALS)


@admin.get("")
async def everything(claims: AdminClaims) -> dict[str, str]:
    return {"seen by": claims.sub}


app.include_router(admin)


@app.websocket("/live")
async def live(websocket: WebSocket, claims: Claims) -> None:
    await websocket.accept()
    await websocket.send_json({"live for": claims.sub})
    await websocket.close()
