"""A Node.js service of a few lines obeys evertoken: signatures, claims, rotation of keys, ended sessions."""

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from evertoken.tokens.signing_keys import Algorithm, SigningKey
from tests.edge.attacking import bearer, forged, get, request, send
from tests.guards.elsewhere import sign_out
from tests.node_service.serving import NodeService, node_service, present_clock
from tests.support.process import lasting_port
from tests.support.server import LiveServer, live_server


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One issuer for the file, at the machine's own time."""
    with live_server(tmp_path_factory.mktemp("issuer"), clock=present_clock()) as running:
        running.add_user("ada")
        yield running


@pytest.fixture(scope="module")
def http(live: LiveServer) -> Iterator[httpx2.Client]:
    with live.client() as client:
        yield client


@pytest.fixture(scope="module")
def service(live: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeService]:
    """One service for the file."""
    with node_service(live, tmp_path_factory.mktemp("service")) as running:
        yield running


def test_a_good_token_passes(live: LiveServer, http: httpx2.Client, service: NodeService) -> None:
    """The service knows the issuer's address and a client credential, and whose token it is."""
    answer = service.ask(live.sign_in(http)["access_token"])
    assert (answer.status, answer.json()) == (200, {"orders of": "u_ada"})


def test_without_a_token_the_challenge_names_no_error(service: NodeService) -> None:
    """RFC 6750 §3: who has brought nothing is told how to ask, not that something was wrong."""
    answer = service.ask()
    assert (answer.status, answer.code) == (401, "token_invalid")
    assert answer.one("WWW-Authenticate") == 'Bearer realm="orders"'


FORGERIES: dict[str, Callable[[LiveServer], str]] = {
    "another audience": lambda live: forged(live, payload={"aud": "https://elsewhere.example"}),
    "another issuer": lambda live: forged(live, payload={"iss": live.url + "/"}),
    "another's key": lambda live: forged(live, key=SigningKey.generate(Algorithm.ES256)),
    "no signature": lambda live: forged(live, header={"alg": "none"}).rpartition(".")[0] + ".",
    "another kind of token": lambda live: forged(live, header={"typ": "JWT"}),
    "without a session": lambda live: forged(live, payload={"sid": None}),
    "a number for a user": lambda live: forged(live, payload={"sid": "s", "sub": 7}),
    "bound to a key": lambda live: forged(live, payload={"sid": "s", "cnf": {"jkt": "x"}}),
    "critical extension": lambda live: forged(live, header={"crit": ["x"], "x": 1}),
    "nonsense": lambda _: "nonsense",
    "five parts": lambda _: "a.b.c.d.e",
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_the_issuer_would_refuse_is_refused(live: LiveServer, service: NodeService, forgery: str) -> None:
    """A wrong audience, issuer, key, algorithm or kind: 401, and nothing that tells the cause."""
    answer = service.ask(FORGERIES[forgery](live))
    assert (answer.status, answer.code) == (401, "token_invalid")
    assert answer.one("WWW-Authenticate") == 'Bearer realm="orders", error="invalid_token"'


def test_a_refresh_token_is_no_access_token(live: LiveServer, http: httpx2.Client, service: NodeService) -> None:
    """Nor are two headers, or another scheme."""
    tokens = live.sign_in(http)
    assert service.ask(tokens["refresh_token"]).status == 401
    good = bearer(tokens["access_token"])
    assert get(service.url, "/orders", good, good).status == 401
    assert send(service.url, request("GET", "/orders", ("Authorization", "Basic YTpi"))).status == 401
    assert get(service.url, "/orders", ("Authorization", good[1].replace("Bearer", "bearer"))).status == 200


def test_a_sign_out_is_heard_of(
    live: LiveServer, http: httpx2.Client, service: NodeService, tell: Callable[[str], None]
) -> None:
    """The token of a session that has ended is refused although it has not expired; others pass."""
    tokens, other = live.sign_in(http), live.sign_in(http)
    assert service.ask(tokens["access_token"]).status == 200
    sign_out(http, tokens)
    began = time.perf_counter()
    service.refuses(tokens["access_token"])
    tell(f"refused {(time.perf_counter() - began) * 1000:.0f} ms after the sign-out's answer")
    assert service.ask(tokens["access_token"]).code == "token_invalid"
    assert service.ask(other["access_token"]).status == 200


def test_an_expired_token_says_so(live: LiveServer, http: httpx2.Client, service: NodeService) -> None:
    """401 with the code by which clients refresh; and a revocation is forgotten once no token of it lives."""
    token = live.sign_in(http)["access_token"]
    service.advance(1795)
    assert service.ask(token).status == 200
    service.advance(10)
    assert (service.ask(token).status, service.ask(token).code) == (401, "token_expired")
    assert service.ask(live.sign_in(http)["access_token"]).status == 200


def test_a_new_key_is_followed(live: LiveServer, http: httpx2.Client, service: NodeService) -> None:
    """Tokens of both keys pass while a key is rotated, without a restart of the service."""
    before = live.sign_in(http)
    assert service.ask(before["access_token"]).status == 200
    live.run(live.server.services.keys.rotate(now_ms=live.clock()))
    service.advance(601)  # announced for 10 minutes, then it signs
    after = live.sign_in(http)
    assert _kid(after) != _kid(before)
    assert service.ask(after["access_token"]).status == 200
    assert service.ask(before["access_token"]).status == 200


def _kid(tokens: dict[str, Any]) -> str:
    return str(tokens["access_token"].partition(".")[0])


def test_a_restart_of_the_issuer_leaves_no_gap(tmp_path: Path) -> None:
    """The feed is cut and comes back: what ended meanwhile is refused, and known tokens have passed all the while."""
    clock, port = present_clock(), lasting_port()
    with contextlib.ExitStack() as service_stack:
        with live_server(tmp_path, clock=clock, port=port) as live, live.client() as http:
            live.add_user("ada")
            service = service_stack.enter_context(node_service(live, tmp_path))
            tokens, other = live.sign_in(http), live.sign_in(http)
            assert service.ask(tokens["access_token"]).status == 200
        assert service.ask(tokens["access_token"]).status == 200
        with live_server(tmp_path, clock=clock, port=port) as live, live.client() as http:
            sign_out(http, tokens)
            service.refuses(tokens["access_token"])
            assert service.ask(other["access_token"]).status == 200
    assert "revocation feed:" in service.log
    assert "Bearer" not in service.log and tokens["access_token"] not in service.log


def test_without_keys_it_says_try_again_and_signs_nobody_out(tmp_path: Path) -> None:
    """503 while the issuer's keys have never been fetched: a client keeps its session."""
    clock, port = present_clock(), lasting_port()
    with contextlib.ExitStack() as service_stack:
        with live_server(tmp_path, clock=clock, port=port) as live, live.client() as http:
            live.add_user("ada")
            service = service_stack.enter_context(node_service(live, tmp_path))
            token = live.sign_in(http)["access_token"]
        answer = service.ask(token)
        assert (answer.status, answer.code) == (503, "unavailable")
        assert answer.one("Retry-After") == "2"
        with live_server(tmp_path, clock=clock, port=port):
            service.passes(token)


def test_where_it_is_to_close_a_lost_feed_lets_nobody_pass(tmp_path: Path) -> None:
    """CLOSE_AFTER=60: a minute without the feed is a 503, which signs nobody out, until the feed is back."""
    clock, port = present_clock(), lasting_port()
    with contextlib.ExitStack() as service_stack:
        with live_server(tmp_path, clock=clock, port=port) as live, live.client() as http:
            live.add_user("ada")
            service = service_stack.enter_context(node_service(live, tmp_path, CLOSE_AFTER="60"))
            token = live.sign_in(http)["access_token"]
            assert service.ask(token).status == 200
        service.advance(50)
        assert service.ask(token).status == 200
        service.advance(20)
        answer = service.ask(token)
        assert (answer.status, answer.code) == (503, "unavailable")
        assert service.ask("nonsense").status == 401
        with live_server(tmp_path, clock=clock, port=port):
            service.passes(token)
