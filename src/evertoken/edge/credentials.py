"""Finding and judging the credentials of a request: access token, refresh token, cookie, CSRF token."""

import logging
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
from evertoken.wire.cookies import DuplicateCookie

_log = logging.getLogger(__name__)

CSRF_HEADER = "x-csrf-token"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Reads credentials for the routes; raises `Refused` when they are bad."""

    services: Services

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
            token = bearer.parse(request.headers.getlist("authorization"), query=request.scope["query_string"])
            return None if token is None else self.services.guard.check(token, now_ms=self.services.clock())
        except bearer.BearerMisused as error:
            raise Refused(problems.token_misused()) from error
        except TokenError as error:
            self.services.metrics.token_refused(error)
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
            token = refresh_token.parse(text, self.services.secrets)
        except TokenError as error:
            raise Refused(problems.unauthorized("token_invalid", "This is not a refresh token of ours.")) from error
        if token.delivery is not delivery:
            raise Refused(
                problems.unauthorized("token_invalid", "A refresh token leaves and comes the way chosen at sign-in.")
            )
        return token

    def cookie_value(self, request: Request) -> str | None:
        """The refresh cookie's value; Refused (400) when two came along."""
        try:
            return self.services.cookie.find(request.headers.getlist("cookie"))
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
        self.services.origins.demand_ours(request)
        token = self.refresh_token_in(value, Delivery.COOKIE)
        if not is_csrf_valid(request.headers.get(CSRF_HEADER, ""), token.session_id, self.services.secrets):
            raise refuse(403, "csrf", "Send X-CSRF-Token; GET /auth/csrf tells it to a page of ours.")
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
            raise Refused(
                problems.unauthorized(
                    "token_invalid", "No refresh token came along, neither in the body nor as a cookie."
                )
            )
        return self.cookie_token(request, cookie)
