"""The ASGI application: routes inside the envelope."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from starlette.routing import Router

from evertoken.edge.account_routes import AccountRoutes
from evertoken.edge.auth_routes import AuthRoutes
from evertoken.edge.envelope import Envelope
from evertoken.edge.oauth_routes import OAuthRoutes
from evertoken.edge.running_routes import RunningRoutes
from evertoken.edge.services import Services

Lifespan = Callable[[Any], AbstractAsyncContextManager[None]]


def build_app(services: Services, *, lifespan: Lifespan | None = None) -> Envelope:
    """
    The server as an ASGI application.

    Args:
        lifespan: Entered when the server starts and left when it stops: background work.
    """
    router = Router(
        routes=[
            *AuthRoutes(services).routes(),
            *AccountRoutes(services).routes(),
            *OAuthRoutes(services).routes(),
            *RunningRoutes(services).routes(),
        ],
        redirect_slashes=False,  # a redirect would carry credentials along (RFC 9700 §4.12)
        lifespan=lifespan,
    )
    return Envelope(router, services.origins, services.metrics, issuer=services.settings.issuer_url)
