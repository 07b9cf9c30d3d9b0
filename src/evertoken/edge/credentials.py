"""Finding and judging the credentials of a request: access token, refresh token, cookie, CSRF token."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from evertoken.edge.answers import Refused, refuse
from evertoken.edge.services import Services
from evertoken.errors import TokenError, TokenExpired
from evertoken.tokens import refresh_token
from evertoken.tokens.claims import AccessTokenClaims
from evertoken.tokens.csrf import is_csrf_valid
from evertoken.tokens.refresh_token import Delivery, RefreshToken
from evertoken.wire import bearer, problems
from evertoken.wire.cookies import DuplicateCookie, RefreshCookie

_log = logging.getLogger(__name__)


def bearer_token(request: Request) -> str | None:
    """The access token of the Authorization header, as RFC 6750 wants it; None where none came along."""
    return bearer.parse(request.headers.getlist("authorization"), query=request.scope["query_string"])


@dataclass(frozen=True, slots=True)
class Manner:
    """
    How requests carry what they prove themselves with; dialects differ in this.

    Args:
        cookie: Where refresh tokens come by cookie; None where they never do.
        csrf_header: The header that a call with the cookie must carry.
        csrf_url: Which call tells a page what to send there; None where sign-in and refresh alone do.
        access_token: Finds the access token of a request. Raises `bearer.BearerMisused` or `Refused`
            for one sent wrongly.
    """

    cookie: RefreshCookie | None
    csrf_header: str = "X-CSRF-Token"
    csrf_url: str | None = "/auth/csrf"
    access_token: Callable[[Request], str | None] = bearer_token


class Credentials:
    """
    Reads credentials for the routes; raises `Refused` when they are bad.

    Args:
        manner: Our own way unless a dialect has another.
    """

    def __init__(self, services: Services, manner: Manner | None = None) -> None:
        self._services = services
        self._manner = manner or Manner(services.cookie)

    def claims(self, request: Request) -> AccessTokenClaims:
        """
        The claims of the caller's access token.

        Raises:
            Refused: 401 with a challenge; 400 for a header that is not as RFC 6750 wants it.
        """
        claims = self.optional_claims(request)
        if claims is None:
            raise Refused(problems.NO_TOKEN)
        return claims

    def optional_claims(self, request: Request) -> AccessTokenClaims | None:
        """As `claims`; None where the request brings no access token at all."""
        try:
            token = self._manner.access_token(request)
            return None if token is None else self._services.guard.check(token, now_ms=self._services.clock())
        except bearer.BearerMisused as error:
            raise Refused(problems.token_misused()) from error
        except TokenError as error:
            self._services.metrics.token_refused(error)
            level = logging.DEBUG if isinstance(error, TokenExpired) else logging.INFO  # expiry is everyday life
            _log.log(level, "access token refused: %s", type(error).__name__)
            raise Refused(problems.token_refused(error)) from error

    def refresh_token_in(self, text: str, delivery: Delivery) -> RefreshToken:
        """
        A genuine refresh token that came the way it was handed out.

        One that was handed out in a body and comes as a cookie was planted there; one that was handed out as a
        cookie and comes in a body was taken out of a browser.

        Raises:
            Refused: 401. A forgery costs no query and changes nothing.
        """
        try:
            token = refresh_token.parse(text, self._services.secrets)
        except TokenError as error:
            raise Refused(problems.unauthorized("token_invalid", "This is not a refresh token of ours.")) from error
        if token.delivery is not delivery:
            raise Refused(
                problems.unauthorized("token_invalid", "A refresh token leaves and comes the way chosen at sign-in.")
            )
        return token

    def cookie_value(self, request: Request) -> str | None:
        """The refresh cookie's value; Refused (400) when two came along."""
        cookie = self._manner.cookie
        try:
            return None if cookie is None else cookie.find(request.headers.getlist("cookie"))
        except DuplicateCookie as error:
            raise refuse(
                400, "invalid_request", "Two refresh cookies came along: one was planted. Clear this site's cookies."
            ) from error

    def cookie_token(self, request: Request, value: str) -> RefreshToken:
        """
        The refresh token of a cookie, if the request proves that a page of ours sent it.

        Raises:
            Refused: 403 without that proof, 401 for a bad token.
        """
        self._services.origins.demand_ours(request)
        token = self.refresh_token_in(value, Delivery.COOKIE)
        sent = request.headers.get(self._manner.csrf_header, "")
        if not is_csrf_valid(sent, token.session_id, self._services.secrets):
            told_by = (
                "sign-in and refresh tell" if self._manner.csrf_url is None else f"GET {self._manner.csrf_url} tells"
            )
            raise refuse(403, "csrf", f"Send {self._manner.csrf_header}; {told_by} it to a page of ours.")
        return token

    def presented_token(self, request: Request, body_token: str | None) -> RefreshToken:
        """
        The refresh token of a call, from its body or its cookie, never from both.

        Raises:
            Refused: 400 when both came, 401 when none did, and as for each.
        """
        cookie = self.cookie_value(request)
        if body_token is not None:
            if cookie is not None:
                raise refuse(400, "invalid_request", "A refresh token came in the body and another as a cookie.")
            return self.refresh_token_in(body_token, Delivery.BODY)
        if cookie is None:
            raise Refused(problems.unauthorized("token_invalid", "No refresh token came along."))
        return self.cookie_token(request, cookie)
