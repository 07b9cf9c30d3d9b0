"""
A second service: it knows the issuer's address and a client credential, nothing else.

    evertoken serve                          # the issuer, http://localhost:8000
    evertoken clients add orders             # there: prints client_id and client_secret, once

    pip install 'evertoken[guard]' starlette uvicorn
    ISSUER=http://localhost:8000 CLIENT_ID=orders CLIENT_SECRET=... uvicorn orders:app --port 8002 --no-access-log

    curl -H "Authorization: Bearer $ACCESS_TOKEN" http://127.0.0.1:8002/orders
"""

import contextlib
import os

from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from evertoken.guards import Guard
from evertoken.guards.asgi import GuardMiddleware

guard = Guard(
    issuer=os.environ["ISSUER"],
    audience=os.environ.get("AUDIENCE", os.environ["ISSUER"]),  # the issuer's setting `audience`
    client_id=os.environ["CLIENT_ID"],
    client_secret=os.environ["CLIENT_SECRET"],
)


async def orders(request):
    claims = request.scope["evertoken.claims"]
    return JSONResponse({"orders of": claims.sub})


async def health(request):
    """For whoever watches the service: whether it still hears of ended sessions."""
    status = guard.status()
    return JSONResponse({"feed": status.feed, "silent_seconds": status.feed_silent_seconds, "keys": status.key_ids})


@contextlib.asynccontextmanager
async def lifespan(app):
    guard.start()  # or says which setting is wrong
    yield
    guard.close()


service = Starlette(routes=[Route("/orders", orders), Route("/health", health)], lifespan=lifespan)
app = GuardMiddleware(service, guard, public=["/health"])
