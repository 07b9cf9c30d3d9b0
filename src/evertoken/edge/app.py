"""The ASGI application: routes inside the envelope."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from starlette.routing import Route, Router

from evertoken.edge.dialects.routes import DialectRoutes
from evertoken.edge.dialects.served import ServedDialect
from evertoken.edge.dialects.spoken import spoken_paths
from evertoken.edge.envelope import Envelope
from evertoken.edge.routes.account import AccountRoutes
from evertoken.edge.routes.admin import AdminRoutes
from evertoken.edge.routes.auth import AuthRoutes
from evertoken.edge.routes.oauth import OAuthRoutes
from evertoken.edge.routes.revocations import RevocationRoutes
from evertoken.edge.routes.running import RunningRoutes
from evertoken.edge.services import Services

Lifespan = Callable[[Any], AbstractAsyncContextManager[None]]


def build_app(
    services: Services,
    *,
    more_routes: Sequence[Route] = (),
    dialects: Sequence[ServedDialect] = (),
    lifespan: Lifespan | None = None,
) -> Envelope:
    """
    The server as an ASGI application.

    Args:
        more_routes: Tried when none of the others fits, so that they cost those nothing; so are those of dialects.
        dialects: Other ways to sign in and refresh that are served as well.
        lifespan: Entered when the server starts and left when it stops: background work.

    Raises:
        ConfigurationError: two of them want the same path.
    """
    routes = [
        *AuthRoutes(services).routes(),
        *AccountRoutes(services).routes(),
        *OAuthRoutes(services).routes(),
        *RunningRoutes(services).routes(),
        *RevocationRoutes(services).routes(),
        *AdminRoutes(services).routes(),
        *more_routes,
    ]
    spoken = spoken_paths(dialects, routes)
    router = Router(
        routes=[*routes, *(route for dialect in dialects for route in DialectRoutes(services, dialect).routes())],
        redirect_slashes=False,  # a redirect would carry credentials along (RFC 9700 §4.12)
        lifespan=lifespan,
    )
    return Envelope(router, services.origins, services.metrics, issuer=services.settings.issuer_url, spoken=spoken)
