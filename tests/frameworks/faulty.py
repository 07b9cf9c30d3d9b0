"""Guards with one fault each, such as hand-made ones have: the suite must notice every one of them."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any, Final

from evertoken.errors import TokenError
from evertoken.guards import AccessTokenClaims, ChecksAccess
from evertoken.tokens import base64url, strict_json
from tests.frameworks.asgi_benches import MiddlewareBench
from tests.frameworks.asgi_serving import serving_asgi
from tests.frameworks.compliance.bench import HANDLED, Stage


class _Guard:
    """The real guard; a fault overrides a method."""

    def __init__(self, real: ChecksAccess) -> None:
        self.real = real

    def check(self, encoded: str, *, now_ms: int) -> AccessTokenClaims:
        return self.real.check(encoded, now_ms=now_ms)

    async def check_async(self, encoded: str, *, now_ms: int) -> AccessTokenClaims:
        return self.check(encoded, now_ms=now_ms)

    def recall(self, authorization: bytes, *, now_ms: int) -> AccessTokenClaims | None:
        return self.real.recall(authorization, now_ms=now_ms)


class BelievesAnything(_Guard):
    def check(self, encoded: str, *, now_ms: int) -> AccessTokenClaims:
        try:
            return self.real.check(encoded, now_ms=now_ms)
        except TokenError:
            return AccessTokenClaims.from_payload(strict_json.parse_object(base64url.decode(encoded.split(".")[1])))


class NeverForgets(_Guard):
    def __init__(self, real: ChecksAccess) -> None:
        super().__init__(real)
        self._seen: dict[bytes, AccessTokenClaims] = {}

    def check(self, encoded: str, *, now_ms: int) -> AccessTokenClaims:
        claims = self._seen[b"Bearer " + encoded.encode()] = self.real.check(encoded, now_ms=now_ms)
        return claims

    def recall(self, authorization: bytes, *, now_ms: int) -> AccessTokenClaims | None:
        return self._seen.get(authorization)


class HandsOverTheLast(NeverForgets):
    def recall(self, authorization: bytes, *, now_ms: int) -> AccessTokenClaims | None:
        return list(self._seen.values())[-1] if authorization in self._seen else None


class FallsOver(_Guard):
    def check(self, encoded: str, *, now_ms: int) -> AccessTokenClaims:
        header, payload, signature = encoded.split(".")  # ValueError for what is not a JWT
        assert header and payload and signature is not None
        return self.real.check(encoded, now_ms=now_ms)


Around = Callable[[Any], Any]


def _answering(change: Callable[[dict[str, Any]], None]) -> Around:
    """Change the head of every answer."""

    def around(app: Any) -> Any:
        async def changed(scope: Any, receive: Any, send: Any) -> None:
            async def sending(message: dict[str, Any]) -> None:
                if message["type"] == "http.response.start":
                    message["headers"] = list(message["headers"])
                    change(message)
                await send(message)

            await app(scope, receive, sending)

        return changed

    return around


def _asked(change: Callable[[dict[str, Any]], None]) -> Around:
    """Change every request."""

    def around(app: Any) -> Any:
        async def changed(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                scope = {**scope, "headers": list(scope["headers"])}
                change(scope)
            await app(scope, receive, send)

        return changed

    return around


def _without(name: bytes) -> Callable[[dict[str, Any]], None]:
    def change(message: dict[str, Any]) -> None:
        message["headers"] = [header for header in message["headers"] if header[0] != name]

    return change


def _status(old: int, new: int) -> Callable[[dict[str, Any]], None]:
    def change(message: dict[str, Any]) -> None:
        message["status"] = new if message["status"] == old else message["status"]

    return change


def _path(old: str, new: str) -> Callable[[dict[str, Any]], None]:
    def change(scope: dict[str, Any]) -> None:
        scope["path"] = new if scope["path"] == old else scope["path"]

    return change


def _first_header_only(scope: dict[str, Any]) -> None:
    first = next((header for header in scope["headers"] if header[0] == b"authorization"), None)
    _without(b"authorization")(scope)
    if first:
        scope["headers"].append(first)


def _from_query(scope: dict[str, Any]) -> None:
    _, found, token = scope["query_string"].partition(b"access_token=")
    if found:
        scope["headers"].append((b"authorization", b"Bearer " + token))
        scope["query_string"] = b""


def _from_cookie(scope: dict[str, Any]) -> None:
    for name, value in list(scope["headers"]):
        if name == b"cookie":
            scope["headers"].append((b"authorization", b"Bearer " + value.partition(b"=")[2].partition(b";")[0]))


def _any_scheme(scope: dict[str, Any]) -> None:
    scope["headers"] = [
        (name, b"Bearer " + value.rpartition(b" ")[2]) if name == b"authorization" else (name, value)
        for name, value in scope["headers"]
    ]


def _guards_get_only(scope: dict[str, Any]) -> None:
    if scope["method"] == "POST":
        scope["path"] = "/open"
        scope["method"] = "GET"


GUARDS: Final[dict[str, tuple[type[_Guard], str]]] = {
    "believes anything": (BelievesAnything, "test_a_forged_token_is_refused"),
    "does not hear of ended sessions": (NeverForgets, "test_a_signed_out_session_is_refused_and_no_other"),
    "mixes people up": (HandsOverTheLast, "test_requests_at_the_same_time_get_their_own_claims"),
    "falls over odd tokens": (FallsOver, "test_no_header_whatever_it_holds_is_a_fault_of_ours"),
}

EDGES: Final[dict[str, tuple[Around, str]]] = {
    "has no challenge": (
        _answering(_without(b"www-authenticate")),
        "test_without_a_token_the_answer_is_a_bare_challenge",
    ),
    "lets caches keep it": (
        _answering(_without(b"cache-control")),
        "test_without_a_token_the_answer_is_a_bare_challenge",
    ),
    "is overruled by handlers": (_answering(_status(401, HANDLED)), "test_every_method_is_guarded"),
    "says 401 for a missing right": (_answering(_status(403, 401)), "test_without_the_role_the_answer_is_403"),
    "signs people out for a fault": (
        _answering(_status(503, 401)),
        "test_a_guard_that_cannot_judge_answers_503_and_when_to_try_again",
    ),
    "hides from pages elsewhere": (
        _answering(_without(b"access-control-allow-origin")),
        "test_a_page_elsewhere_can_read_why_it_was_refused",
    ),
    "asks preflights for a token": (_asked(_without(b"origin")), "test_a_preflight_needs_no_token"),
    "forgets the roles": (_asked(_path("/admin", "/guarded")), "test_without_the_role_the_answer_is_403"),
    "forgets the scopes": (_asked(_path("/scoped", "/guarded")), "test_without_all_scopes_the_challenge_names_them"),
    "takes the first header": (_asked(_first_header_only), "test_two_headers_are_a_bad_request"),
    "takes a token from the URL": (_asked(_from_query), "test_a_token_in_the_url_is_not_looked_at"),
    "takes a token from a cookie": (
        _asked(_from_cookie),
        "test_a_token_in_a_cookie_or_another_header_is_not_looked_at",
    ),
    "takes any scheme": (_asked(_any_scheme), "test_a_good_token_under_another_scheme_brings_nothing"),
    "guards GET only": (_asked(_guards_get_only), "test_every_method_is_guarded"),
}


class FaultyBench(MiddlewareBench):
    """
    An application that is good but for one fault.

    Args:
        guard: Wraps the guard, if the fault is there.
        around: Wraps the application, if it is there.
    """

    def __init__(self, *, guard: type[_Guard] | None = None, around: Around | None = None) -> None:
        self._guard = guard
        self._around = around

    @contextlib.contextmanager
    def serving(self, stage: Stage) -> Iterator[str]:
        if self._guard is not None:
            stage.guard = self._guard(stage.guard)
        app = self.application(stage)
        with serving_asgi(app if self._around is None else self._around(app)) as url:
            yield url
