"""
What sign-in, refresh and sign-out do, whatever words they come in: shared by /auth and by every dialect.

Callers read a request and write the answer; whom to believe and what to change is decided here.
"""

from starlette.requests import Request

from evertoken.accounts.clients import CLIENT_ID
from evertoken.accounts.password_text import is_too_long
from evertoken.accounts.users import User
from evertoken.edge.answers import Refused, refuse
from evertoken.edge.audit import Audit
from evertoken.edge.credentials import Credentials, Manner
from evertoken.edge.services import Services
from evertoken.errors import TokenError
from evertoken.secret import Secret
from evertoken.sessions.model import Caller, session_id_bytes, session_id_text
from evertoken.sessions.service import Granted, Over, SignedInUser, Stale
from evertoken.tokens.claims import AccessTokenClaims
from evertoken.tokens.csrf import mint_csrf
from evertoken.tokens.refresh_token import Delivery
from evertoken.wire import bearer, problems
from evertoken.wire.answers import BEARER, TokenAnswer
from evertoken.wire.problems import ProblemAnswer


class AuthCalls:
    """
    The calls; state lives in the services.

    Args:
        manner: How requests carry tokens; our own way unless a dialect has another.
    """

    def __init__(self, services: Services, manner: Manner | None = None) -> None:
        self._services = services
        self._credentials = Credentials(services, manner)
        self._audit = Audit(services)

    async def sign_in(
        self,
        request: Request,
        username: str,
        password: Secret,
        *,
        delivery: Delivery,
        client_id: str | None = None,
    ) -> Granted:
        """
        Check user name and password and begin a session.

        Raises:
            Refused: 401 for a wrong name or password, 429 for too many attempts, 400 and 403 as the request deserves.
        """
        caller = self._services.callers.read(request)
        replaces = self._replaced_session(request, delivery)
        if is_too_long(password):
            raise refuse(400, "invalid_request", "The password is too long; 1024 bytes are the most.")
        client_id = await self._client_id(client_id)
        with self._services.metrics.sign_in_seconds.time():
            # The epoch may move while the password is hashed; then what was verified is old, and is verified again.
            for _ in range(2):
                user = await self._verified_user(username, password, caller)
                granted = await self._services.sessions.begin(
                    SignedInUser(user.id, user.username, user.epoch, user.roles),
                    caller,
                    client_id=client_id,
                    delivery=delivery,
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

    def _replaced_session(self, request: Request, delivery: Delivery) -> bytes | None:
        """The session of a cookie that came along: a new sign-in ends it. A planted cookie is not one of ours."""
        cookie = self._credentials.cookie_value(request)
        if delivery is Delivery.COOKIE or cookie is not None:
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

    async def refresh(self, request: Request, presented: str | None) -> Granted:
        """
        Rotation.

        Args:
            presented: The refresh token that came otherwise than by cookie.

        Raises:
            Refused: 401 when the session is over or the token is none of ours, 503 for a late duplicate.
        """
        caller = self._services.callers.read(request)
        result = await self._swapped(request, presented, caller)
        if result is None:
            token = self._credentials.presented_token(request, presented)
            result = await self._services.sessions.refresh(token, caller)
        if isinstance(result, Granted):
            return result
        raise Refused(stale_problem(result) if isinstance(result, Stale) else over_problem(result))

    async def _swapped(self, request: Request, presented: str | None, caller: Caller) -> Granted | Stale | Over | None:
        """What a refresh token of another library earns; None where there is none such (see `edge.adoption`)."""
        adoptions = self._services.adoptions
        if adoptions is None or presented is None or self._credentials.cookie_value(request) is not None:
            return None
        try:
            return await adoptions.swap(presented, caller)
        except TokenError as error:
            raise Refused(problems.unauthorized("token_invalid", "This is not a refresh token of ours.")) from error

    def session_of_cookie(self, request: Request) -> bytes:
        """
        The session of the refresh cookie, for a page of ours that has just been loaded.

        Raises:
            Refused: 403 for a page elsewhere, 401 where nobody is signed in.
        """
        self._services.origins.demand_ours(request)
        value = self._credentials.cookie_value(request)
        if value is None:
            raise Refused(problems.unauthorized("token_invalid", "There is no refresh cookie: nobody is signed in."))
        return self._credentials.refresh_token_in(value, Delivery.COOKIE).session_id

    async def end(self, request: Request, presented: str | None) -> bool:
        """
        End the session of an access token, or of any genuine refresh token; ending one twice is no error.

        Args:
            presented: The refresh token that came otherwise than by cookie.

        Returns:
            Whether the cookie that came along is of this session, and is to be cleared.
        """
        caller = self._services.callers.read(request)
        cookie = self._credentials.cookie_value(request)
        claims = None if presented is not None else self._claims_or_cookie(request, cookie)
        if claims is None:
            owns_cookie = presented is None
            await self._services.sessions.sign_out(self._credentials.presented_token(request, presented), caller)
        else:
            session_id = session_id_bytes(claims.sid) or b""
            owns_cookie = cookie is not None and self._is_cookie_of(session_id, cookie)
            await self._services.sessions.sign_out(claims, caller)
        return owns_cookie

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

    def token_answer(self, granted: Granted) -> TokenAnswer:
        """What is said of new tokens: the refresh token, or in cookie mode the CSRF token that goes with the cookie."""
        answer = TokenAnswer(
            access_token=granted.access_token,
            token_type=BEARER,
            expires_in=granted.expires_in,
            refresh_token_expires_in=granted.refresh_expires_in,
            session_id=session_id_text(granted.session_id),
        )
        if granted.delivery is Delivery.BODY:
            answer.refresh_token = granted.refresh_token
        else:
            answer.csrf_token = self.csrf_token(granted.session_id)
        return answer

    def csrf_token(self, session_id: bytes) -> str:
        """What a page must send along with this session's cookie."""
        return mint_csrf(session_id, self._services.secrets)


def stale_problem(stale: Stale) -> ProblemAnswer:
    """A late duplicate: the newer token is in the caller's store by now, or the wait tells who is right."""
    wait = str(max(-(-stale.retry_after_ms // 1000), 1))
    return ProblemAnswer(
        503, "stale", "Read your stored refresh token again; if it is the same, wait.", (("Retry-After", wait),)
    )


def over_problem(over: Over) -> ProblemAnswer:
    """The session is over; the reason is told, for whoever is here holds a genuine token of it."""
    return problems.unauthorized("session_over", "Sign in again.", reason=over.reason.value)
