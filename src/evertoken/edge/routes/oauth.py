"""The OAuth endpoints, for generic clients: token (refresh_token grant), revoke, introspect, metadata, JWKS."""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from evertoken.accounts.clients import CLIENT_ID, Client, is_secret_of
from evertoken.edge.answers import OAuthRefused, empty, json_answer
from evertoken.edge.client_authentication import CHALLENGE, NotBasic, is_basic, parse_basic
from evertoken.edge.requests import media_type, read_body
from evertoken.edge.services import Services
from evertoken.errors import TokenError
from evertoken.secret import Secret
from evertoken.sessions.model import Caller, session_id_bytes, session_id_text
from evertoken.sessions.rotation import Outcome
from evertoken.sessions.service import Granted, Over, Stale, session_of
from evertoken.tokens import refresh_token
from evertoken.tokens.claims import AccessTokenClaims
from evertoken.tokens.refresh_token import Delivery, RefreshToken
from evertoken.wire.answers import BEARER, TokenAnswer
from evertoken.wire.forms import FormMisused, parse_form

Form = dict[str, str]

_INVALID_GRANT = "The refresh token is invalid, expired or revoked."
"""One description for all: it must not tell which (RFC 6749 §5.2)."""

_GOOD = frozenset({Outcome.REISSUE, Outcome.EARLY, Outcome.ADVANCE})
"""What a refresh token is good for. A STALE one will never be good again, even if its session lives."""


class OAuthRoutes:
    """
    The routes. First-party sessions carry no scopes, so none can be asked for.

    Whatever is raised here, the envelope answers in the shape of RFC 6749 §5.2: never a problem, never 422.
    """

    def __init__(self, services: Services) -> None:
        self._services = services

    def routes(self) -> list[Route]:
        """The hot one first."""
        return [
            Route("/oauth/token", self.token, methods=["POST"]),
            Route("/oauth/introspect", self.introspect, methods=["POST"]),
            Route("/oauth/revoke", self.revoke, methods=["POST"]),
            Route("/.well-known/jwks.json", self.jwks, methods=["GET"]),
            Route("/.well-known/oauth-authorization-server", self.metadata, methods=["GET"]),
            Route("/.well-known/openid-configuration", self.metadata, methods=["GET"]),
        ]

    async def token(self, request: Request) -> Response:
        """The refresh_token grant (RFC 6749 §6)."""
        form = await self._form(request)
        client_id = await self._client_id(request, form)
        grant_type = form.get("grant_type")
        if grant_type is None:
            raise OAuthRefused("invalid_request", "grant_type is missing.")
        if grant_type != "refresh_token":
            raise OAuthRefused("unsupported_grant_type", "Only the refresh_token grant is offered here.")
        text = form.get("refresh_token")
        if text is None:
            raise OAuthRefused("invalid_request", "refresh_token is missing.")
        if "scope" in form:
            raise OAuthRefused("invalid_scope", "These sessions carry no scopes; leave scope out.")
        result = await self._refreshed(text, self._services.callers.read(request), client_id)
        if isinstance(result, Granted):
            return _token_answer(result)
        if isinstance(result, Stale):
            wait = str(max(-(-result.retry_after_ms // 1000), 1))
            raise OAuthRefused(
                "temporarily_unavailable",
                "A newer token is on its way. Read your stored token again, else wait.",
                status=503,
                headers=(("Retry-After", wait),),
            )
        raise OAuthRefused("invalid_grant", _INVALID_GRANT)

    async def _refreshed(self, text: str, caller: Caller, client_id: str | None) -> Granted | Stale | Over:
        adoptions = self._services.adoptions
        if adoptions is not None:
            if client_id is not None and not CLIENT_ID.fullmatch(client_id):
                raise OAuthRefused("invalid_request", "A client_id is 1 to 64 of A-Z a-z 0-9 . _ ~ -.")
            try:
                swapped = await adoptions.swap(text, caller, client_id=client_id)
            except TokenError as error:
                raise OAuthRefused("invalid_grant", _INVALID_GRANT) from error
            if swapped is not None:
                return swapped
        token = self._genuine(text)
        if token is None:
            raise OAuthRefused("invalid_grant", _INVALID_GRANT)
        return await self._services.sessions.refresh(token, caller, client_id=client_id)

    async def revoke(self, request: Request) -> Response:
        """End the session of a refresh or access token (RFC 7009); a token that is none of ours is no error."""
        form = await self._form(request)
        client_id = await self._client_id(request, form)
        text = form.get("token")
        if text is None:
            raise OAuthRefused("invalid_request", "token is missing.")
        token = self._genuine(text) or self._claims(text)  # whatever token_type_hint says (RFC 7009 §2.1)
        if token is None:
            return empty(200)
        if client_id is not None:
            record = await self._services.store.find(session_of(token) or b"")
            if record is not None and record.client_id != client_id:
                raise OAuthRefused("invalid_grant", "The token was issued to another client.")
        await self._services.sessions.sign_out(token, self._services.callers.read(request))
        return empty(200)

    async def introspect(self, request: Request) -> Response:
        """Whether a token is good now (RFC 7662); for confidential clients only."""
        form = await self._form(request)
        if await self._authenticated(*_claimed(request, form)) is None:
            raise _invalid_client("Authenticate: see evertoken clients add.")
        text = form.get("token")
        if text is None:
            raise OAuthRefused("invalid_request", "token is missing.")
        return json_answer(await self._introspected(text))

    async def jwks(self, request: Request) -> Response:
        """The public keys (RFC 7517), announced ones included."""
        del request
        response = json_answer(self._services.keys.jwks(now_ms=self._services.clock()))
        # A guard that reads this every five minutes knows a new key well before it signs (setting key_announce).
        response.headers["Cache-Control"] = "public, max-age=300"
        return response

    async def metadata(self, request: Request) -> Response:
        """What this server offers (RFC 8414); there is no authorization endpoint, so no response types."""
        del request
        issuer = self._services.settings.issuer_url
        return json_answer(
            {
                "issuer": issuer,
                "token_endpoint": f"{issuer}/oauth/token",
                "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
                "revocation_endpoint": f"{issuer}/oauth/revoke",
                "revocation_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
                "introspection_endpoint": f"{issuer}/oauth/introspect",
                "introspection_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                "jwks_uri": f"{issuer}/.well-known/jwks.json",
                "grant_types_supported": ["refresh_token"],
                "service_documentation": f"{issuer}/openapi.json",
            }
        )

    async def _form(self, request: Request) -> Form:
        if media_type(request) != "application/x-www-form-urlencoded":
            raise OAuthRefused("invalid_request", "Send a form: application/x-www-form-urlencoded.")
        raw = await read_body(request, limit=self._services.settings.max_body_bytes)
        try:
            return parse_form(raw)
        except FormMisused as error:
            raise OAuthRefused("invalid_request", f"{error}.".capitalize()) from error

    async def _client_id(self, request: Request, form: Form) -> str | None:
        """
        Who calls: a confidential client that proved it, a public one that says so, or nobody named.

        Raises:
            OAuthRefused: 401 where a secret is wrong, or is missing for a client that has one.
        """
        claimed, secret = _claimed(request, form)
        client = await self._authenticated(claimed, secret)
        return claimed if client is None else client.id

    async def _authenticated(self, claimed: str | None, secret: str) -> Client | None:
        """The confidential client that this is; None where the name is a public client's, or there is none."""
        client = None if claimed is None else await self._services.store.find_client(claimed)
        if client is None and not secret:
            return None
        if client is not None and not secret:
            raise _invalid_client("This client has a secret; authenticate with it.")
        if client is None or not is_secret_of(client, Secret(secret)):
            raise _invalid_client("The client or its secret is wrong.")
        return client

    def _genuine(self, text: str) -> RefreshToken | None:
        """A refresh token of ours that was handed out in a body; one from a cookie has no business here."""
        try:
            token = refresh_token.parse(text, self._services.secrets)
        except TokenError:
            return None
        return token if token.delivery is Delivery.BODY else None

    def _claims(self, text: str) -> AccessTokenClaims | None:
        try:
            return self._services.guard.check(text, now_ms=self._services.clock())
        except TokenError:
            return None

    async def _introspected(self, text: str) -> dict[str, Any]:
        """Exactly `{"active": false}` for everything that is not good now, without a reason (RFC 7662 §2.2)."""
        token = self._genuine(text)
        if token is not None:
            return await self._introspected_refresh(token)
        claims = self._claims(text)
        record = None if claims is None else await self._services.store.find(session_id_bytes(claims.sid) or b"")
        if claims is None or record is None or record.ended(now_ms=self._services.clock()) is not None:
            return {"active": False}
        return {**claims.to_payload(), "active": True, "token_type": BEARER}

    async def _introspected_refresh(self, token: RefreshToken) -> dict[str, Any]:
        outcome = await self._services.sessions.judge(token)
        record = await self._services.store.find(token.session_id)
        if record is None or outcome not in _GOOD:
            return {"active": False}
        return {
            "active": True,
            "iss": self._services.settings.issuer_url,
            "sub": record.user_id,
            "client_id": record.client_id,
            "sid": session_id_text(record.id),
            "exp": record.expires_at_ms() // 1000,
        }


def _token_answer(granted: Granted) -> Response:
    return json_answer(
        TokenAnswer(
            access_token=granted.access_token,
            token_type=BEARER,
            expires_in=granted.expires_in,
            refresh_token=granted.refresh_token,
            refresh_token_expires_in=granted.refresh_expires_in,
            session_id=session_id_text(granted.session_id),
        ),
        headers=[("Pragma", "no-cache")],
    )


def _claimed(request: Request, form: Form) -> tuple[str | None, str]:
    """The client that the caller says it is, and its secret; empty where it sent none, or fills in the empty one."""
    headers = request.headers.getlist("authorization")
    basic = [header for header in headers if is_basic(header)]
    if (basic and "client_secret" in form) or len(headers) > 1:
        raise OAuthRefused("invalid_request", "Authenticate in one way only.")
    if not basic:
        return form.get("client_id"), form.get("client_secret", "")
    client_id, secret = _basic(basic[0])
    if form.get("client_id", client_id) != client_id:
        raise OAuthRefused("invalid_request", "client_id is not the one that authenticates.")
    return client_id or None, secret


def _basic(header: str) -> tuple[str, str]:
    try:
        return parse_basic(header)
    except NotBasic as error:
        raise _invalid_client("The Authorization header is not Basic credentials.") from error


def _invalid_client(description: str) -> OAuthRefused:
    return OAuthRefused("invalid_client", description, status=401, headers=(CHALLENGE,))
