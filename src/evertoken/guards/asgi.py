"""The guard as ASGI middleware, for any framework that speaks ASGI."""

from collections.abc import Iterable, Sequence

from evertoken.clock import Clock, system_clock
from evertoken.guards.access_check import ChecksAccess
from evertoken.guards.judging import (
    App,
    Message,
    PublicPlaces,
    Receive,
    Refusal,
    Scope,
    Send,
    checked,
    demanded,
    refuse,
    send_problem,
)
from evertoken.guards.speech import speech_of

__all__ = ["CLAIMS_KEY", "App", "GuardMiddleware", "Message", "Receive", "Scope", "Send", "send_problem"]

CLAIMS_KEY = "evertoken.claims"
"""Where the wrapped application finds the claims: `scope["evertoken.claims"]`."""


class GuardMiddleware:
    """
    Lets a request pass only with a good access token, and hands its claims to the application.

    Args:
        app: The application behind the guard.
        guard: What checks the tokens.
        public: Paths that anybody may reach: exact, or with everything below when they end in `/`.
        scopes: Every one of these is demanded.
        roles: At least one of these is demanded.
        clock: Returns the time in milliseconds.
    """

    def __init__(
        self,
        app: App,
        guard: ChecksAccess,
        *,
        public: Iterable[str] = (),
        scopes: Sequence[str] = (),
        roles: Sequence[str] = (),
        clock: Clock = system_clock,
    ) -> None:
        self._app = app
        self._guard = guard
        self._recall = guard.recall
        self._speech = speech_of(guard)
        self._header = self._speech.raw_header
        self._public = PublicPlaces(public)
        self._has_public = bool(self._public)
        self._scopes = tuple(scopes)
        self._roles = tuple(roles)
        self._demands_rights = bool(self._scopes or self._roles)
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or (self._has_public and self._public.have(scope["path"])):
            await self._app(scope, receive, send)
            return
        # No comprehension, no list and no method: each costs a little, in front of every request.
        wanted, token, times = self._header, None, 0
        for name, value in scope["headers"]:
            if name == wanted:
                token = value
                times += 1
        claims, query = None, scope.get("query_string", b"")
        if token is not None and times == 1 and (not query or b"access_token" not in query):
            # As nearly every request does it, with a token that was seen before: most of the work was done then.
            claims = self._recall(token, now_ms=self._clock())
        if claims is None or self._demands_rights:
            try:
                known = claims or await checked(scope, self._guard, now_ms=self._clock())
                claims = demanded(known, scopes=self._scopes, roles=self._roles, speech=self._speech)
            except Refusal as refusal:
                await refuse(refusal, scope, receive, send)
                return
        scope[CLAIMS_KEY] = claims
        await self._app(scope, receive, send)
