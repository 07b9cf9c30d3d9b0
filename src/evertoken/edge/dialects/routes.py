"""The routes of one dialect: what /auth does, in that dialect's words."""

import functools
from collections.abc import Awaitable, Callable, Iterable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from evertoken.edge.auth_calls import AuthCalls
from evertoken.edge.credentials import Manner
from evertoken.edge.dialects.reading import CallReader, access_token_of
from evertoken.edge.dialects.served import ServedDialect
from evertoken.edge.dialects.spoken import PLACE, as_response
from evertoken.edge.services import Services
from evertoken.sessions.model import session_id_text
from evertoken.sessions.service import Granted
from evertoken.tokens import refresh_token
from evertoken.tokens.refresh_token import Delivery
from evertoken.wire.dialects import answering

Handler = Callable[[Request], Awaitable[Response]]


class DialectRoutes:
    """
    The routes; state lives in the services.

    How refresh tokens travel is chosen by the dialect, for all of its sessions: by cookie or otherwise.
    """

    def __init__(self, services: Services, served: ServedDialect) -> None:
        self._services = services
        self._served = served
        self._dialect = served.dialect
        self._cookie = served.refresh_cookie(services.cookie)
        self._csrf_cookie = served.csrf_cookie(services.cookie)
        self._delivery = Delivery.BODY if self._cookie is None else Delivery.COOKIE
        limit = services.settings.max_body_bytes
        self._readers = {name: CallReader(call, limit=limit) for name, call in served.calls.items()}
        self._calls = AuthCalls(services, self._manner())

    def _manner(self) -> Manner:
        csrf = self._dialect.csrf
        return Manner(
            self._cookie,
            "X-CSRF-Token" if csrf is None else csrf.header,
            self._served.csrf_path,
            functools.partial(access_token_of, place=self._dialect.access_token),
        )

    def routes(self) -> list[Route]:
        """One for each path; a path may serve several calls by their methods."""
        handlers: dict[str, Handler] = {"refresh": self.refresh, "login": self.login, "logout": self.logout}
        by_path: dict[str, dict[str, Handler]] = {}
        for name, call in self._served.calls.items():
            by_path.setdefault(self._served.prefix + call.url, {})[call.method] = handlers[name]
        if self._served.csrf_path is not None:
            by_path.setdefault(self._served.csrf_path, {})["GET"] = self.csrf
        return [_route(path, found) for path, found in by_path.items()]

    async def login(self, request: Request) -> Response:
        """Check user name and password, begin a session, hand out its first tokens."""
        self._services.origins.refuse_foreign(request)
        username, password = await self._readers["login"].credentials(request)
        granted = await self._calls.sign_in(request, username, password, delivery=self._delivery)
        return self._answer(granted, presented=None)

    async def refresh(self, request: Request) -> Response:
        """Rotation."""
        request.scope[PLACE] = "refresh"
        self._services.origins.refuse_foreign(request)
        presented = await self._readers["refresh"].refresh_token(request)
        granted = await self._calls.refresh(request, presented)
        return self._answer(granted, presented=presented)

    async def csrf(self, request: Request) -> Response:
        """The CSRF token of the cookie's session, for a page that has just been loaded."""
        request.scope[PLACE] = "refresh"
        session_id = self._calls.session_of_cookie(request)
        token = self._calls.csrf_token(session_id)
        said = answering.csrf(self._dialect, csrf_token=token, session_id=session_id_text(session_id))
        # Until when the session lives is not looked up here; a cookie that outlives it does no harm.
        lifetime_seconds = int(self._services.settings.idle_lifetime.total_seconds())
        return as_response(said, headers=self._csrf_header(token, lifetime_seconds))

    async def logout(self, request: Request) -> Response:
        """End the session of a refresh token or of an access token; ending one twice is no error."""
        request.scope[PLACE] = "resource"  # an expired access token can be renewed, then the sign-out sent again
        self._services.origins.refuse_foreign(request)
        presented = await self._readers["logout"].refresh_token(request)
        if presented is not None and self._is_access_token(presented):
            presented = None
        if presented is not None:
            request.scope[PLACE] = "refresh"
        owns_cookie = await self._calls.end(request, presented)
        cookies = (self._cookie, self._csrf_cookie) if owns_cookie else ()
        cleared = [("Set-Cookie", cookie.clear_header()) for cookie in cookies if cookie is not None]
        return as_response(answering.done(self._dialect), headers=cleared)

    def _is_access_token(self, presented: str) -> bool:
        """Whether one header takes either token at a sign-out, and this is no refresh token of ours."""
        call, access = self._served.calls["logout"], self._dialect.access_token
        is_same_place = call.token.kind == "header" and call.token.name.lower() == access.header.lower()
        return is_same_place and not presented.startswith(refresh_token.PREFIX)

    def _answer(self, granted: Granted, *, presented: str | None) -> Response:
        """A token that came by cookie leaves by cookie only; where it stays, the cookie stays too."""
        answer = self._calls.token_answer(granted)
        headers: list[tuple[str, str]] = []
        if self._cookie is not None and granted.refresh_token is not None:
            lifetime_seconds = granted.refresh_expires_in
            cookie = self._cookie.set_header(granted.refresh_token, max_age_seconds=lifetime_seconds)
            headers = [("Set-Cookie", cookie), *self._csrf_header(answer.csrf_token, lifetime_seconds)]
        return as_response(answering.good(self._dialect, answer, presented=presented), headers=headers)

    def _csrf_header(self, token: str | None, lifetime_seconds: int) -> Iterable[tuple[str, str]]:
        if self._csrf_cookie is None or token is None:
            return ()
        return (("Set-Cookie", self._csrf_cookie.set_header(token, max_age_seconds=lifetime_seconds)),)


def _route(path: str, handlers: Mapping[str, Handler]) -> Route:
    async def endpoint(request: Request) -> Response:
        return await handlers[request.method](request)

    route = Route(path, endpoint, methods=list(handlers))
    # Starlette lets HEAD in where GET is. A refresh that shows nobody its tokens is none.
    route.methods = set(handlers)
    return route
