"""The revocation feed, for guards in other services (docs/guards.md)."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from evertoken.edge.answers import NO_STORE, Refused, refuse
from evertoken.edge.client_authentication import CHALLENGE, NotBasic, client_of, is_basic, parse_basic
from evertoken.edge.protocol import LET_GO, NOT_TO_WAIT
from evertoken.edge.services import Services
from evertoken.wire.revocations import DEFAULT_WAIT_SECONDS, LONGEST_WAIT_SECONDS, PATH, parse_cursor, parse_wait


class RevocationRoutes:
    """One route, which may answer late: it waits until there is something to tell."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        """The feed."""
        return [Route(PATH, self.revocations, methods=["GET"])]

    async def revocations(self, request: Request) -> Response:
        """
        Sessions revoked after a cursor, or all that are kept; nothing about users.

        Raises:
            Refused: 400 for a parameter that is not as it must be, 401 without a client's credential.
            TemporarilyUnavailable: the store cannot be read, or too many wait.
        """
        await self._demand_client(request)
        after, wait = _after(request), _wait(request)
        feed = self._services.feed
        if not feed.has_news(after) and NOT_TO_WAIT not in request.scope:
            await feed.wait(wait, hand_over=lambda let_go: request.scope.__setitem__(LET_GO, let_go))
        return Response(feed.page(after), media_type="application/json", headers=dict([NO_STORE]))

    async def _demand_client(self, request: Request) -> None:
        headers = request.headers.getlist("authorization")
        if len(headers) > 1:
            raise refuse(400, "invalid_request", "Authenticate in one way only.")
        if not headers or not is_basic(headers[0]):
            raise _unknown("Authenticate by HTTP Basic as a client; see evertoken clients add.")
        try:
            client_id, secret = parse_basic(headers[0])
        except NotBasic as error:
            raise _unknown("The Authorization header is not Basic credentials.") from error
        if await client_of(self._services.store, client_id, secret) is None:
            raise _unknown("The client or its secret is wrong.")


def _unknown(detail: str) -> Refused:
    return refuse(401, "client_refused", detail, CHALLENGE)


def _after(request: Request) -> int | None:
    text = _once(request, "after")
    if text is None:
        return None
    after = parse_cursor(text)
    if after is None:
        raise refuse(400, "invalid_request", "after is not a cursor of this feed. Leave it out to begin anew.")
    return after


def _wait(request: Request) -> int:
    text = _once(request, "wait")
    if text is None:
        return DEFAULT_WAIT_SECONDS
    wait = parse_wait(text)
    if wait is None:
        raise refuse(400, "invalid_request", f"wait is a whole number of seconds, 0 to {LONGEST_WAIT_SECONDS}.")
    return wait


def _once(request: Request, name: str) -> str | None:
    values = request.query_params.getlist(name)
    if len(values) > 1:
        raise refuse(400, "invalid_request", f"{name} is there twice.")
    return values[0] if values else None
