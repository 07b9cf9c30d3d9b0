"""The chaos proxy sees who is signed out, and tells it without a secret."""

import hashlib
import random
from collections.abc import Callable
from dataclasses import asdict

import httpx2
import pytest

from evertoken.testing import Answer, ChaosProxy, FakeServer, MovingClock, Request
from evertoken.testing.fates import Odds
from tests.support.server import LiveServer, client_at
from tests.testing_kit.playing import LOST, refresh
from tests.testing_kit.test_fake_server import HomeMade


class TestSignOuts:
    """The proxy sees who is signed out."""

    def test_a_doubled_refresh_signs_out_where_tokens_are_spent_by_use(self, moving: MovingClock) -> None:
        """Against a server with single-use refresh tokens one duplicate is enough, and the transcript shows it."""
        with FakeServer(clock=moving, rotation="strict") as strict:
            token = strict.sign_in()["refresh_token"]
            with ChaosProxy(strict.url, duplicate=1.0, seed=11) as proxy:
                httpx2.post(f"{proxy.url}/oauth/token", data={"grant_type": "refresh_token", "refresh_token": token})
                proxy.settle()
                assert len(proxy.signed_out) == proxy.counts["signed_out"] == 1
                with pytest.raises(AssertionError) as failure:
                    proxy.assert_nobody_signed_out()
        assert "chaos seed 11" in str(failure.value)
        assert "sent again after" in str(failure.value)
        assert "400 invalid_grant" in str(failure.value)

    def test_an_honest_client_of_the_fake_survives_a_bad_network(self, server: FakeServer, moving: MovingClock) -> None:
        """Loss, duplicates and delays over days of refreshing sign nobody out."""
        _survives(server.url, server.sign_in()["refresh_token"], moving.advance)
        assert {record.outcome for record in server.refreshes} == {"reissue", "early", "advance"}

    def test_an_honest_client_of_the_real_server_survives_a_bad_network(
        self, live: LiveServer, http: httpx2.Client
    ) -> None:
        """The kit stands before a real server as well, and evertoken holds what it promises."""
        _survives(live.url, live.sign_in(http)["refresh_token"], live.clock.advance)

    def test_a_session_that_somebody_ended_is_no_failure(self, server: FakeServer) -> None:
        """After a sign-out a late duplicate is told so; the network did not do it."""
        token = server.sign_in()["refresh_token"]
        with ChaosProxy(server.url) as proxy:
            assert httpx2.post(f"{proxy.url}/auth/logout", json={"refresh_token": token}).status_code == 204
            assert refresh(proxy.url, token).json()["reason"] == "signed_out"
            proxy.assert_nobody_signed_out()
            other = server.sign_in()["refresh_token"]
            server.end_sessions("revoked")
            assert refresh(proxy.url, other).json()["reason"] == "revoked"
            assert "401 session_over revoked" in proxy.signed_out[0]

    def test_another_api_says_what_a_refusal_is(self, moving: MovingClock) -> None:
        """`is_refresh` and `is_sign_out` are all that the proxy has to know of a home-made wire."""

        def is_refresh(request: Request) -> bool:
            return request.path == "/token/refresh"

        def is_sign_out(answer: Answer) -> bool:
            return b'"code":403' in answer.body

        with (
            HomeMade(clock=moving) as server,
            ChaosProxy(server.url, is_refresh=is_refresh, is_sign_out=is_sign_out) as proxy,
        ):
            token = server.sign_in()["refresh_token"]
            httpx2.post(f"{proxy.url}/token/refresh", params={"refreshToken": token})
            assert (proxy.counts["refreshes"], proxy.signed_out) == (1, [])
            httpx2.post(f"{proxy.url}/token/refresh", params={"refreshToken": "unknown"})
            assert len(proxy.signed_out) == 1
            assert token not in proxy.transcript()

    def test_a_transcript_holds_no_secret(self, server: FakeServer) -> None:
        """Tokens are told apart by the first 8 characters of their SHA-256, wherever they stand in a request."""
        pair = server.sign_in()
        token, access = pair["refresh_token"], pair["access_token"]
        with ChaosProxy(server.url) as proxy, client_at(proxy.url) as client:
            renewed = client.post("/auth/refresh", json={"refresh_token": token}).json()
            client.post("/oauth/token", data={"grant_type": "refresh_token", "refresh_token": token})
            client.post(f"/auth/refresh?refresh_token={token}")
            client.post("/auth/refresh", headers={"Cookie": f"a=b; __Host-Http-evertoken={token}"})
            client.post("/auth/refresh", headers={"X-Refresh-Token": token})
            client.get("/notes", headers={"Authorization": f"Bearer {access}"})
            client.post("/auth/login", json={"username": "ada", "password": "correct-horse-battery"})
            told = proxy.transcript()
        for secret in (token, access, renewed["access_token"], renewed["refresh_token"], "correct-horse"):
            assert secret not in told
            assert secret[4:20] not in told
        assert told.count(f" token {hashlib.sha256(token.encode()).hexdigest()[:8]}:") == 5
        assert told.count(f" token {hashlib.sha256(access.encode()).hexdigest()[:8]}:") == 1
        assert f"refresh_token {hashlib.sha256(renewed['refresh_token'].encode()).hexdigest()[:8]}" in told


def _survives(url: str, token: str, advance: Callable[[float], None]) -> None:
    """Days of refreshing on a bad network, after which the session still lives."""
    pauses = random.Random(5)
    odds = Odds(lose_requests=0.2, lose_answers=0.3, duplicate=0.4, delay_seconds=(0.0, 0.003))
    with ChaosProxy(url, **asdict(odds), seed=5) as proxy, client_at(proxy.url) as client:
        for _ in range(60):
            token = _renewed(client, token)
            proxy.settle()
            advance(pauses.choice([1, 61, 300, 1800]))
        proxy.assert_nobody_signed_out()
        counts = proxy.counts
    assert min(counts[name] for name in ("requests_lost", "answers_lost", "duplicated", "delayed")) > 10


def _renewed(client: httpx2.Client, token: str) -> str:
    """An honest client: it keeps its token until it has a newer one, and asks again when nobody answers."""
    for _ in range(50):
        try:
            answer = client.post("/auth/refresh", json={"refresh_token": token})
        except LOST:
            continue
        assert answer.status_code == 200, answer.text
        newer: str = answer.json().get("refresh_token", token)
        return newer
    raise AssertionError("no answer in 50 attempts")
