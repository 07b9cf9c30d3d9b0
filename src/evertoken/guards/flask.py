"""
The guard for Flask: a decorator.

    guarded = Guarded(guard)

    @app.get("/reports")
    @guarded
    def reports():
        return {"reports for": current_claims.sub}

    @app.delete("/users/<name>")
    @guarded(roles=["admin"])
    def remove(name): ...

    api.before_request(guarded.before)  # a whole blueprint
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast, overload

from flask import Response, g, has_request_context, request
from werkzeug.local import LocalProxy

from evertoken.clock import Clock, system_clock
from evertoken.guards.access_check import ChecksAccess
from evertoken.guards.judging import Refusal, demanded
from evertoken.guards.one_header import judged, judged_async
from evertoken.guards.speech import speech_of
from evertoken.tokens.claims import AccessTokenClaims

_View = TypeVar("_View", bound=Callable[..., Any])

_CLAIMS = "evertoken.claims"


class Guarded:
    """
    Lets only those reach a view who hold a good access token; their claims are `current_claims` and `g.evertoken`.

    It goes on plain and async views, below `@app.route`, in the `decorators` of a class-based view, and with `before`
    in front of a whole blueprint or application. A refusal is answered at once, as a problem (RFC 9457) with its
    challenge: nothing is raised that an error handler of the application could take for its own.

    Args:
        guard: What checks the tokens: a `Guard`, or `build(...).guard` in the process of the server.
        scopes: Every one of these is demanded.
        roles: At least one of these is demanded.
        clock: Returns the time in milliseconds.
    """

    def __init__(
        self,
        guard: ChecksAccess,
        *,
        scopes: Sequence[str] = (),
        roles: Sequence[str] = (),
        clock: Clock = system_clock,
    ) -> None:
        self._guard = guard
        self._speech = speech_of(guard)
        self._header = self._speech.environ_key
        self._scopes = tuple(scopes)
        self._roles = tuple(roles)
        self._clock = clock

    @overload
    def __call__(self, view: _View) -> _View: ...

    @overload
    def __call__(self, *, scopes: Sequence[str] = (), roles: Sequence[str] = ()) -> "Guarded": ...

    def __call__(
        self, view: _View | None = None, *, scopes: Sequence[str] = (), roles: Sequence[str] = ()
    ) -> "_View | Guarded":
        """Guard this view; or, called with rights only, the same guard that demands them too."""
        if view is None:
            return self.requiring(scopes=scopes, roles=roles)
        return cast("_View", self._around_async(view) if inspect.iscoroutinefunction(view) else self._around(view))

    def requiring(self, *, scopes: Sequence[str] = (), roles: Sequence[str] = ()) -> "Guarded":
        """The same with rights: every one of the scopes, those before included, and at least one of the roles."""
        return Guarded(
            self._guard, scopes=(*self._scopes, *scopes), roles=tuple(roles) or self._roles, clock=self._clock
        )

    def before(self) -> Response | None:
        """
        For `before_request` of a blueprint or an application: None lets the request go on.

        What Flask answers to OPTIONS by itself stays open, a browser asks that before it sends a token (CORS).
        """
        rule = request.url_rule
        if request.method == "OPTIONS" and rule is not None and getattr(rule, "provide_automatic_options", False):
            return None
        return self._refusal()

    def _around(self, view: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            refusal = self._refusal()
            return view(*args, **kwargs) if refusal is None else refusal

        return guarded

    def _around_async(self, view: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(view)
        async def guarded(*args: Any, **kwargs: Any) -> Any:
            _forget()
            try:
                self._let_in(await judged_async(*self._credentials(), self._guard, now_ms=self._clock()))
            except Refusal as refusal:
                return _response(refusal)
            return await view(*args, **kwargs)

        return guarded

    def _refusal(self) -> Response | None:
        _forget()
        try:
            self._let_in(judged(*self._credentials(), self._guard, now_ms=self._clock()))
        except Refusal as refusal:
            return _response(refusal)
        return None

    def _let_in(self, claims: AccessTokenClaims | None) -> None:
        g.evertoken = request.environ[_CLAIMS] = demanded(
            claims, scopes=self._scopes, roles=self._roles, speech=self._speech
        )

    def _credentials(self) -> tuple[str | None, str]:
        return request.environ.get(self._header), request.environ.get("QUERY_STRING", "")


def _forget() -> None:
    """`g` outlives a request where an application context was pushed around several, as tests do it."""
    g.pop("evertoken", None)


def _response(refusal: Refusal) -> Response:
    answer = refusal.speech.answer(refusal.problem)
    return Response(answer.body, answer.status, dict(answer.headers))


def _current() -> AccessTokenClaims:
    claims: AccessTokenClaims | None = request.environ.get(_CLAIMS) if has_request_context() else None
    if claims is None:
        raise RuntimeError("no access token was checked: is the view decorated with @guarded, below its route?")
    return claims


current_claims = cast("AccessTokenClaims", LocalProxy(_current))
"""The claims of the token that this request was let in with; RuntimeError where no guard was passed."""
