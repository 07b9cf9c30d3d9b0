"""
Around every request: faults become answers, pages elsewhere get CORS, every answer gets its security headers.

Pure ASGI: it stands in front of the hot routes.
"""

import logging
import sys
import uuid
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Router

from evertoken.edge.answers import OAuthRefused, Refused, empty, oauth_error, oauth_problem, problem_answer
from evertoken.edge.dialects.spoken import Spoken, SpokenPaths
from evertoken.edge.metrics import Metrics
from evertoken.edge.origin_check import OriginCheck
from evertoken.errors import EvertokenError, TemporarilyUnavailable
from evertoken.wire.origins import is_trustworthy
from evertoken.wire.problems import ProblemAnswer

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_log = logging.getLogger(__name__)

_SECURITY_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
    (b"content-security-policy", b"default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
OWN_HEADERS = "evertoken.security_headers"
"""A route that says its security headers itself, as a page must, puts them into the scope under this key."""
_HSTS = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
_CORS_METHODS = frozenset({"GET", "POST", "DELETE"})
_CORS_HEADERS = frozenset({"authorization", "content-type", "x-csrf-token"})


class Envelope:
    """
    The application as uvicorn sees it.

    Args:
        router: The routes.
        origins: Whose pages may read answers.
        issuer: Decides whether Strict-Transport-Security is sent.
        spoken: Where dialects are spoken; refusals are in their words there.
    """

    def __init__(
        self, router: Router, origins: OriginCheck, metrics: Metrics, *, issuer: str, spoken: SpokenPaths
    ) -> None:
        self._router = router
        self._spoken = spoken
        self._allowed = {origin.encode("latin-1") for origin in origins.allowed}
        self._metrics = metrics
        https = issuer.startswith("https://") and is_trustworthy(issuer)
        self._hsts = (_HSTS,) if https else ()
        self._headers = (*_SECURITY_HEADERS, *self._hsts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._router(scope, receive, _in_our_words(send))
            return
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        # Makes the router raise for an unknown path or method instead of answering in plain text.
        scope["app"] = self
        started = False
        cors = self._cors_headers(scope)

        async def send_dressed(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                own = scope.get(OWN_HEADERS)
                security = self._headers if own is None else (*own, *self._hsts)
                message["headers"] = [*message["headers"], *security, *cors]
                self._metrics.answered(message["status"])
            await send(message)

        try:
            preflight = _preflight(scope, self._spoken.get(scope["path"]), allowed=len(cors) > 1)
            if preflight is None:
                await self._router(scope, receive, send_dressed)
            else:
                await preflight(scope, receive, send_dressed)
        except Exception as error:
            if started:
                raise
            await _as_answer(error, scope, self._spoken.get(scope["path"]))(scope, receive, send_dressed)

    def _cors_headers(self, scope: Scope) -> tuple[tuple[bytes, bytes], ...]:
        """Vary always, so that no cache hands one origin's answer to another; the rest only for a listed origin."""
        for name, value in scope["headers"]:
            if name == b"origin" and value in self._allowed:
                return (
                    (b"vary", b"Origin"),
                    (b"access-control-allow-origin", value),
                    (b"access-control-allow-credentials", b"true"),
                    (b"access-control-expose-headers", b"Date, Retry-After, WWW-Authenticate"),
                )
        return ((b"vary", b"Origin"),)


def _preflight(scope: Scope, spoken: Spoken | None, *, allowed: bool) -> Response | None:
    """The answer to a CORS preflight (Fetch §4.8), or None for any other request."""
    if scope["method"] != "OPTIONS":
        return None
    sent = Request(scope).headers
    method = sent.get("access-control-request-method")
    if method is None or "origin" not in sent:
        return None
    wanted = {name.strip().lower() for name in sent.get("access-control-request-headers", "").split(",")} - {""}
    methods = _CORS_METHODS if spoken is None else spoken.methods
    headers = _CORS_HEADERS if spoken is None else _CORS_HEADERS | spoken.headers
    if not allowed or method not in methods or not wanted <= headers:
        problem = ProblemAnswer(
            403, "origin_not_allowed", "This origin, method or header is not allowed across origins."
        )
        return problem_answer(problem) if spoken is None else spoken.refused(problem, scope)
    return empty(
        headers=[
            ("Access-Control-Allow-Methods", ", ".join(sorted(methods))),
            ("Access-Control-Allow-Headers", ", ".join(sorted(headers))),
            ("Access-Control-Max-Age", "600"),
        ]
    )


def _as_answer(error: Exception, scope: Scope, spoken: Spoken | None) -> Response:
    """An error in the shape that the callers of this path read."""
    if isinstance(error, OAuthRefused):
        return oauth_error(error)
    problem = _as_problem(error, scope)
    if spoken is not None:
        return spoken.refused(problem, scope)
    return oauth_problem(problem) if scope["path"].startswith("/oauth/") else problem_answer(problem)


def _in_our_words(send: Send) -> Send:
    """
    For the lifespan: a start that failed for a reason that people can act on says that, where Starlette shows a trace.

    A worker that cannot start is tried every second, so its log would else hold nothing but traces.
    """

    async def tell(message: Message) -> None:
        error = sys.exception()  # Starlette tells of it while it handles it
        if message["type"] == "lifespan.startup.failed" and isinstance(error, EvertokenError):
            message = {**message, "message": f"cannot start: {error}"}
        await send(message)

    return tell


def _as_problem(error: Exception, scope: Scope) -> ProblemAnswer:
    """What a caller is told of an error: what to do, nothing of our insides."""
    match error:
        case Refused():
            return error.problem
        case TemporarilyUnavailable():
            _log.warning("unavailable: %s", error)
            retry = (("Retry-After", str(error.retry_after_seconds)),)
            return ProblemAnswer(503, "unavailable", "A fault of ours; you are still signed in.", retry)
        case HTTPException(status_code=404):
            return ProblemAnswer(404, "not_found", "See /openapi.json for what there is.")
        case HTTPException(status_code=405):
            allow = (("Allow", (error.headers or {}).get("Allow", "")),)
            return ProblemAnswer(405, "method_not_allowed", f"Use {allow[0][1]}.", allow)
        case _:
            incident = f"urn:uuid:{uuid.uuid4()}"
            _log.error("unexpected error on %s", scope["path"], exc_info=error, extra={"incident": incident})
            return ProblemAnswer(500, "internal", "It is in our log under this instance.", instance=incident)
