"""The fake server answers as the real one does: the same conversations with both."""

from collections.abc import Callable

import httpx2
import pytest

from tests.support.server import LiveServer
from tests.testing_kit.playing import Stage


@pytest.fixture
def real(live: LiveServer, http: httpx2.Client) -> Stage:
    """Where a conversation with the real server is played."""
    return Stage(http, live.clock.advance)


def signs_in_and_looks(stage: Stage) -> None:
    tokens = stage.sign_in(client_id="reading-app")
    stage.me(tokens["access_token"])
    stage.say("HEAD", "/auth/me", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    stage.advance(1799)
    stage.me(tokens["access_token"])
    stage.advance(1)
    stage.me(tokens["access_token"])


def signs_in_wrongly(stage: Stage) -> None:
    stage.sign_in(password="wrong")
    stage.sign_in(username="nobody")
    stage.sign_in(password="")
    stage.sign_in(password=7)
    stage.say("POST", "/auth/login", json={"username": "ada"})
    stage.say("POST", "/auth/login", json=["ada"])
    stage.say("POST", "/auth/login", content=b"{", headers={"Content-Type": "application/json"})
    stage.say("POST", "/auth/login", data={"username": "ada"})
    stage.say("POST", "/auth/login")
    stage.say("GET", "/auth/login")


def brings_bad_access_tokens(stage: Stage) -> None:
    good = stage.sign_in()["access_token"]
    stage.say("GET", "/auth/me")
    for header in ("Bearer x", "Bearer", "Basic x", "Bearer x y", f"bearer {good}"):
        stage.say("GET", "/auth/me", headers={"Authorization": header})
    stage.say("GET", "/auth/me", headers=[("Authorization", f"Bearer {good}"), ("Authorization", f"Bearer {good}")])
    stage.say("GET", f"/auth/me?access_token={good}", headers={"Authorization": f"Bearer {good}"})
    stage.say("POST", "/auth/me")


def rotates_for_a_day(stage: Stage) -> None:
    first = stage.sign_in()["refresh_token"]
    lost = stage.refresh(first)["refresh_token"]
    second = stage.refresh(first)["refresh_token"]
    stage.refresh(second)
    stage.advance(240)
    third = stage.refresh(second)["refresh_token"]
    stage.refresh(first)
    stage.advance(20.5)
    stage.refresh(lost)
    stage.grant(first)
    stage.advance(300)
    stage.refresh(third)
    stage.advance(61)
    stage.refresh(second)
    stage.refresh(third)
    stage.grant(third)


def comes_back_too_late(stage: Stage) -> None:
    token = stage.sign_in()["refresh_token"]
    stage.advance(7 * 86_400 - 1)
    token = stage.refresh(token)["refresh_token"]
    stage.advance(7 * 86_400)
    stage.refresh(token)
    stage.grant(token)


def refreshes_wrongly(stage: Stage) -> None:
    stage.refresh("etr_unknown")
    stage.refresh("")
    stage.say("POST", "/auth/refresh")
    stage.say("POST", "/auth/refresh", json={})
    stage.say("POST", "/auth/refresh", json={"refresh_token": 1})
    stage.say("POST", "/auth/refresh", json=[])
    stage.say("POST", "/auth/refresh", content=b"not json", headers={"Content-Type": "application/json"})
    stage.say("POST", "/auth/refresh", content=b"x", headers={"Content-Type": "text/plain"})
    stage.say("GET", "/auth/refresh")


def speaks_oauth(stage: Stage) -> None:
    tokens = stage.sign_in(client_id="reading-app")
    renewed = stage.grant(tokens["refresh_token"], client_id="reading-app")
    stage.me(renewed["access_token"])
    stage.grant(renewed["refresh_token"])
    stage.grant(tokens["refresh_token"], client_id="another-app")
    stage.grant("etr_unknown")
    stage.grant(tokens["refresh_token"], scope="all")
    stage.say("POST", "/oauth/token", data={"grant_type": "refresh_token"})
    stage.say("POST", "/oauth/token", data={"grant_type": "password"})
    stage.say("POST", "/oauth/token", data={"refresh_token": "x"})
    stage.say("POST", "/oauth/token", json={"grant_type": "refresh_token"})
    stage.say("POST", "/oauth/token", content=b"a=1&a=2", headers={"Content-Type": "application/x-www-form-urlencoded"})
    stage.say("GET", "/oauth/token")
    stage.say("POST", "/oauth/revoke", data={})
    stage.say("POST", "/oauth/revoke", data={"token": "unknown"})
    stage.say("POST", "/oauth/revoke", data={"token": tokens["refresh_token"]})
    stage.refresh(tokens["refresh_token"])
    stage.grant(tokens["refresh_token"])


def signs_out(stage: Stage) -> None:
    tokens = stage.sign_in()
    stage.say("POST", "/auth/logout", json={"refresh_token": tokens["refresh_token"]})
    stage.say("POST", "/auth/logout", json={"refresh_token": tokens["refresh_token"]})
    stage.me(tokens["access_token"])
    stage.refresh(tokens["refresh_token"])
    other = stage.sign_in()
    stage.say("POST", "/auth/logout", headers={"Authorization": f"Bearer {other['access_token']}"})
    stage.refresh(other["refresh_token"])
    third = stage.sign_in()
    stage.advance(1800)
    stage.say("POST", "/auth/logout", headers={"Authorization": f"Bearer {third['access_token']}"})
    stage.say("POST", "/auth/logout", json={"refresh_token": "etr_unknown"})
    stage.say("POST", "/auth/logout")
    stage.say("DELETE", "/auth/logout")


@pytest.mark.parametrize(
    "conversation",
    [
        signs_in_and_looks,
        signs_in_wrongly,
        brings_bad_access_tokens,
        rotates_for_a_day,
        comes_back_too_late,
        refreshes_wrongly,
        speaks_oauth,
        signs_out,
    ],
)
def test_a_conversation_with_the_fake_goes_as_with_the_real_server(
    conversation: Callable[[Stage], None], real: Stage, fake: Stage
) -> None:
    """What passes against the fake passes against evertoken: status, codes, member names and headers are the same."""
    conversation(real)
    conversation(fake)
    assert fake.seen == real.seen
    assert {status for _, _, status, *_ in real.seen} <= {200, 204, 400, 401, 405, 415, 503}


@pytest.mark.parametrize("name", ["oauth-authorization-server", "openid-configuration"])
def test_the_metadata_of_the_fake_is_a_part_of_the_real(name: str, real: Stage, fake: Stage) -> None:
    """A client that finds its endpoints by RFC 8414 finds the fake's."""
    documents = [stage.http.get(f"/.well-known/{name}").json() for stage in (fake, real)]
    assert documents[0].keys() < documents[1].keys()
    assert documents[0]["issuer"] == str(fake.http.base_url).rstrip("/")
    for member in ("token_endpoint", "revocation_endpoint"):
        paths = [document[member].removeprefix(document["issuer"]) for document in documents]
        assert paths[0] == paths[1]
