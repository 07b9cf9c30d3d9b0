"""Sign in, refresh, sign out: the routes that hand out tokens and take them back."""

from typing import Annotated, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from evertoken.accounts.clients import CLIENT_ID
from evertoken.edge.answers import empty, json_answer
from evertoken.edge.auth_calls import AuthCalls
from evertoken.edge.requests import read_json, read_optional_json
from evertoken.edge.services import Services
from evertoken.secret import Secret
from evertoken.sessions.model import session_id_text
from evertoken.sessions.service import Granted
from evertoken.tokens.refresh_token import Delivery
from evertoken.wire.answers import CsrfAnswer

MAX_USERNAME_CHARACTERS = 512
"""What sign-in looks at all; new names are shorter."""

Username = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_USERNAME_CHARACTERS)]
Password = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
ClientId = Annotated[str, msgspec.Meta(pattern=f"^{CLIENT_ID.pattern}$")]


class LoginBody(msgspec.Struct):
    """What POST /auth/login takes."""

    username: Username
    password: Password
    delivery: Literal["body", "cookie"] = "body"
    client_id: ClientId | None = None


class RefreshBody(msgspec.Struct):
    """What POST /auth/refresh and /auth/logout take; a session in cookie mode sends none."""

    refresh_token: str | None = None


_LOGIN = msgspec.json.Decoder(LoginBody)
_REFRESH = msgspec.json.Decoder(RefreshBody)


class AuthRoutes:
    """The routes; state lives in the services."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._calls = AuthCalls(services)

    def routes(self) -> list[Route]:
        """The hot one first."""
        return [
            Route("/auth/refresh", self.refresh, methods=["POST"]),
            Route("/auth/login", self.login, methods=["POST"]),
            Route("/auth/csrf", self.csrf, methods=["GET"]),
            Route("/auth/logout", self.logout, methods=["POST"]),
        ]

    async def login(self, request: Request) -> Response:
        """Check user name and password, begin a session, hand out its first tokens."""
        self._services.origins.refuse_foreign(request)
        body = await read_json(request, _LOGIN, limit=self._services.settings.max_body_bytes)
        granted = await self._calls.sign_in(
            request,
            body.username,
            Secret(body.password),
            delivery=Delivery[body.delivery.upper()],
            client_id=body.client_id,
        )
        return self._answer(granted)

    async def refresh(self, request: Request) -> Response:
        """Rotation."""
        return self._answer(await self._calls.refresh(request, await self._body_token(request)))

    async def csrf(self, request: Request) -> Response:
        """The CSRF token of the cookie's session, for a page that has just been loaded."""
        session_id = self._calls.session_of_cookie(request)
        return json_answer(
            CsrfAnswer(csrf_token=self._calls.csrf_token(session_id), session_id=session_id_text(session_id))
        )

    async def logout(self, request: Request) -> Response:
        """End the session of an access token, or of any genuine refresh token; ending one twice is no error."""
        owns_cookie = await self._calls.end(request, await self._body_token(request))
        # Only a sign-out clears the cookie: a late refusal of a refresh must not delete a newer sign-in's.
        return empty(headers=[("Set-Cookie", self._services.cookie.clear_header())] if owns_cookie else [])

    async def _body_token(self, request: Request) -> str | None:
        self._services.origins.refuse_foreign(request)
        body = await read_optional_json(request, _REFRESH, limit=self._services.settings.max_body_bytes)
        return None if body is None else body.refresh_token

    def _answer(self, granted: Granted) -> Response:
        """A token that came by cookie leaves by cookie only; where it stays, the cookie stays too."""
        answer = self._calls.token_answer(granted)
        if granted.delivery is Delivery.BODY or granted.refresh_token is None:
            return json_answer(answer)
        cookie = self._services.cookie.set_header(granted.refresh_token, max_age_seconds=granted.refresh_expires_in)
        return json_answer(answer, headers=[("Set-Cookie", cookie)])
