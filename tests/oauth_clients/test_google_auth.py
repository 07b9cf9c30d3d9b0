"""google-auth renews a session by itself: before expiry by its own clock, and after a 401 whatever the clock says."""

import types
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.auth import _exponential_backoff
from google.auth.credentials import TokenState
from google.auth.exceptions import RefreshError
from google.auth.transport.requests import AuthorizedSession, Request
from google.oauth2.credentials import Credentials

from evertoken.errors import StoreUnavailable
from tests.oauth_clients.stage import API, APP, INACTIVE, Stage

Opener = Callable[[Any], Any]

# google-auth says that it is typed and mostly is not: to mypy its objects are Any here.
make_session: Callable[..., Any] = AuthorizedSession
make_credentials: Callable[..., Any] = Credentials


def credentials_of(stage: Stage, **changes: Any) -> Any:
    """Ada's tokens as google-auth holds them: it wants a client secret, and a public client's is empty."""
    known = {
        "refresh_token": stage.tokens["refresh_token"],
        "token_uri": stage.token_url,
        "client_id": APP,
        "client_secret": "",
        "expiry": datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=stage.tokens["expires_in"]),
    }
    return make_credentials(stage.tokens["access_token"], **(known | changes))


@pytest.fixture
def open_session() -> Iterator[Opener]:
    """Opens sessions of the library."""
    opened: list[Any] = []

    def open_one(credentials: Any) -> Any:
        opened.append(make_session(credentials))
        return opened[-1]

    yield open_one
    for session in opened:
        session.close()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long the library waited between its attempts; it does not really wait."""
    waited: list[float] = []
    monkeypatch.setattr(_exponential_backoff, "time", types.SimpleNamespace(sleep=waited.append))
    return waited


def test_google_auth_renews_before_the_next_request_when_its_clock_says_so(stage: Stage, open_session: Opener) -> None:
    """With google-auth a request after expiry just succeeds, and the rotated refresh token is adopted."""
    credentials = credentials_of(stage, expiry=datetime(2020, 1, 1))  # noqa: DTZ001 - google-auth wants naive UTC
    stage.expire()
    assert open_session(credentials).get(stage.me_url).json()["preferred_username"] == "ada"
    assert credentials.refresh_token != stage.tokens["refresh_token"]
    assert credentials.token_state is TokenState.FRESH


def test_google_auth_renews_after_a_401_and_sends_the_request_again(stage: Stage, open_session: Opener) -> None:
    """Where google-auth's clock is wrong the 401 has the last word: it renews and the request succeeds."""
    credentials = credentials_of(stage)
    stage.expire()
    assert open_session(credentials).get(stage.me_url).status_code == 200
    assert credentials.token != stage.tokens["access_token"]


def test_google_auth_goes_on_for_days_with_each_rotated_token(stage: Stage) -> None:
    """With google-auth a session is renewed again and again, each time with the refresh token of the last answer."""
    credentials = credentials_of(stage)
    seen = {stage.tokens["refresh_token"]}
    for _ in range(10):
        stage.live.clock.advance(86_400)
        credentials.refresh(Request())
        seen.add(credentials.refresh_token)
    assert len(seen) == 11


def test_google_auth_keeps_its_refresh_token_where_the_answer_has_none(stage: Stage) -> None:
    """An answer without a refresh token means keep yours, and google-auth does."""
    credentials = credentials_of(stage)
    credentials.refresh(Request())
    young, access_token = credentials.refresh_token, credentials.token
    credentials.refresh(Request())
    assert (credentials.refresh_token, credentials.token != access_token) == (young, True)
    stage.expire()
    credentials.refresh(Request())
    assert credentials.refresh_token != young


def test_google_auth_does_not_take_a_late_duplicate_for_the_end(stage: Stage, waits: list[float]) -> None:
    """At a superseded refresh token google-auth tries three times, raises a retryable error and keeps its tokens."""
    credentials = credentials_of(stage)
    newest = stage.overtake()
    with pytest.raises(RefreshError) as caught:
        credentials.refresh(Request())
    assert caught.value.retryable
    assert caught.value.args[1]["error"] == "temporarily_unavailable"
    assert len(waits) == 2
    assert credentials.refresh_token == stage.tokens["refresh_token"]
    credentials = credentials_of(stage, refresh_token=newest["refresh_token"])
    credentials.refresh(Request())
    assert stage.is_good(credentials.token)


def test_google_auth_rides_out_a_fault_of_the_server(
    stage: Stage, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the store is away google-auth tries again by itself, and the person notices nothing."""
    sessions = stage.live.server.services.sessions
    refresh, failures = sessions.refresh, [StoreUnavailable("away"), StoreUnavailable("away")]

    async def failing_twice(*arguments: Any, **options: Any) -> Any:
        if failures:
            raise failures.pop()
        return await refresh(*arguments, **options)

    monkeypatch.setattr(sessions, "refresh", failing_twice)
    credentials = credentials_of(stage)
    credentials.refresh(Request())
    assert (len(waits), failures) == (2, [])
    assert stage.is_good(credentials.token)


def test_google_auth_reports_invalid_grant_when_the_session_is_over(
    stage: Stage, open_session: Opener, waits: list[float]
) -> None:
    """Once the person has signed out, google-auth raises RefreshError invalid_grant and does not try again."""
    stage.sign_out()
    with pytest.raises(RefreshError) as caught:
        open_session(credentials_of(stage)).get(stage.me_url)
    assert caught.value.args[1]["error"] == "invalid_grant"
    assert not caught.value.retryable
    assert waits == []


def test_google_auth_is_refused_a_scope_that_nobody_granted(stage: Stage) -> None:
    """A session without scopes cannot grow one by a refresh, and the refusal costs it nothing."""
    with pytest.raises(RefreshError) as caught:
        credentials_of(stage, scopes=["admin"]).refresh(Request())
    assert caught.value.args[1]["error"] == "invalid_scope"
    credentials_of(stage).refresh(Request())


def test_google_auth_with_a_wrong_secret_is_told_invalid_client(stage: Stage) -> None:
    """A confidential client with a wrong secret gets RefreshError invalid_client from google-auth."""
    stage.add_confidential_client()
    with pytest.raises(RefreshError) as caught:
        credentials_of(stage, client_id=API, client_secret="wrong").refresh(Request())
    assert caught.value.args[1]["error"] == "invalid_client"
    assert not caught.value.retryable


def test_google_auth_without_a_client_secret_asks_nobody(stage: Stage) -> None:
    """google-auth wants a client secret before it sends anything; a public client says the empty one."""
    with pytest.raises(RefreshError, match="client_secret"):
        credentials_of(stage, client_secret=None).refresh(Request())


@pytest.mark.parametrize("kind", ["refresh_token", "access_token"])
def test_google_auth_holds_nothing_once_the_session_is_revoked(stage: Stage, open_session: Opener, kind: str) -> None:
    """A revocation over google-auth's own transport ends the session, whichever of its tokens is sent."""
    secret = stage.add_confidential_client()
    session, transport = open_session(credentials_of(stage)), Request()

    def post(url: str, body: str) -> Any:
        return transport(url, method="POST", headers={"Content-Type": "application/x-www-form-urlencoded"}, body=body)

    def introspect() -> Any:
        caller = {"client_id": API, "client_secret": secret, "token": stage.tokens[kind]}
        return transport.session.post(stage.introspection_url, data=caller).json()

    assert introspect()["active"] is True
    assert post(stage.revocation_url, "token=unknown").status == 200
    assert session.get(stage.me_url).status_code == 200
    assert post(stage.revocation_url, f"token={stage.tokens[kind]}&client_id={APP}").status == 200
    assert introspect() == INACTIVE
    with pytest.raises(RefreshError, match="invalid_grant"):
        session.get(stage.me_url)
