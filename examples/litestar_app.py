"""
A service in Litestar that lets in whoever has signed in at an evertoken server elsewhere.

    pip install 'evertoken[guard,litestar]' uvicorn
    evertoken clients add orders          # at the server: prints the client's id and secret, once

    export ISSUER=http://127.0.0.1:8000 CLIENT_ID=orders CLIENT_SECRET=ecs_...
    uvicorn litestar_app:app --port 8002

    curl -H "Authorization: Bearer $ACCESS_TOKEN" http://127.0.0.1:8002/orders
"""

import os
from typing import Any

from litestar import Litestar, Request, get
from litestar.datastructures import State

from evertoken.guards import AccessTokenClaims, Guard
from evertoken.guards.litestar import TokenAuth, requires

AuthRequest = Request[AccessTokenClaims, AccessTokenClaims, State]

# It fetches the server's keys and hears of ended sessions, in a thread that starts with the first token.
guard = Guard(
    issuer=os.environ["ISSUER"],
    audience=os.environ.get("AUDIENCE", os.environ["ISSUER"]),
    client_id=os.environ["CLIENT_ID"],
    client_secret=os.environ["CLIENT_SECRET"],
)


@get("/", exclude_from_auth=True)
async def index() -> dict[str, str]:
    return {"service": "orders"}


@get("/orders")
async def orders(request: AuthRequest) -> dict[str, Any]:
    return {"orders of": request.auth.sub, "roles": request.auth.roles}


@get("/all-orders", guards=[requires(roles=["admin"])])
async def all_orders(request: AuthRequest) -> dict[str, str]:
    return {"seen by": request.auth.sub}


app = Litestar([index, orders, all_orders], plugins=[TokenAuth(guard, public=["/schema/"])])
