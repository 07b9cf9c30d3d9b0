"""For whoever runs it: is it alive, can it work, what has it counted, what does it offer."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from evertoken.edge import metrics
from evertoken.edge.answers import json_answer, refuse
from evertoken.edge.openapi.description import description
from evertoken.edge.services import Services
from evertoken.errors import StoreUnavailable


class RunningRoutes:
    """The routes; none of them tells a secret or a name."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        """Metrics and the description can be switched off."""
        routes = [
            Route("/healthz", self.healthz, methods=["GET"]),
            Route("/readyz", self.readyz, methods=["GET"]),
        ]
        if self._services.settings.metrics:
            routes.append(Route("/metrics", self.metrics, methods=["GET"]))
        if self._services.settings.openapi:
            routes.append(Route("/openapi.json", self.openapi, methods=["GET"]))
        return routes

    async def healthz(self, request: Request) -> Response:
        """The process answers. Restart it when this fails."""
        del request
        return json_answer({"status": "ok"})

    async def readyz(self, request: Request) -> Response:
        """The store takes writes, and the server is not about to stop. Send nobody here while this fails."""
        del request
        if self._services.draining.is_on:
            raise refuse(503, "unavailable", "The server is about to stop.", ("Retry-After", "1"))
        try:
            await self._services.store.ping()
        except StoreUnavailable as error:
            raise refuse(503, "unavailable", "The store takes no writes.", ("Retry-After", "1")) from error
        return json_answer({"status": "ready"})

    async def metrics(self, request: Request) -> Response:
        """Counters for Prometheus."""
        del request
        return Response(self._services.metrics.render(), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def openapi(self, request: Request) -> Response:
        """The OpenAPI description of this server."""
        del request
        return json_answer(description(self._services.settings))
