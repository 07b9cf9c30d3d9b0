"""The guard as ASGI middleware, for any framework that speaks ASGI."""

import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from typing import Any

from evertoken.clock import Clock, system_clock
from evertoken.errors import InsufficientRights, TemporarilyUnavailable, TokenError, TokenExpired
from evertoken.guards.access_check import ChecksAccess, demand
from evertoken.wire import bearer, problems

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_log = logging.getLogger(__name__)

_UNAVAILABLE = 503
_POLICY_VIOLATION = 1008  # close codes of RFC 6455 §7.4 and its registry
_TRY_AGAIN_LATER = 1013

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
        self._exact = frozenset(path for path in public if not path.endswith("/"))
        self._below = tuple(path for path in public if path.endswith("/"))
        self._has_public = bool(self._exact or self._below)
        self._scopes = tuple(scopes)
        self._roles = tuple(roles)
        self._demands_rights = bool(self._scopes or self._roles)
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or (self._has_public and self._is_public(scope["path"])):
            await self._app(scope, receive, send)
            return
        # No comprehension and no method: each is one call more, in front of every request.
        found = []
        for name, value in scope["headers"]:
            if name == b"authorization":
                found.append(value)
        claims, query = None, scope.get("query_string", b"")
        if len(found) == 1 and (not query or b"access_token" not in query):
            # As nearly every request does it, with a token that was seen before: most of the work was done then.
            claims = self._guard.recall(found[0], now_ms=self._clock())
        if claims is None or self._demands_rights:
            refusal = await self._refusal(scope, found, query)
            if refusal is not None:
                await _refuse(refusal, scope, receive, send)
                return
        else:
            scope[CLAIMS_KEY] = claims
        await self._app(scope, receive, send)

    def _is_public(self, path: str) -> bool:
        if path in self._exact:
            return True
        # What climbs may lead out of the public place again, if the application resolves it (RFC 3986 §5.2.4).
        return self._below != () and path.startswith(self._below) and ".." not in path.split("/")

    async def _refusal(self, scope: Scope, found: Sequence[bytes], query: bytes) -> problems.ProblemAnswer | None:
        """Put the claims into the scope, or say why not."""
        try:
            token = bearer.parse([value.decode("latin-1") for value in found], query=query)
            if token is None:
                return problems.NO_TOKEN
            claims = await self._guard.check_async(token, now_ms=self._clock())
            if self._demands_rights:
                demand(claims, scopes=self._scopes, roles=self._roles)
        except bearer.BearerMisused:
            return problems.token_misused()
        except TokenError as error:
            level = logging.DEBUG if isinstance(error, TokenExpired) else logging.INFO  # expiry is everyday life
            _log.log(level, "access token refused: %s", type(error).__name__)
            return problems.token_refused(error)
        except InsufficientRights as error:
            return problems.rights_missing(error.scopes)
        except TemporarilyUnavailable as error:
            _log.debug("no access token can be checked: %s", error)  # the guard has said so, once
            return problems.unavailable(error)
        scope[CLAIMS_KEY] = claims
        return None


async def _refuse(refusal: problems.ProblemAnswer, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await send_problem(refusal, send)
        return
    await receive()
    code = _TRY_AGAIN_LATER if refusal.status == _UNAVAILABLE else _POLICY_VIOLATION
    await send({"type": "websocket.close", "code": code, "reason": refusal.code})


async def send_problem(problem: problems.ProblemAnswer, send: Send) -> None:
    """Send a problem as an HTTP answer."""
    body = problem.body()
    headers = [
        (b"content-type", problems.MEDIA_TYPE.encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
        *((name.lower().encode(), value.encode("latin-1")) for name, value in problem.headers),
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
