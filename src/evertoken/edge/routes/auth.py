"""Sign in, refresh, sign out: the routes that hand out tokens and take them back."""

from typing import Annotated, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from evertoken.accounts.clients import CLIENT_ID
from evertoken.accounts.password_text import is_too_long
from evertoken.accounts.users import User
from evertoken.edge.answers import Refused, empty, json_answer, refuse
from evertoken.edge.audit import Audit
from evertoken.edge.credentials import Credentials
from evertoken.edge.requests import read_json, read_optional_json
from evertoken.edge.services import Services
from evertoken.errors import TokenError
from evertoken.secret import Secret
from evertoken.sessions.model import Caller, session_id_bytes, session_id_text
from evertoken.sessions.service import Granted, Over, SignedInUser, Stale
from evertoken.tokens.claims import AccessTokenClaims
from evertoken.tokens.csrf import mint_csrf
from evertoken.tokens.refresh_token import Delivery
from evertoken.wire import bearer, problems
from evertoken.wire.answers import BEARER, CsrfAnswer, TokenAnswer
from evertoken.wire.problems import ProblemAnswer

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
        self._credentials = Credentials(services)
        self._audit = Audit(services)

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
        caller = self._services.callers.read(request)
        replaces = self._replaced_session(request, body)
        if is_too_long(Secret(body.password)):
            raise refuse(400, "invalid_request", "The password is too long; 1024 bytes are the most.")
        client_id = await self._client_id(body.client_id)
        with self._services.metrics.sign_in_seconds.time():
            granted = await self._sign_in(body, caller, client_id=client_id, replaces=replaces)
        return self._answer(granted)

    async def _sign_in(self, body: LoginBody, caller: Caller, *, client_id: str, replaces: bytes | None) -> Granted:
        # The epoch may move while the password is hashed; then what was verified is old, and is verified again.
        for _ in range(2):
            user = await self._verified_user(body.username, Secret(body.password), caller)
            granted = await self._services.sessions.begin(
                SignedInUser(user.id, user.username, user.epoch, user.roles),
                caller,
                client_id=client_id,
                delivery=Delivery[body.delivery.upper()],
                replaces=replaces,
            )
            if granted is not None:
                return granted
        raise refuse(503, "unavailable", "The account is being changed. Try again.", ("Retry-After", "1"))

    async def _verified_user(self, username: str, password: Secret, caller: Caller) -> User:
        result = await self._services.sign_in.check(username, password, address=caller.address)
        if result.user is not None:
            return result.user
        if result.retry_after_ms:
            await self._audit.rate_limited(username, caller, slowed_by=result.slowed_by)
            wait = str(-(-result.retry_after_ms // 1000))
            raise refuse(429, "rate_limited", f"Wait {wait} seconds, then try again.", ("Retry-After", wait))
        await self._audit.sign_in_failed(username, caller)
        raise Refused(
            problems.unauthorized(
                "bad_credentials", "The user name or the password is wrong.", challenge=bearer.challenge()
            )
        )

    def _replaced_session(self, request: Request, body: LoginBody) -> bytes | None:
        """The session of a cookie that came along: a new sign-in ends it. A planted cookie is not one of ours."""
        cookie = self._credentials.cookie_value(request)
        if body.delivery == "cookie" or cookie is not None:
            self._services.origins.demand_ours(request)
        if cookie is None:
            return None
        try:
            return self._credentials.refresh_token_in(cookie, Delivery.COOKIE).session_id
        except Refused:
            return None

    async def _client_id(self, asked: str | None) -> str:
        """A confidential client cannot sign users in by its name alone (RFC 6749 §3.2.1)."""
        if asked is None or asked == self._services.settings.default_client_id:
            return self._services.settings.default_client_id
        if not CLIENT_ID.fullmatch(asked):  # the Struct's pattern lets a line break at the end through
            raise refuse(400, "invalid_request", "A client_id is 1 to 64 of A-Z a-z 0-9 . _ ~ -.")
        if await self._services.store.find_client(asked) is not None:
            raise refuse(400, "invalid_request", "This client_id is a confidential client's; choose another.")
        return asked

    async def refresh(self, request: Request) -> Response:
        """Rotation."""
        services = self._services
        services.origins.refuse_foreign(request)
        body = await read_optional_json(request, _REFRESH, limit=services.settings.max_body_bytes)
        body_token, caller = None if body is None else body.refresh_token, services.callers.read(request)
        result = await self._swapped(request, body_token, caller)
        if result is None:
            token = self._credentials.presented_token(request, body_token)
            result = await services.sessions.refresh(token, caller)
        if isinstance(result, Granted):
            return self._answer(result)
        raise Refused(stale_problem(result) if isinstance(result, Stale) else over_problem(result))

    async def _swapped(self, request: Request, body_token: str | None, caller: Caller) -> Granted | Stale | Over | None:
        """What a refresh token of another library earns; None where there is none such (see `edge.adoption`)."""
        adoptions = self._services.adoptions
        if adoptions is None or body_token is None or self._credentials.cookie_value(request) is not None:
            return None
        try:
            return await adoptions.swap(body_token, caller)
        except TokenError as error:
            raise Refused(problems.unauthorized("token_invalid", "This is not a refresh token of ours.")) from error

    async def csrf(self, request: Request) -> Response:
        """The CSRF token of the cookie's session, for a page that has just been loaded."""
        self._services.origins.demand_ours(request)
        value = self._credentials.cookie_value(request)
        if value is None:
            raise Refused(problems.unauthorized("token_invalid", "There is no refresh cookie: nobody is signed in."))
        token = self._credentials.refresh_token_in(value, Delivery.COOKIE)
        return json_answer(
            CsrfAnswer(
                csrf_token=mint_csrf(token.session_id, self._services.secrets),
                session_id=session_id_text(token.session_id),
            )
        )

    async def logout(self, request: Request) -> Response:
        """End the session of an access token, or of any genuine refresh token; ending one twice is no error."""
        services = self._services
        services.origins.refuse_foreign(request)
        body = await read_optional_json(request, _REFRESH, limit=services.settings.max_body_bytes)
        body_token = None if body is None else body.refresh_token
        caller = services.callers.read(request)
        cookie = self._credentials.cookie_value(request)
        claims = None if body_token is not None else self._claims_or_cookie(request, cookie)
        if claims is None:
            session_id = self._credentials.presented_token(request, body_token).session_id
            owns_cookie = body_token is None
        else:
            session_id = session_id_bytes(claims.sid) or b""
            owns_cookie = cookie is not None and self._is_cookie_of(session_id, cookie)
        await services.sessions.end(session_id, caller)
        # Only a sign-out clears the cookie: a late refusal of a refresh must not delete a newer sign-in's.
        return empty(headers=[("Set-Cookie", services.cookie.clear_header())] if owns_cookie else [])

    def _claims_or_cookie(self, request: Request, cookie: str | None) -> AccessTokenClaims | None:
        """The access token's claims; an expired one does not keep anybody from signing out by the cookie."""
        try:
            return self._credentials.optional_claims(request)
        except Refused:
            if cookie is None:
                raise
            return None

    def _is_cookie_of(self, session_id: bytes, cookie: str) -> bool:
        try:
            return self._credentials.refresh_token_in(cookie, Delivery.COOKIE).session_id == session_id
        except Refused:
            return False

    def _answer(self, granted: Granted) -> Response:
        """A token that came by cookie leaves by cookie only; where it stays, the cookie stays too."""
        answer = TokenAnswer(
            access_token=granted.access_token,
            token_type=BEARER,
            expires_in=granted.expires_in,
            refresh_token_expires_in=granted.refresh_expires_in,
            session_id=session_id_text(granted.session_id),
        )
        if granted.delivery is Delivery.BODY:
            answer.refresh_token = granted.refresh_token
            return json_answer(answer)
        answer.csrf_token = mint_csrf(granted.session_id, self._services.secrets)
        if granted.refresh_token is None:
            return json_answer(answer)
        cookie = self._services.cookie.set_header(granted.refresh_token, max_age_seconds=granted.refresh_expires_in)
        return json_answer(answer, headers=[("Set-Cookie", cookie)])


def stale_problem(stale: Stale) -> ProblemAnswer:
    """A late duplicate: the newer token is in the caller's store by now, or the wait tells who is right."""
    wait = str(max(-(-stale.retry_after_ms // 1000), 1))
    return ProblemAnswer(
        503, "stale", "Read your stored refresh token again; if it is the same, wait.", (("Retry-After", wait),)
    )


def over_problem(over: Over) -> ProblemAnswer:
    """The session is over; the reason is told, for whoever is here holds a genuine token of it."""
    return problems.unauthorized("session_over", "Sign in again.", reason=over.reason.value)
