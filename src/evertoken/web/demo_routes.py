"""
What only `evertoken demo` serves beside its page: made-up figures behind an access token, and ways to break things.

`evertoken serve` has none of these routes: nothing but the demo's command hands them to a server. They let a page of
this origin expire the access tokens of its own session, lose an answer, and play a thief against it.
"""

import itertools
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from evertoken.edge.answers import Refused, empty, json_answer, refuse
from evertoken.edge.credentials import Credentials
from evertoken.edge.services import Services
from evertoken.edge.settings import milliseconds
from evertoken.errors import TokenExpired
from evertoken.secret import Secret
from evertoken.sessions.issuer import Subject, username_claim
from evertoken.sessions.model import Caller, session_id_text
from evertoken.sessions.rotation import MATURITY_IN_OVERLAPS, Outcome
from evertoken.sessions.service import Granted, Stale
from evertoken.tokens import refresh_token
from evertoken.tokens.claims import AccessTokenClaims
from evertoken.tokens.refresh_token import Delivery, RefreshToken
from evertoken.web.demo_tiles import tile
from evertoken.wire import problems

CLAIMS_HOOK: Final = f"{__name__}:claims"
"""The setting `claims_hook` of a demo server: POST /demo/expire goes by what `claims` adds."""

LOSE_HEADER: Final = b"x-demo-lose"
LOST_HEADER: Final = "X-Demo-Lost"
"""A refresh that asks for it is committed, and its answer thrown away: 204 with this header is all that arrives."""

_SERIAL: Final = "demo_serial"
_THIEF: Final = Caller("203.0.113.66", "Thief's laptop")
_SEED: Final = "evertoken"

_serials = itertools.count(1)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


def claims(subject: Subject) -> Mapping[str, Any]:
    """The usual claims, and a number that grows from token to token of this process."""
    return {**username_claim(subject), _SERIAL: next(_serials)}


@dataclass(frozen=True, slots=True)
class DemoUser:
    """Whose name and password stand ready on the page; printed by the command too."""

    username: str
    password: Secret


@dataclass(slots=True)
class _Thief:
    """What a thief holds of one session: the newest refresh token that the theft or a refresh has brought."""

    token: RefreshToken
    has_refreshed: bool = False


class DemoRoutes:
    """
    The demo's own routes. What they keep is of this process and gone with it.

    Args:
        user: The demo's user.
    """

    def __init__(self, services: Services, user: DemoUser) -> None:
        self._services = services
        self._user = user
        self._credentials = Credentials(services)
        self._refused_up_to: dict[str, int] = {}
        self._thieves: dict[bytes, _Thief] = {}

    def routes(self) -> list[Route]:
        """None of them is described in /openapi.json: they are no part of the server."""
        return [
            Route("/", self.home, methods=["GET"]),
            Route("/demo/about", self.about, methods=["GET"]),
            Route("/demo/api/{tile}", self.tile, methods=["GET"]),
            Route("/demo/expire", self.expire, methods=["POST"]),
            Route("/demo/thief", self.steal_or_tell, methods=["GET", "POST"]),
            Route("/demo/thief/use", self.use, methods=["POST"]),
        ]

    async def home(self, _request: Request) -> Response:
        """A demo has one page to open."""
        return RedirectResponse("/demo", HTTPStatus.SEE_OTHER)

    async def about(self, _request: Request) -> Response:
        """Who may sign in here, and the durations that the page speaks of, in seconds."""
        settings = self._services.settings
        overlap_seconds = settings.overlap.total_seconds()
        return json_answer(
            {
                "username": self._user.username,
                "password": self._user.password.reveal(),
                "access_seconds": settings.access_lifetime.total_seconds(),
                "overlap_seconds": overlap_seconds,
                "maturity_seconds": MATURITY_IN_OVERLAPS * overlap_seconds,
            }
        )

    async def tile(self, request: Request) -> Response:
        """Figures for one tile, for the holder of a good access token that was not made to expire."""
        found = self._credentials.claims(request)
        if _serial_of(found) <= self._refused_up_to.get(found.sid, 0):
            raise Refused(problems.token_refused(TokenExpired("the demo was told to refuse it")))
        made = tile(request.path_params["tile"], now_ms=self._services.clock(), seed=_SEED)
        if made is None:
            raise refuse(404, "not_found", "There is no such tile.")
        return json_answer(made)

    async def expire(self, request: Request) -> Response:
        """Refuse, here, every access token that this session was given before now, as if it had expired."""
        token = self._token_of_page(request)
        # A number is drawn, so that the tokens before it and those after it are told apart within one millisecond.
        self._refused_up_to[session_id_text(token.session_id)] = next(_serials)
        return empty()

    async def steal_or_tell(self, request: Request) -> Response:
        """POST copies the refresh token of the caller's cookie for a thief; GET tells how good that copy is now."""
        token = self._token_of_page(request)
        if request.method == "POST":
            self._thieves[token.session_id] = _Thief(token)
        return json_answer(await self._told(self._thief_of(token), token))

    async def use(self, request: Request) -> Response:
        """The thief presents the copy, from another device, to the service that decides about every refresh."""
        token = self._token_of_page(request)
        thief = self._thief_of(token)
        result = await self._services.sessions.refresh(thief.token, _THIEF)
        if isinstance(result, Granted):
            thief.has_refreshed = True
            if result.refresh_token is not None:
                thief.token = refresh_token.parse(result.refresh_token, self._services.secrets)
            return json_answer({"answer": "granted", "has_refresh_token": result.refresh_token is not None})
        if isinstance(result, Stale):
            return json_answer({"answer": "stale", "retry_after_seconds": result.retry_after_ms / 1000})
        return json_answer({"answer": "over", "reason": result.reason.value})

    async def _told(self, thief: _Thief, owners: RefreshToken) -> Mapping[str, Any]:
        """
        What the page says of a theft.

        `would_be` is what presenting the copy now would lead to; `owner_holds` is `the_same` token, its `successor`
        or a `later` one; the others say in how many seconds each newest token is ripe, 0 where it is.
        """
        would_be = await self._services.sessions.judge(thief.token)
        if owners.tag == thief.token.tag:
            owner_holds = "the_same"
        else:
            owner_holds = "successor" if owners.parent == thief.token.tag else "later"
        return {
            "would_be": would_be.value,
            "owner_holds": owner_holds,
            "thief_has_refreshed": thief.has_refreshed,
            "copy_ripe_in_seconds": 0 if would_be is Outcome.REISSUE else self._ripe_in_seconds(thief.token),
            "owner_ripe_in_seconds": self._ripe_in_seconds(owners),
        }

    def _ripe_in_seconds(self, token: RefreshToken) -> float:
        maturity_ms = MATURITY_IN_OVERLAPS * milliseconds(self._services.settings.overlap)
        return max(token.issued_at_ms + maturity_ms - self._services.clock(), 0) / 1000

    def _thief_of(self, token: RefreshToken) -> _Thief:
        thief = self._thieves.get(token.session_id)
        if thief is None:
            raise refuse(404, "not_found", "Nothing has been stolen from this session.")
        return thief

    def _token_of_page(self, request: Request) -> RefreshToken:
        """The refresh token of the caller's cookie, where a page of this origin asks."""
        self._services.origins.demand_ours(request)
        value = self._credentials.cookie_value(request)
        if value is None:
            raise Refused(problems.unauthorized("token_invalid", "There is no refresh cookie: nobody is signed in."))
        return self._credentials.refresh_token_in(value, Delivery.COOKIE)


class LosesAnswers:
    """
    The server on a line that loses the answer to a refresh where the request asks for it.

    The server has done its work by then. Not even the cookie of its answer arrives, which a browser would store before
    any script could keep it from that.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what comes, and most of what goes."""
        if scope.get("path") != "/auth/refresh" or not any(name == LOSE_HEADER for name, _ in scope["headers"]):
            await self._app(scope, receive, send)
            return

        async def drop(_message: Message) -> None:
            pass

        await self._app(scope, receive, drop)
        await empty(headers=[(LOST_HEADER, "1")])(scope, receive, send)


def _serial_of(found: AccessTokenClaims) -> int:
    serial = found.extra.get(_SERIAL)
    return serial if isinstance(serial, int) else 0
