"""Whole servers over one Redis, with their users in one SQLite file: what they promise alone they promise together."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from evertoken.secret import Secret
from tests.stores.redis.server import RedisServer, running_redis
from tests.support.server import PASSWORD, LiveServer, live_server

SECRET = "a-secret-of-more-than-thirty-two-characters"
SOON_SECONDS = 20.0


@pytest.fixture(scope="module")
def sessions() -> Iterator[RedisServer]:
    """One Redis for the whole file."""
    with running_redis() as running:
        yield running


@pytest.fixture(scope="module")
def servers(sessions: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[LiveServer]]:
    """Two servers, each with a loop and connections of its own, as on two machines behind one address."""
    users = tmp_path_factory.mktemp("users") / "users.db"

    with contextlib.ExitStack() as stack:
        started = [
            stack.enter_context(
                live_server(
                    tmp_path_factory.mktemp(f"machine-{number}"),
                    store=sessions.url(),
                    users_store=str(users),
                    secret=(Secret(SECRET),),
                    issuer="http://auth.test",
                )
            )
            for number in range(2)
        ]
        for server in started:
            server.url = f"http://127.0.0.1:{server.server.services.settings.port}"  # of this one, not the issuer's
        started[0].add_user("ada")
        yield started


def _bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def _refresh(client: httpx2.Client, tokens: dict[str, Any]) -> httpx2.Response:
    return client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})


def _until_refused(client: httpx2.Client, tokens: dict[str, Any]) -> float:
    began = time.monotonic()
    while client.get("/auth/me", headers=_bearer(tokens)).status_code != 401:
        assert time.monotonic() - began < SOON_SECONDS
        time.sleep(0.02)
    return time.monotonic() - began


def test_a_session_begins_on_one_machine_goes_on_on_another_and_ends_on_both(servers: list[LiveServer]) -> None:
    """Sign in, refresh, list, sign out: whichever machine a call comes to, the answer is the same."""
    with servers[0].client() as here, servers[1].client() as there:
        tokens = servers[0].sign_in(here)
        assert there.get("/auth/me", headers=_bearer(tokens)).json()["sid"] == tokens["session_id"]
        renewed = _refresh(there, tokens)
        assert renewed.status_code == 200
        assert _refresh(here, renewed.json()).status_code == 200  # early: its parent is good still
        listed = here.get("/auth/sessions", headers=_bearer(tokens)).json()
        assert [one["id"] for one in listed["sessions"]] == [tokens["session_id"]]
        assert there.post("/auth/logout", headers=_bearer(tokens)).status_code == 204
        for client in (here, there):
            refused = _refresh(client, tokens)
            assert (refused.status_code, refused.json()["reason"]) == (401, "signed_out")
        _until_refused(here, tokens)


def test_a_new_password_ends_the_other_sessions_on_every_machine(servers: list[LiveServer]) -> None:
    """Users are in SQL and sessions in Redis: a password change reaches both, and the session that made it goes on."""
    servers[0].add_user("bob")
    with servers[0].client() as here, servers[1].client() as there:
        kept, other = servers[0].sign_in(here, "bob"), servers[1].sign_in(there, "bob")
        assert _refresh(there, other).status_code == 200  # both machines remember the user now
        changed = here.post(
            "/auth/password",
            headers=_bearer(kept),
            json={"current_password": PASSWORD, "new_password": "an-entirely-other-passphrase"},
        )
        assert changed.status_code < 300
        refused = _refresh(there, other)
        assert (refused.status_code, refused.json()["reason"]) == (401, "password_changed")
        assert _refresh(here, kept).status_code == 200
        assert _refresh(there, kept).status_code == 200
        _until_refused(there, other)


def test_a_redis_that_is_away_is_503_and_nobody_is_signed_out(servers: list[LiveServer], sessions: RedisServer) -> None:
    """While Redis restarts a refresh is told to come back, readiness says so, and then all goes on."""
    with servers[0].client() as here:
        tokens = servers[0].sign_in(here)
        sessions.kill()
        away = _refresh(here, tokens)
        assert (away.status_code, "Retry-After" in away.headers) == (503, True)
        assert here.get("/readyz").status_code == 503
        assert here.get("/auth/me", headers=_bearer(tokens)).status_code == 200
        sessions.start()
        give_up_at = time.monotonic() + SOON_SECONDS
        while _refresh(here, tokens).status_code != 200:
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
        assert here.get("/readyz").status_code == 200
