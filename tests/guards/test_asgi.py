"""The guard in front of an application, over HTTP: what it lets pass, what it says, what it remembers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.types import Message

from evertoken.guards.access_check import AccessCheck
from evertoken.guards.asgi import CLAIMS_KEY, GuardMiddleware
from evertoken.guards.revoked import RevokedSessions
from evertoken.tokens.access_token import AccessTokenRules
from evertoken.tokens.keyring import KeyRecord, KeyRing
from evertoken.tokens.signing_keys import Algorithm, SigningKey
from tests.edge.attacking import Answer, bearer, get, request, send
from tests.guards.serving import serving
from tests.support.clock import MovingClock
from tests.support.server import client_at
from tests.tokens.forging import CLAIMS, forge

ISSUER = "https://auth.example"
AUDIENCE = "https://api.example"
KEY = SigningKey.generate(Algorithm.HS256)
"""HS256: the cheapest; which algorithm a key has makes no difference to the guard around it."""


class Keys:
    """Keys that a test may change, and that count how often they are asked for."""

    def __init__(self) -> None:
        self.ring = KeyRing([KeyRecord(KEY, 0)])
        self.asked = 0

    def find(self, kid: str, *, now_ms: int) -> SigningKey | None:
        self.asked += 1
        return self.ring.find(kid, now_ms=now_ms)


@dataclass
class Guarded:
    """A guard with everything around it that a test may move."""

    guard: AccessCheck
    keys: Keys
    revoked: RevokedSessions
    clock: MovingClock

    def token(self, **claims: Any) -> str:
        now = self.clock() // 1000
        honest = {"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 1800}
        return forge(KEY, payload=honest | claims)

    def check(self, token: str) -> str:
        return self.guard.check(token, now_ms=self.clock()).jti

    def app(self, **options: Any) -> GuardMiddleware:
        async def whoami(request: Request) -> JSONResponse:
            claims = request.scope.get(CLAIMS_KEY)
            return JSONResponse({"sub": claims and claims.sub, "path": request.url.path})

        inner = Starlette(routes=[Route("/{path:path}", whoami)])
        return GuardMiddleware(inner, self.guard, clock=self.clock, **options)


def _guarded(clock: MovingClock, **options: Any) -> Guarded:
    keys, revoked = Keys(), RevokedSessions(access_lifetime_ms=1_800_000)
    return Guarded(AccessCheck(keys, AccessTokenRules(ISSUER, AUDIENCE), revoked, **options), keys, revoked, clock)


@pytest.fixture
def guarded(clock: MovingClock) -> Guarded:
    return _guarded(clock)


@pytest.fixture
def url(guarded: Guarded) -> Iterator[str]:
    """The guarded application with two public places."""
    with serving(guarded.app(public=("/healthz", "/public/"))) as base:
        yield base


def refused(answer: Answer, status: int, code: str, challenge: str) -> None:
    assert (answer.status, answer.code) == (status, code), answer
    assert answer.one("WWW-Authenticate") == challenge
    assert answer.one("Cache-Control") == "no-store"
    assert answer.one("Content-Type") == "application/problem+json"


def test_a_good_token_reaches_the_application_with_its_claims(guarded: Guarded, url: str) -> None:
    """The application finds the claims in its scope; without a token, or with a bad one, it is never called."""
    assert get(url, "/a", bearer(guarded.token())).json() == {"sub": "u-1", "path": "/a"}
    refused(get(url, "/a"), 401, "token_invalid", 'Bearer realm="evertoken"')
    invalid = 'Bearer realm="evertoken", error="invalid_token"'
    refused(get(url, "/a", bearer("x")), 401, "token_invalid", invalid)
    guarded.clock.advance(-1800)
    token = guarded.token()
    guarded.clock.advance(1800)
    expired = invalid + ', error_description="The access token expired"'
    refused(get(url, "/a", bearer(token)), 401, "token_expired", expired)


def test_public_places_are_exactly_those_that_are_named(url: str) -> None:
    """A path is public as a whole, or with everything below it where it ends in a slash, and in no other spelling."""
    for path in (
        "/healthz",
        "/public/",
        "/public/a/b",
        "/healthz?x=1",
        "/%68ealthz",
        "/public/.hidden",
        "/public/a..b",
    ):
        assert get(url, path).status == 200, path
    for path in (
        "/",
        "/healthz/",
        "/healthz/x",
        "/public",
        "/publicity",
        "/Healthz",
        "//healthz",
        "/x/healthz",
        "/a?/healthz",
    ):
        assert get(url, path).status == 401, path


CLIMBING = ("/public/../a", "/public/%2e%2e/a", "/public/./../a", "/public/..", "/public/%2E./a", "/public//../a")


def test_nobody_climbs_out_of_a_public_place(url: str) -> None:
    """A path that climbs is not public, wherever it begins: the application behind may resolve it."""
    for path in CLIMBING:
        assert get(url, path).status == 401, path


def test_public_places_need_no_token_and_are_not_shut_by_a_bad_one(guarded: Guarded, url: str) -> None:
    """What is public is public: a bad token along with it does no harm, and a good one gives no claims."""
    for token in ("x", guarded.token()):
        assert get(url, "/public/a", bearer(token)).json() == {"sub": None, "path": "/public/a"}


def test_every_method_is_guarded(guarded: Guarded, url: str) -> None:
    """HEAD, OPTIONS and methods nobody knows are no way in."""
    for method in ("HEAD", "OPTIONS", "POST", "PUT", "DELETE", "PATCH", "TRACE", "PROPFIND"):
        assert send(url, request(method, "/a")).status == 401


@pytest.mark.parametrize(
    ("options", "claims", "status"),
    [
        ({"scopes": ("read",)}, {"scope": "read write"}, 200),
        ({"scopes": ("read", "write")}, {"scope": "read"}, 403),
        ({"scopes": ("read",)}, {"scope": "reader READ"}, 403),
        ({"scopes": ("read",)}, {"scope": ""}, 403),
        ({"roles": ("admin", "editor")}, {"roles": ["editor"]}, 200),
        ({"roles": ("admin",)}, {"roles": ["editor"]}, 403),
        ({"roles": ("admin",)}, {"roles": []}, 403),
        ({"roles": ("admin",), "scopes": ("read",)}, {"roles": ["admin"], "scope": "write"}, 403),
    ],
)
def test_a_token_without_the_rights_is_told_which_scopes_are_missing(
    guarded: Guarded, options: dict[str, Any], claims: dict[str, Any], status: int
) -> None:
    """All scopes and one of the roles, or 403 with the challenge of RFC 6750; roles are not told."""
    with serving(guarded.app(**options)) as base:
        answer = get(base, "/a", bearer(guarded.token(**claims)))
    assert answer.status == status
    if status == 403:
        scope = f', scope="{" ".join(options["scopes"])}"' if "scopes" in options else ""
        refused(answer, 403, "insufficient_rights", f'Bearer realm="evertoken", error="insufficient_scope"{scope}')
        assert b"admin" not in answer.body


def test_a_verified_token_is_remembered_until_it_expires_and_no_longer(guarded: Guarded) -> None:
    """The second check of a token verifies no signature; at `exp` to the second it is over all the same."""
    token = guarded.token()
    for _ in range(5):
        guarded.check(token)
    assert guarded.keys.asked == 1
    guarded.clock.advance(1799.999)
    guarded.check(token)
    guarded.clock.advance(0.001)
    with pytest.raises(Exception, match="exp has passed"):
        guarded.check(token)


def test_what_is_remembered_is_bounded(clock: MovingClock) -> None:
    """Ten thousand tokens take the memory of as many as the guard may remember; the oldest goes first."""
    guarded = _guarded(clock, remember=50)
    tokens = [guarded.token(jti=f"t{n}") for n in range(500)]
    for token in tokens:
        guarded.check(token)
    assert len(guarded.guard._seen) == 50
    asked = guarded.keys.asked
    guarded.check(tokens[-1])
    assert guarded.keys.asked == asked
    guarded.check(tokens[0])
    assert guarded.keys.asked == asked + 1


def test_refused_tokens_are_not_remembered(guarded: Guarded) -> None:
    """A flood of forgeries fills no memory."""
    strangers = SigningKey.generate(Algorithm.HS256)
    for n in range(200):
        with pytest.raises(Exception, match="did not sign"):
            guarded.check(forge(strangers, header={"kid": KEY.kid}, payload={"jti": f"t{n}"}))
    assert len(guarded.guard._seen) == 0


def test_an_ended_session_is_refused_at_once_remembered_or_not(guarded: Guarded, url: str) -> None:
    """The very next request after a session has ended is refused, for every token of that session and no other."""
    first, second, other = guarded.token(), guarded.token(jti="t2"), guarded.token(sid="session-2")
    assert get(url, "/a", bearer(first)).status == 200
    guarded.revoked.add(CLAIMS.sid, revoked_at_ms=guarded.clock())
    assert [get(url, "/a", bearer(token)).status for token in (first, second, other)] == [401, 401, 200]


def test_the_list_of_ended_sessions_does_not_grow_for_ever(clock: MovingClock) -> None:
    """An ended session is forgotten once its last token has expired, and not before."""
    revoked = RevokedSessions(access_lifetime_ms=1_800_000)
    for n in range(20_000):
        revoked.add(f"s{n}", revoked_at_ms=clock())
        clock.advance(10)
    assert len(revoked) < 2048
    assert "s19999" in revoked and "s19820" in revoked and "s0" not in revoked


def test_a_guard_that_forgets_asks_its_keys_again(guarded: Guarded) -> None:
    """When the keys have changed, what was remembered counts no more: a key that was taken away signs nothing."""
    token = guarded.token()
    guarded.check(token)
    guarded.keys.ring = KeyRing([])
    guarded.check(token)
    guarded.guard.forget()
    with pytest.raises(Exception, match="no key"):
        guarded.check(token)


async def _websocket(app: GuardMiddleware, *headers: tuple[bytes, bytes]) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "websocket", "path": "/a", "headers": list(headers), "query_string": b"access_token=x"}
    await app(scope, receive, send)
    return sent


async def test_a_websocket_without_a_good_token_is_closed_before_it_opens(guarded: Guarded) -> None:
    """Code 1008 before the handshake is accepted: servers answer it with 403, and the application never hears of it."""
    app = guarded.app()
    for headers in ((), ((b"authorization", b"Bearer x"),)):
        (closed,) = await _websocket(app, *headers)
        assert (closed["type"], closed["code"]) == ("websocket.close", 1008)


async def test_a_websocket_with_a_good_token_reaches_the_application(guarded: Guarded) -> None:
    """And its claims with it."""
    seen: list[Any] = []

    async def inner(scope: Any, _receive: Any, _send: Any) -> None:
        seen.append(scope[CLAIMS_KEY].sub)

    app = GuardMiddleware(inner, guarded.guard, clock=guarded.clock)

    async def nothing(*_: Any) -> Any:
        raise AssertionError

    headers = [(b"authorization", f"Bearer {guarded.token()}".encode())]
    await app({"type": "websocket", "path": "/a", "headers": headers}, nothing, nothing)
    await app({"type": "lifespan", CLAIMS_KEY: CLAIMS}, nothing, nothing)
    assert seen == ["u-1", CLAIMS.sub]


def test_the_guard_works_behind_a_client_library(guarded: Guarded, url: str) -> None:
    """The everyday case: a client, a header, an answer."""
    with client_at(url, headers={"Authorization": f"Bearer {guarded.token()}"}) as client:
        assert [client.get("/a").status_code for _ in range(3)] == [200, 200, 200]
