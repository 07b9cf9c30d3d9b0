"""Starting a guard in another service: what is wrong is said at once, with the name of the setting."""

import logging
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest

from evertoken.errors import ClaimMismatch, ConfigurationError
from evertoken.guards import Guard
from evertoken.secret import Secret
from evertoken.testing.listener import Answer
from evertoken.tokens.signing_keys import Algorithm, SigningKey
from tests.guards.elsewhere import Issuer, guarding, passes, sign_out
from tests.oauth.speaking import API, add_client
from tests.support.clock import MovingClock
from tests.support.server import LiveServer, free_port, live_server

NOBODY: dict[str, Any] = {"client_id": "c", "client_secret": "s"}


def fails(setting: str, *words: str, wait_seconds: float = 10.0, **settings: Any) -> str:
    """Assert that a guard with these settings does not start, and that the message says why."""
    with pytest.raises(ConfigurationError) as error:
        _start(wait_seconds, {"issuer": "https://auth.example", "audience": "api"} | settings)
    assert error.value.setting == setting
    for word in words:
        assert word in str(error.value), str(error.value)
    return str(error.value)


def _start(wait_seconds: float, settings: dict[str, Any]) -> None:
    guard = Guard(**settings)
    try:
        guard.start(wait_seconds=wait_seconds)
    finally:
        assert guard._thread._thread is None or not guard._thread._thread.is_alive()


def test_without_a_credential_it_verifies_and_says_what_it_cannot_do(
    live: LiveServer, http: httpx2.Client, caplog: pytest.LogCaptureFixture
) -> None:
    """One warning at the start: ended sessions are not heard of. Tokens are verified all the same."""
    caplog.set_level(logging.INFO, "evertoken.guards")
    tokens = live.sign_in(http)
    with guarding(live, follows=False) as guard:
        assert guard.check(tokens["access_token"]).roles == ()
        sign_out(http, tokens)
        assert passes(guard, live, tokens["access_token"])
        assert (guard.status().feed, guard.status().feed_silent_seconds) == ("off", None)
    (told,) = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert "no client credential" in told.message and live.url in told.message


def test_with_a_credential_it_says_nothing(live: LiveServer, caplog: pytest.LogCaptureFixture) -> None:
    """The counter-proof: a guard that is set up well starts silently."""
    caplog.set_level(logging.INFO, "evertoken.guards")
    with guarding(live):
        pass
    # A server of another test in this process may have its own loggers on.
    assert [record for record in caplog.records if record.name.startswith("evertoken.")] == []


def test_the_issuer_must_be_who_it_says_it_is(live: LiveServer) -> None:
    """Another spelling of the same server is another issuer: the message shows both."""
    for other in (live.url + "/", live.url.replace("localhost", "127.0.0.1")):
        fails("issuer", repr(other), repr(live.url), issuer=other)


def test_an_issuer_with_a_path_too_many_is_named_and_not_the_feed_that_follows_from_it(live: LiveServer) -> None:
    """With a wrong issuer both of its documents are missing, and it is the issuer that is to be mended."""
    wrong = {"issuer": f"{live.url}/nowhere", "audience": live.url}
    fails("issuer", wait_seconds=1.0, **wrong, client_id=API, client_secret=add_client(live, API))


def test_an_issuer_that_cannot_be_reached_is_named() -> None:
    """Nobody listens there: the message holds the address that was tried."""
    url = f"http://127.0.0.1:{free_port()}"
    fails("issuer", url, "cannot be fetched", issuer=url, wait_seconds=0.5)


def test_a_server_that_is_no_issuer_is_named() -> None:
    """Neither metadata nor keys there: the message says what was answered."""
    with Issuer() as issuer:
        issuer.metadata = lambda _: Answer(404)
        fails("issuer", "404", "openid-configuration", issuer=issuer.url, wait_seconds=1.0)
        issuer.metadata = lambda _: Answer(200, body=b"<html>")
        fails("issuer", "not JSON", issuer=issuer.url, wait_seconds=1.0)
        fails("issuer", "/elsewhere", "404", issuer=issuer.url, jwks_url=issuer.url + "/elsewhere", wait_seconds=1.0)


def test_an_issuer_with_secret_keys_is_named(tmp_path: Path, clock: MovingClock) -> None:
    """HS256 is for a guard beside the server: no key is published, and the message says so."""
    with live_server(tmp_path, clock=clock, algorithm=Algorithm.HS256) as live:
        fails("issuer", "HS256", issuer=live.url, wait_seconds=1.0)


def test_a_wrong_client_is_named(live: LiveServer) -> None:
    """The issuer refuses it: the message says how to make one, and holds no secret."""
    add_client(live, API)
    wrong: dict[str, Any] = {"client_id": API, "client_secret": "wrong-secret"}
    for credential in (NOBODY, wrong):
        message = fails(
            "client_id, client_secret", "evertoken clients add", issuer=live.url, audience=live.url, **credential
        )
        assert "wrong-secret" not in message


def test_an_issuer_without_a_feed_is_named() -> None:
    """A credential for a server that has no feed is a mistake, not an outage."""
    key = SigningKey.generate(Algorithm.ES256).public_jwk()
    with Issuer() as issuer:
        issuer.keys = lambda _: Answer.json(200, {"keys": [key]})
        fails("revocations_url", "404", "client_id", issuer=issuer.url, **NOBODY)


def test_a_feed_that_cannot_be_reached_is_named(live: LiveServer) -> None:
    """The keys are there, the feed is not: the message holds its address."""
    url = f"http://127.0.0.1:{free_port()}/auth/revocations"
    fails("revocations_url", url, issuer=live.url, revocations_url=url, wait_seconds=1.0, **NOBODY)


@pytest.mark.parametrize(
    ("setting", "settings"),
    [
        ("issuer", {"issuer": ""}),
        ("issuer", {"issuer": None}),
        ("issuer", {"issuer": "auth.example"}),
        ("issuer", {"issuer": "http://auth.example"}),
        ("issuer", {"issuer": "https://auth.example?x=1"}),
        ("audience", {"audience": ""}),
        ("audience", {"audience": None}),
        ("audience", {"audience": ["api"]}),
        ("audience", {"audience": b"api"}),
        ("jwks_url", {"jwks_url": "keys"}),
        ("revocations_url", {"revocations_url": "feed", **NOBODY}),
        ("leeway_seconds", {"leeway_seconds": 61}),
        ("client_id", {"client_id": 7, "client_secret": "x"}),
        ("client_id, client_secret", {"client_id": "c"}),
        ("client_id, client_secret", {"client_secret": "s"}),
        ("client_id, client_secret", {"client_id": "c", "client_secret": ""}),
        ("client_id, client_secret", {"client_id": "", "client_secret": "s"}),
        ("when_feed_is_lost", {"when_feed_is_lost": timedelta(seconds=60)}),
        ("when_feed_is_lost", {"when_feed_is_lost": timedelta(seconds=4), **NOBODY}),
        ("when_feed_is_lost", {"when_feed_is_lost": "close", **NOBODY}),
        ("when_feed_is_lost", {"when_feed_is_lost": 60, **NOBODY}),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(setting: str, settings: dict[str, Any]) -> None:
    """Before anything is asked of anybody."""
    fails(setting, **settings)


def test_another_services_token_is_refused(live: LiveServer, http: httpx2.Client) -> None:
    """The audience is this service's own name: a token for another service does not pass here."""
    guard = Guard(live.url, "https://orders.example", clock=live.clock).start()
    try:
        with pytest.raises(ClaimMismatch) as error:
            guard.check(live.sign_in(http)["access_token"])
        assert error.value.claim == "aud"
    finally:
        guard.close()


def test_a_secret_may_be_hidden_already(live: LiveServer) -> None:
    """A `Secret` is taken as it is, and shows itself nowhere."""
    secret = add_client(live, API)
    with Guard(live.url, live.url, client_id=API, client_secret=Secret(secret), clock=live.clock) as guard:
        assert guard.status().feed == "followed"
        assert secret not in repr(guard)


def test_a_guard_beside_the_server_needs_no_http_client(tmp_path: Path) -> None:
    """Without httpx2 everything can be imported; only a guard elsewhere does not start, and says what to install."""
    program = (
        "import sys; sys.modules['httpx2'] = None\n"
        "import evertoken.guards.asgi, evertoken.assembly\n"
        "from evertoken.guards import Guard\n"
        "try: Guard('https://a.example', 'api').start()\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("ConfigurationError guard: needs an HTTP client: pip install 'evertoken[guard]'")
