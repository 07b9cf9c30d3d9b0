"""What a signed-in person may see and change: who am I, where am I signed in, my password."""

from http import HTTPStatus
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from evertoken.accounts.password_rules import check_new_password
from evertoken.accounts.password_text import PasswordRefused, is_too_long
from evertoken.accounts.users import User
from evertoken.edge.answers import Refused, empty, json_answer, refuse
from evertoken.edge.audit import Audit
from evertoken.edge.credentials import Credentials
from evertoken.edge.requests import read_json
from evertoken.edge.routes.auth import Password
from evertoken.edge.services import PasswordWriter, Services
from evertoken.secret import Secret
from evertoken.sessions.model import AccountChange, EventKind, SessionRecord, session_id_bytes, session_id_text
from evertoken.sessions.rotation import Reason
from evertoken.tokens.claims import AccessTokenClaims
from evertoken.wire import problems
from evertoken.wire.answers import SessionAnswer, SessionsAnswer


class PasswordBody(msgspec.Struct):
    """What POST /auth/password takes."""

    current_password: Password
    new_password: Password


_PASSWORD = msgspec.json.Decoder(PasswordBody)


class AccountRoutes:
    """The routes; every one demands an access token."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._credentials = Credentials(services)
        self._audit = Audit(services)

    def routes(self) -> list[Route]:
        """The hot ones first."""
        return [
            Route("/auth/verify", self.verify, methods=["GET"]),
            Route("/auth/me", self.me, methods=["GET"]),
            Route("/auth/sessions", self.sessions_or_end_all, methods=["GET", "DELETE"]),
            Route("/auth/sessions/{id}", self.end_one, methods=["DELETE"]),
            Route("/auth/password", self.password, methods=["POST"]),
        ]

    async def me(self, request: Request) -> Response:
        """The claims of the caller's access token."""
        return json_answer(self._credentials.claims(request).to_payload())

    async def verify(self, request: Request) -> Response:
        """
        For a proxy that asks before it forwards (nginx auth_request, Traefik and Caddy forward auth).

        The headers are for the application behind; what a user name may hold beyond ASCII is percent-encoded.
        """
        try:
            claims = self._credentials.claims(request)
        except Refused as refused:
            if refused.problem.status == HTTPStatus.BAD_REQUEST:
                raise Refused(problems.NO_TOKEN) from refused  # nginx makes a 500 of anything but 401 and 403
            raise
        username = claims.extra.get("preferred_username")
        return empty(
            200,
            headers=[
                ("X-Auth-Subject", quote(claims.sub, safe="@+ ")),
                ("X-Auth-Session", claims.sid),
                ("X-Auth-Roles", ",".join(quote(role, safe="") for role in claims.roles)),
                ("X-Auth-Username", quote(username if isinstance(username, str) else "", safe="@+ ")),
            ],
        )

    async def sessions_or_end_all(self, request: Request) -> Response:
        """One route for both methods, so that a 405 names both in Allow (RFC 9110 §10.2.1)."""
        return await (self.end_all if request.method == "DELETE" else self.sessions)(request)

    async def sessions(self, request: Request) -> Response:
        """Where the caller is signed in."""
        claims = self._credentials.claims(request)
        records: list[SessionRecord] = []
        page = await self._page(claims, None)
        while page:
            records += page
            page = await self._page(claims, page[-1].id) if len(page) == _PAGE else []
        records.sort(key=lambda record: record.refreshed_at_ms, reverse=True)
        return json_answer(SessionsAnswer(sessions=[_answer(record, claims.sid) for record in records]))

    async def _page(self, claims: AccessTokenClaims, after: bytes | None) -> list[SessionRecord]:
        return await self._services.store.list_sessions(user_id=claims.sub, after=after, limit=_PAGE)

    async def end_one(self, request: Request) -> Response:
        """End one of the caller's sessions; somebody else's is simply not there. Ending one twice is no error."""
        self._services.origins.refuse_foreign(request)
        claims = self._credentials.claims(request)
        session_id = session_id_bytes(request.path_params["id"])
        record = None if session_id is None else await self._services.store.find(session_id)
        if record is None or record.user_id != claims.sub:
            raise refuse(404, "not_found", "You have no session of this id.")
        reason = Reason.SIGNED_OUT if session_id_text(record.id) == claims.sid else Reason.REVOKED
        await self._services.sessions.end(
            record.id, self._services.callers.read(request), reason=reason, user_id=claims.sub
        )
        return empty()

    async def end_all(self, request: Request) -> Response:
        """End all of the caller's sessions, or with ?keep=current all others."""
        self._services.origins.refuse_foreign(request)
        claims = self._credentials.claims(request)
        keep = request.query_params.get("keep")
        if keep not in (None, "current"):
            raise refuse(400, "invalid_request", "`keep` may only be `current`.")
        await self._services.sessions.change_account(
            AccountChange(
                claims.sub,
                Reason.SIGNED_OUT if keep is None else Reason.REVOKED,
                EventKind.SIGNED_OUT_EVERYWHERE,
                caller=self._services.callers.read(request),
                keep=session_id_bytes(claims.sid) if keep else None,
            )
        )
        return empty()

    async def password(self, request: Request) -> Response:
        """Change the password; every other session ends, this one goes on."""
        services = self._services
        services.origins.refuse_foreign(request)
        claims = self._credentials.claims(request)
        writer = services.directory
        if not isinstance(writer, PasswordWriter):
            raise refuse(404, "not_found", "Passwords are kept by the application, not here.")
        body = await read_json(request, _PASSWORD, limit=services.settings.max_body_bytes)
        user = await services.directory.find_by_id(claims.sub)
        if user is None or user.disabled:
            raise Refused(problems.unauthorized("session_over", "Sign in again.", reason=Reason.ACCOUNT_DISABLED.value))
        new_password = Secret(body.new_password)
        self._check_rules(user, new_password)
        await self._confirm(user, Secret(body.current_password), request)
        changed = await services.sessions.change_account(
            AccountChange(
                user.id,
                Reason.PASSWORD_CHANGED,
                EventKind.PASSWORD_CHANGED,
                caller=services.callers.read(request),
                keep=session_id_bytes(claims.sid),
                expected_epoch=user.epoch,
                password_hash=await writer.hash_new_password(new_password),
            )
        )
        if not changed:
            raise refuse(503, "unavailable", "The account was changed meanwhile. Try again.", ("Retry-After", "1"))
        return empty()

    def _check_rules(self, user: User, new_password: Secret) -> None:
        settings = self._services.settings
        try:
            check_new_password(
                new_password,
                username=user.username,
                service_name=settings.service_name,
                min_length=settings.password_min_length,
            )
        except PasswordRefused as error:
            raise refuse(422, "password_refused", str(error)) from error

    async def _confirm(self, user: User, current: Secret, request: Request) -> None:
        """The present password, under the same throttle as a sign-in."""
        if is_too_long(current):
            raise refuse(400, "invalid_request", "The password is too long; 1024 bytes are the most.")
        caller = self._services.callers.read(request)
        result = await self._services.sign_in.check(user.username, current, address=caller.address)
        if result.retry_after_ms:
            await self._audit.rate_limited(user.username, caller, slowed_by=result.slowed_by)
            wait = str(-(-result.retry_after_ms // 1000))
            raise refuse(429, "rate_limited", f"Wait {wait} seconds, then try again.", ("Retry-After", wait))
        if result.user is None or result.user.id != user.id:
            await self._audit.sign_in_failed(user.username, caller)
            # 403, not 401: the access token is good, and a client must not answer this with a refresh.
            raise refuse(403, "bad_credentials", "The current password is wrong.")


_PAGE = 500


def _answer(record: SessionRecord, current: str) -> SessionAnswer:
    return SessionAnswer(
        id=session_id_text(record.id),
        device=record.refreshed_from.device,
        address=record.refreshed_from.address,
        client_id=record.client_id,
        created_at=record.created_at_ms // 1000,
        last_refreshed_at=record.refreshed_at_ms // 1000,
        expires_at=record.expires_at_ms() // 1000,
        current=session_id_text(record.id) == current,
    )
