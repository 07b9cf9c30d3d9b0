"""requests-oauthlib renews a session by itself: it goes by `expires_at`, and asks before the next request."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from oauthlib.oauth2 import (  # type: ignore[import-untyped]
    InvalidClientError,
    InvalidGrantError,
    InvalidScopeError,
    TemporarilyUnavailableError,
)
from requests_oauthlib import OAuth2Session

from tests.oauth_clients.stage import API, APP, INACTIVE, Stage

Opener = Callable[..., OAuth2Session]


@pytest.fixture
def saved() -> list[dict[str, Any]]:
    """Every token that the library told the application to keep."""
    return []


@pytest.fixture
def open_session(stage: Stage, saved: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> Iterator[Opener]:
    """Opens sessions of the library that hold ada's tokens."""
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")  # the test server speaks http
    opened: list[OAuth2Session] = []

    def open_one(**changes: Any) -> OAuth2Session:
        session = OAuth2Session(
            APP,
            token={**stage.tokens, **changes},
            auto_refresh_url=stage.token_url,
            auto_refresh_kwargs={"client_id": APP},
            token_updater=saved.append,
        )
        opened.append(session)
        return session

    yield open_one
    for session in opened:
        session.close()


def test_requests_oauthlib_renews_an_expired_token_before_the_next_request(
    stage: Stage, open_session: Opener, saved: list[dict[str, Any]]
) -> None:
    """With requests-oauthlib a request after expiry just succeeds, and the rotated token is handed over to be kept."""
    session = open_session(expires_at=1)
    stage.expire()
    assert session.get(stage.me_url).json()["preferred_username"] == "ada"
    assert [token["session_id"] for token in saved] == [stage.tokens["session_id"]]
    assert session.token["refresh_token"] == saved[0]["refresh_token"] != stage.tokens["refresh_token"]
    assert session.token["expires_in"] == 1800


def test_requests_oauthlib_goes_on_for_days_with_each_rotated_token(stage: Stage, open_session: Opener) -> None:
    """With requests-oauthlib a session is renewed again and again, each time with the token of the last answer."""
    session = open_session()
    seen = {stage.tokens["refresh_token"]}
    for _ in range(10):
        stage.live.clock.advance(86_400)
        seen.add(session.refresh_token(stage.token_url, client_id=APP)["refresh_token"])
    assert len(seen) == 11
    assert session.get(stage.me_url).status_code == 200


def test_requests_oauthlib_keeps_its_refresh_token_where_the_answer_has_none(
    stage: Stage, open_session: Opener
) -> None:
    """An answer without a refresh token means keep yours, and requests-oauthlib does."""
    session = open_session()
    young = dict(session.refresh_token(stage.token_url, client_id=APP))
    again = session.refresh_token(stage.token_url, client_id=APP)
    assert again["refresh_token"] == young["refresh_token"]
    assert again["access_token"] != young["access_token"]
    stage.expire()
    assert session.refresh_token(stage.token_url, client_id=APP)["refresh_token"] != young["refresh_token"]


def test_requests_oauthlib_does_not_take_a_late_duplicate_for_the_end(stage: Stage, open_session: Opener) -> None:
    """At a superseded refresh token requests-oauthlib raises TemporarilyUnavailableError and keeps its tokens."""
    session = open_session()
    newest = stage.overtake()
    with pytest.raises(TemporarilyUnavailableError):
        session.refresh_token(stage.token_url, client_id=APP)
    assert session.token["refresh_token"] == stage.tokens["refresh_token"]
    session.token = newest
    session.refresh_token(stage.token_url, client_id=APP)
    assert session.get(stage.me_url).status_code == 200


def test_requests_oauthlib_shows_retry_after_to_a_response_hook(stage: Stage, open_session: Opener) -> None:
    """requests-oauthlib drops status and headers, but its response hook sees the 503 and how long to wait."""
    session = open_session()
    stage.overtake()
    answers: list[tuple[int, str]] = []

    def look(response: Any) -> Any:
        answers.append((response.status_code, response.headers["Retry-After"]))
        return response

    session.register_compliance_hook("refresh_token_response", look)
    with pytest.raises(TemporarilyUnavailableError):
        session.refresh_token(stage.token_url, client_id=APP)
    assert answers == [(503, "60")]


def test_requests_oauthlib_reports_invalid_grant_when_the_session_is_over(stage: Stage, open_session: Opener) -> None:
    """Once the person has signed out, requests-oauthlib raises InvalidGrantError at the next renewal."""
    session = open_session(expires_at=1)
    stage.sign_out()
    with pytest.raises(InvalidGrantError):
        session.get(stage.me_url)


def test_requests_oauthlib_is_refused_a_scope_that_nobody_granted(stage: Stage, open_session: Opener) -> None:
    """A session without scopes cannot grow one by a refresh, and the refusal costs it nothing."""
    session = open_session()
    session.scope = ["admin"]
    with pytest.raises(InvalidScopeError):
        session.refresh_token(stage.token_url, client_id=APP)
    session.scope = None
    assert session.refresh_token(stage.token_url, client_id=APP)["session_id"] == stage.tokens["session_id"]


def test_requests_oauthlib_reports_invalid_client_for_a_wrong_secret(stage: Stage, open_session: Opener) -> None:
    """A confidential client with a wrong secret gets InvalidClientError from requests-oauthlib."""
    stage.add_confidential_client()
    session = open_session()
    session.auto_refresh_kwargs = {}
    with pytest.raises(InvalidClientError):
        session.refresh_token(stage.token_url, auth=(API, "wrong"))


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_requests_oauthlib_revokes_a_session_by_either_token(stage: Stage, open_session: Opener, kind: str) -> None:
    """The revocation request that oauthlib prepares ends the session, whichever of its tokens is sent."""
    session = open_session()
    secret = stage.add_confidential_client()

    def revoke(token: str) -> int:
        url, headers, body = session._client.prepare_token_revocation_request(
            stage.revocation_url, token, token_type_hint=kind, client_id=APP
        )
        status: int = session.post(url, data=body, headers=headers, withhold_token=True).status_code
        return status

    def introspect() -> Any:
        return session.post(
            stage.introspection_url, data={"token": stage.tokens[kind]}, auth=(API, secret), withhold_token=True
        ).json()

    assert introspect()["active"] is True
    assert revoke(stage.tokens[kind]) == 200
    assert introspect() == INACTIVE
    assert revoke("unknown") == 200
    assert session.get(stage.me_url).status_code == 401
    with pytest.raises(InvalidGrantError):
        session.refresh_token(stage.token_url, client_id=APP)
