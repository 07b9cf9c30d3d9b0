"""The issuer's keys under a guard in another service: rotation, storms of unknown keys, an issuer that fails."""

import asyncio
import json
import logging
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from evertoken.errors import GuardNotReady, TokenError, UnknownKey
from evertoken.guards import Guard
from evertoken.guards.asgi import CLAIMS_KEY, GuardMiddleware
from evertoken.guards.remote import guard as guard_module
from evertoken.testing.listener import Answer, Hangup
from evertoken.tokens.signing_keys import Algorithm, SigningKey
from tests.edge.attacking import bearer, forged, get
from tests.edge.test_attack_tokens import FORBIDDEN, FORGERIES
from tests.guards.elsewhere import Heard, Issuer, Standing, guarding, passes, unknown_kid, until
from tests.guards.serving import serving
from tests.support.clock import MovingClock
from tests.support.server import LiveServer, live_server
from tests.tokens.forging import forge

COOL_DOWN = 30.0


@dataclass
class Before:
    """A guard before an issuer that the test scripts, with one key, and a clock that stands."""

    issuer: Issuer
    guard: Guard
    key: SigningKey
    seconds: Standing
    heard: Heard
    clock: MovingClock

    def token(self, key: SigningKey | None = None, **header: Any) -> str:
        now = self.clock() // 1000
        payload = {"iss": self.issuer.url, "aud": "api", "iat": now, "exp": now + 1800}
        return forge(key or self.key, header=header, payload=payload)

    def publish(self, *keys: SigningKey, **more: Any) -> None:
        answer = Answer.json(200, {"keys": [key.public_jwk() for key in keys], **more})
        self.issuer.keys = lambda _: answer

    def fetch_again(self) -> None:
        """Time has passed: the keys are due."""
        fetches = self.guard.status().key_fetches
        self.seconds.now += 4000
        self.guard._keys._wake()
        until(lambda: self.guard.status().key_fetches > fetches and self.guard._keys._flight is None)

    def passes(self, token: str) -> bool:
        try:
            self.guard.check(token)
        except TokenError:
            return False
        return True


@pytest.fixture
def before(clock: MovingClock) -> Iterator[Before]:
    seconds, heard, key = Standing(), Heard(), SigningKey.generate(Algorithm.ES256)
    with Issuer() as issuer:
        guard = Guard(issuer.url, "api", monotonic=seconds, on_event=heard, clock=clock)
        made = Before(issuer, guard, key, seconds, heard, clock)
        made.publish(key)
        with guard:
            yield made


def test_a_new_key_is_followed_and_the_old_one_lives_on(tmp_path: Path, clock: MovingClock) -> None:
    """The issuer rotates: tokens of the new key pass, those of the old one pass until they expire."""
    seconds = Standing()
    with (
        live_server(tmp_path, clock=clock, key_announce=timedelta(seconds=5)) as live,
        live.client() as http,
        guarding(live, follows=False, monotonic=seconds) as guard,
    ):
        live.add_user("ada")
        old = live.sign_in(http)["access_token"]
        assert passes(guard, live, old)
        live.run(live.server.services.keys.rotate(now_ms=clock()))
        clock.advance(6)
        new = live.sign_in(http)["access_token"]
        assert not passes(guard, live, new)  # fetched a moment ago: in the cool-down nobody waits
        seconds.now += COOL_DOWN
        assert passes(guard, live, new)
        assert passes(guard, live, old)
        assert guard.status().key_fetches == 2
        assert len(guard.status().key_ids) == 2


def test_keys_are_fetched_anew_when_the_issuer_says_so(before: Before) -> None:
    """Without a single token: an announced key is known long before it signs."""
    new = SigningKey.generate(Algorithm.ES256)
    before.publish(before.key, new)
    before.fetch_again()
    assert before.guard.status().key_ids == (before.key.kid, new.kid)
    assert before.heard.kinds == ["keys_changed"]
    assert before.passes(before.token(new))
    assert before.issuer.count("/keys") == 2


def test_a_thousand_forged_key_ids_bring_about_one_fetch(live: LiveServer) -> None:
    """A storm of tokens with made-up keys costs the issuer one request in each cool-down, and nobody passes."""
    seconds = Standing()
    with guarding(live, follows=False, monotonic=seconds) as guard:
        for storm in range(2):
            seconds.now += COOL_DOWN
            tokens = [unknown_kid(live, f"k-{storm}-{number}") for number in range(500)]
            with ThreadPoolExecutor(16) as pool:
                assert not any(pool.map(lambda token: passes(guard, live, token), tokens))
            assert guard.status().key_fetches == 2 + storm


def test_a_token_that_waits_for_a_key_passes_when_it_has_come(before: Before) -> None:
    """Threads whose tokens name a new key wait for one and the same fetch."""
    new = SigningKey.generate(Algorithm.ES256)
    before.publish(before.key, new)
    before.seconds.now += COOL_DOWN
    before.issuer.gate.clear()
    tokens = [before.token(new, n=number) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        checks = [pool.submit(before.guard.check, token) for token in tokens]
        until(lambda: before.issuer.count("/keys") == 2)
        before.issuer.gate.set()
        assert len({check.result(20).jti for check in checks}) == 1
    assert before.issuer.count("/keys") == 2


async def test_the_event_loop_goes_on_while_a_token_waits(before: Before) -> None:
    """The async way of it: other requests are served while some wait for a fetch."""
    new = SigningKey.generate(Algorithm.ES256)
    before.publish(before.key, new)
    before.seconds.now += COOL_DOWN
    before.issuer.gate.clear()
    waiting = [asyncio.create_task(before.guard.check_async(before.token(new, n=n))) for n in range(50)]
    await asyncio.to_thread(until, lambda: before.issuer.count("/keys") == 2)
    assert (await before.guard.check_async(before.token())).sub == "u-1"
    given_up = waiting.pop()
    given_up.cancel()  # one that gives up takes nothing from the others
    before.issuer.gate.set()
    async with asyncio.timeout(20):
        assert {claims.sub for claims in await asyncio.gather(*waiting)} == {"u-1"}
    assert before.issuer.count("/keys") == 2


async def test_a_wait_for_a_key_has_a_bound(before: Before, monkeypatch: pytest.MonkeyPatch) -> None:
    """An issuer that does not answer holds up a token for 2 s (here less), and then it is refused."""
    monkeypatch.setattr(guard_module, "PATIENCE_SECONDS", 0.05)
    before.seconds.now += COOL_DOWN
    before.issuer.gate.clear()
    stranger = before.token(SigningKey.generate(Algorithm.ES256))
    with pytest.raises(UnknownKey):
        await before.guard.check_async(stranger)
    with pytest.raises(UnknownKey):
        await asyncio.to_thread(before.guard.check, stranger)
    assert before.passes(before.token())


@pytest.mark.parametrize(
    "answer",
    [
        Hangup.CLOSE,
        Hangup.RESET,
        Answer(500),
        Answer(404),
        Answer(302, (("Location", "/other"),)),
        Answer(200, body=b"<html>captive portal</html>"),
        Answer.json(200, {"keys": []}),
        Answer.json(200, {"keys": [{"kty": "oct", "kid": "s", "alg": "HS256", "k": "A" * 43}]}),
        Answer(200, body=b" " * 9_000_000),
    ],
    ids=str,
)
def test_old_keys_stay_while_the_issuer_fails(
    before: Before, answer: Answer | Hangup, caplog: pytest.LogCaptureFixture
) -> None:
    """An issuer that is down, or answers nonsense, changes nothing; one line in the log, and one when it is back."""
    caplog.set_level(logging.INFO, "evertoken.guards")
    before.issuer.keys = lambda _: answer
    for _ in range(3):
        before.fetch_again()
        assert before.passes(before.token())
    assert before.guard.status().key_fetch_failures >= 3
    before.publish(before.key)
    before.fetch_again()
    assert before.heard.kinds == ["keys_unreachable", "keys_reached"]
    assert [record.levelname for record in caplog.records if "keys can" in record.message] == ["WARNING", "INFO"]
    assert before.issuer.count("/other") == 0


def test_a_key_that_was_taken_away_verifies_nothing_any_more(before: Before) -> None:
    """Remembered tokens included: they are verified anew, by the keys there are."""
    token = before.token()
    header = b"Bearer " + token.encode()
    assert before.passes(token)
    assert before.guard.recall(header, now_ms=before.clock()) is not None
    before.publish(SigningKey.generate(Algorithm.ES256))
    before.fetch_again()
    assert before.guard.recall(header, now_ms=before.clock()) is None
    assert not before.passes(token)


def test_keys_that_have_moved_are_found_again(before: Before) -> None:
    """The metadata names another place: after a failure at the old one it is asked anew."""
    new = SigningKey.generate(Algorithm.ES256)
    jwks = Answer.json(200, {"keys": [new.public_jwk()]})
    before.issuer.keys = lambda _: Answer(410)
    before.issuer.feed = lambda request: jwks if request.path == "/moved" else Answer(404)
    document = {"issuer": before.issuer.url, "jwks_uri": before.issuer.url + "/moved"}
    before.issuer.metadata = lambda _: Answer.json(200, document)
    before.fetch_again()
    before.fetch_again()
    assert before.passes(before.token(new))


def test_a_guard_without_keys_signs_nobody_out(clock: MovingClock) -> None:
    """Before the keys have ever been fetched the answer is 503, try again, and not 401."""
    with Issuer() as issuer:
        issuer.keys = lambda _: Answer(503)
        guard = Guard(issuer.url, "api", clock=clock)
        try:
            with pytest.raises(GuardNotReady) as error:
                guard.check("a.b.c")
            assert error.value.retry_after_seconds == 1
            with serving(GuardMiddleware(Starlette(), guard, clock=clock)) as base:
                answer = get(base, "/", bearer("a.b.c"))
            assert (answer.status, answer.code, answer.one("Retry-After")) == (503, "unavailable", "1")
        finally:
            guard.close()


def test_a_guard_that_nobody_started_starts_with_the_first_token(live: LiveServer, http: httpx2.Client) -> None:
    """Frameworks without a start-up hook need none: the first token waits for the keys, the others do not."""
    guard = Guard(live.url, live.url, clock=live.clock)
    try:
        assert guard.check(live.sign_in(http)["access_token"]).sub == "u_ada"
    finally:
        guard.close()


@pytest.fixture(scope="module")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[LiveServer, str]]:
    """A server, and the address of an application in another service behind a guard of its own."""

    async def private(request: Request) -> JSONResponse:
        return JSONResponse({"sub": request.scope[CLAIMS_KEY].sub})

    with live_server(tmp_path_factory.mktemp("attacked"), clock=MovingClock()) as live:
        live.add_user("ada")
        with guarding(live) as guard:
            app = GuardMiddleware(Starlette(routes=[Route("/private", private)]), guard, clock=live.clock)
            with serving(app) as base:
                yield live, base


@pytest.mark.parametrize("attack", FORGERIES)
def test_a_forged_token_is_refused_in_another_service_too(attacked: tuple[LiveServer, str], attack: str) -> None:
    """The list of attacks on access tokens, at a guard that has the keys from the network: 401, and no more is said."""
    live, base = attacked
    for token in FORGERIES[attack](live):
        answer = get(base, "/private", bearer(token))
        assert (answer.status, answer.code, answer.one("WWW-Authenticate")) == (401, "token_invalid", FORBIDDEN)


def test_a_genuine_token_passes_in_another_service(attacked: tuple[LiveServer, str]) -> None:
    """The counter-proof."""
    live, base = attacked
    assert get(base, "/private", bearer(forged(live))).json() == {"sub": "u_ada"}


def test_a_token_that_names_a_place_for_keys_makes_nobody_connect(before: Before) -> None:
    """jku and x5u lead nowhere: nothing connects to the attacker's port, nor once more to the issuer."""
    attacker = SigningKey.generate(Algorithm.ES256)
    before.seconds.now += COOL_DOWN
    with socket.socket() as theirs:
        theirs.bind(("127.0.0.1", 0))
        theirs.listen()
        theirs.setblocking(False)
        url = f"http://127.0.0.1:{theirs.getsockname()[1]}/keys"
        for header in ({"jku": url}, {"x5u": url}, {"jku": url, "kid": before.key.kid}):
            with pytest.raises(TokenError):
                before.guard.check(before.token(attacker, **header))
        with pytest.raises(BlockingIOError):
            theirs.accept()
    assert before.issuer.count("/keys") == 1


def test_the_guard_asks_for_json_and_sends_no_secret_for_keys(before: Before) -> None:
    """Keys are public: the request for them carries no credential."""
    seen: list[Any] = []
    public = json.dumps({"keys": [before.key.public_jwk()]}).encode()

    def keys(request: Any) -> Answer:
        seen.append(request)
        return Answer(200, body=public)

    before.issuer.keys = keys
    before.fetch_again()
    assert seen[0].header("authorization") is None
    assert seen[0].header("accept") == "application/json"
