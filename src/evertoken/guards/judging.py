"""What every ASGI framework's guard does with a request: give the claims, or the problem to answer with."""

import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Final, Protocol

from evertoken.errors import InsufficientRights, TemporarilyUnavailable, TokenError, TokenExpired
from evertoken.guards.access_check import ChecksAccess, demand
from evertoken.guards.speech import PLAIN, Speech, speech_of
from evertoken.tokens.claims import AccessTokenClaims
from evertoken.wire import bearer, problems

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

SCHEME: Final = "evertoken"
"""What the security scheme is called in an application's OpenAPI description."""

DESCRIPTION: Final = "An access token of evertoken."

_UNAVAILABLE: Final = 503
_POLICY_VIOLATION: Final = 1008  # close codes of RFC 6455 §7.4 and its registry
_TRY_AGAIN_LATER: Final = 1013

_log = logging.getLogger(__name__)


class Refusal(Exception):
    """The guard lets this request not pass; `.problem` is the answer, to be spelled by `.speech`."""

    def __init__(self, problem: problems.ProblemAnswer, speech: Speech = PLAIN) -> None:
        super().__init__(problem.code)
        self.problem = problem
        self.speech = speech


def recalled(scope: Scope, guard: ChecksAccess, wanted: bytes, *, now_ms: int) -> AccessTokenClaims | None:
    """
    The claims of a token that was seen before, as nearly every request brings one; None says nothing about it.

    Args:
        scope: Of an ASGI request or WebSocket.
        wanted: The header, in lower case.
        now_ms: Current time.
    """
    # No comprehension and no list: each costs a little, in front of every request.
    token, times = None, 0
    for name, value in scope["headers"]:
        if name == wanted:
            token = value
            times += 1
    query = scope.get("query_string", b"")
    if token is None or times > 1 or (query and b"access_token" in query):
        return None
    return guard.recall(token, now_ms=now_ms)


async def judged(scope: Scope, guard: ChecksAccess, *, now_ms: int) -> AccessTokenClaims | None:
    """
    The claims of a request's access token; None where it brought none.

    Args:
        scope: Of an ASGI request or WebSocket.
        now_ms: Current time.

    Raises:
        Refusal: The token is bad (401), misplaced (400), or cannot be judged now (503).

    Source: RFC 6750 §2 and §3.
    """
    claims = recalled(scope, guard, speech_of(guard).raw_header, now_ms=now_ms)
    return await checked(scope, guard, now_ms=now_ms) if claims is None else claims


async def checked(scope: Scope, guard: ChecksAccess, *, now_ms: int) -> AccessTokenClaims | None:
    """As `judged`, for a token that is not among those seen before."""
    speech = speech_of(guard)
    found = [value for name, value in scope["headers"] if name == speech.raw_header]
    if not found:
        return None
    with refusing(speech):
        token = speech.token([value.decode("latin-1") for value in found], query=scope.get("query_string", b""))
        return None if token is None else await guard.check_async(token, now_ms=now_ms)


@contextmanager
def refusing(speech: Speech) -> Iterator[None]:
    """
    Make the answer of what a guard raises.

    Args:
        speech: How the guard speaks.

    Raises:
        Refusal: In place of it; the log says why.
    """
    try:
        yield
    except bearer.BearerMisused as error:
        raise Refusal(speech.misused, speech) from error
    except TokenError as error:
        level = logging.DEBUG if isinstance(error, TokenExpired) else logging.INFO  # expiry is everyday life
        _log.log(level, "access token refused: %s", type(error).__name__)
        raise Refusal(speech.refused(error), speech) from error
    except TemporarilyUnavailable as error:
        _log.debug("no access token can be checked: %s", error)  # the guard has said so, once
        raise Refusal(problems.unavailable(error), speech) from error


def demanded(
    claims: AccessTokenClaims | None,
    *,
    scopes: Sequence[str] = (),
    roles: Sequence[str] = (),
    speech: Speech = PLAIN,
) -> AccessTokenClaims:
    """
    The claims, if there are any and they hold every one of the scopes and at least one of the roles.

    Args:
        speech: How the guard speaks that gave them.

    Raises:
        Refusal: There is no token (401), or it lacks a right (403).
    """
    if claims is None:
        raise Refusal(speech.no_token, speech)
    if scopes or roles:
        try:
            demand(claims, scopes=scopes, roles=roles)
        except InsufficientRights as error:
            raise Refusal(problems.rights_missing(error.scopes), speech) from error
    return claims


class PublicPlaces:
    """
    The paths that anybody may reach.

    Args:
        paths: As in the URL: exact, or with everything below when they end in `/`.
    """

    def __init__(self, paths: Iterable[str]) -> None:
        several = tuple(paths)
        self._exact = frozenset(path for path in several if not path.endswith("/"))
        self._below = tuple(path for path in several if path.endswith("/"))

    def __bool__(self) -> bool:
        return bool(self._exact or self._below)

    def have(self, path: str) -> bool:
        """Whether a path is among them."""
        if path in self._exact:
            return True
        # What climbs may lead out of the public place again, if the application resolves it (RFC 3986 §5.2.4).
        return self._below != () and path.startswith(self._below) and ".." not in path.split("/")


def close_code(problem: problems.ProblemAnswer) -> int:
    """With which code a WebSocket that gets this answer is closed."""
    return _TRY_AGAIN_LATER if problem.status == _UNAVAILABLE else _POLICY_VIOLATION


async def refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request, or close a WebSocket before it is accepted."""
    if scope["type"] == "http":
        await send_problem(refusal.problem, send, speech=refusal.speech)
        return
    await receive()
    problem = refusal.problem
    await send({"type": "websocket.close", "code": close_code(problem), "reason": problem.code})


async def send_problem(problem: problems.ProblemAnswer, send: Send, *, speech: Speech = PLAIN) -> None:
    """Send a problem as an HTTP answer."""
    answer = speech.answer(problem)
    headers = [
        (b"content-length", str(len(answer.body)).encode()),
        *((name.lower().encode(), value.encode("latin-1")) for name, value in answer.headers),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


class EmbeddedServer(Protocol):
    """What `evertoken.assembly.build` gives."""

    @property
    def app(self) -> App:
        """The server's application."""

    @property
    def lifespan(self) -> Callable[[Any], AbstractAsyncContextManager[None]]:
        """Starts and stops its background work."""
