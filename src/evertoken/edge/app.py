"""The ASGI application: routes inside the envelope."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from starlette.routing import Route, Router

from evertoken.edge.envelope import Envelope
from evertoken.edge.routes.account import AccountRoutes
from evertoken.edge.routes.admin import AdminRoutes
from evertoken.edge.routes.auth import AuthRoutes
from evertoken.edge.routes.oauth import OAuthRoutes
from evertoken.edge.routes.revocations import RevocationRoutes
from evertoken.edge.routes.running import RunningRoutes
from evertoken.edge.services import Services

Lifespan = Callable[[Any], AbstractAsyncContextManager[None]]


def build_app(services: Services, *, more_routes: Sequence[Route] = (), lifespan: Lifespan | None = None) -> Envelope:
    """
    The server as an ASGI application.

    Args:
        more_routes: Tried when none of the others fits, so that they cost those nothing.
        lifespan: Entered when the server starts and left when it stops: background work.
    """
    router = Router(
        routes=[
            *AuthRoutes(services).routes(),
            *AccountRoutes(services).routes(),
            *OAuthRoutes(services).routes(),
            *RunningRoutes(services).routes(),
            *RevocationRoutes(services).routes(),
            *AdminRoutes(services).routes(),
            *more_routes,
        ],
        redirect_slashes=False,  # a redirect would carry credentials along (RFC 9700 §4.12)
        lifespan=lifespan,
    )
    return Envelope(router, services.origins, services.metrics, issuer=services.settings.issuer_url)
