"""Sessions at an OAuth authorization server whose refresh tokens can be used once."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs

import httpx2
import pytest

from evertoken.client import Session, oauth_session
from evertoken.client.httpx2 import SilentAuth
from evertoken.errors import RefreshUnavailable, SignedOut, SignOutUnavailable
from evertoken.testing import Answer, Fault, MovingClock
from tests.client.staging import (
    FAR_FROM_NOW,
    LIFETIME_SECONDS,
    WITHIN_SECONDS,
    Heard,
    StagedServer,
    aside,
    document_of,
    settle,
    without_pauses,
)


@pytest.fixture
def server(moving: MovingClock) -> Iterator[StagedServer]:
    """A server that ends a session when a spent refresh token is shown."""
    with StagedServer(clock=moving, rotation="strict") as running:
        yield running
        settle()


def at(server: StagedServer, moving: MovingClock, **settings: Any) -> Session:
    """A session there, with a pair of ada's."""
    made = without_pauses(
        oauth_session(
            server.url,
            **{
                "client_id": "evertoken",
                "token_endpoint": f"{server.url}/oauth/token",
                "revocation_endpoint": f"{server.url}/oauth/revoke",
                "clock": moving,
                **settings,
            },
        )
    )
    pair = server.sign_in()
    made.adopt(**{name: pair[name] for name in ("access_token", "refresh_token", "expires_in")})
    return made


@pytest.fixture
def session(server: StagedServer, moving: MovingClock) -> Session:
    """A session of a public client."""
    return at(server, moving)


def test_a_single_use_refresh_token_is_used_once(
    session: Session, server: StagedServer, moving: MovingClock, heard: Heard
) -> None:
    """
    Twenty callers whose token is refused at once, time after time, use each refresh token once.
    """
    for turn in range(1, 6):
        moving.advance(LIFETIME_SECONDS)
        assert len({waiter.result(WITHIN_SECONDS) for waiter in [aside(session.token) for _ in range(20)]}) == 1
        assert server.refresh_count == turn
    assert server.reuses == 0
    assert heard.reasons == []


def test_the_grant_is_spelled_as_the_standard_wants_it(server: StagedServer, moving: MovingClock) -> None:
    """
    A refresh is a form with grant_type, refresh_token, client_id and, if one was asked for, the scope (RFC 6749 §6).
    """
    session = at(server, moving, scope="read write")
    sent = document_of(session)["refresh_token"]
    server.script("/oauth/token", Answer.json(200, {"access_token": "narrow", "token_type": "Bearer"}))
    session.refresh()
    (request,) = server.asked("/oauth/token")
    assert request.header("Content-Type") == "application/x-www-form-urlencoded"
    assert request.header("Authorization") is None
    assert parse_qs(request.body.decode()) == {
        "grant_type": ["refresh_token"],
        "refresh_token": [sent],
        "client_id": ["evertoken"],
        "scope": ["read write"],
    }


@pytest.mark.parametrize("fault", [Fault(lose_answer=True), Fault(reset=True), Fault(status=503), Fault(status=500)])
def test_a_refresh_whose_answer_was_lost_is_not_repeated_in_the_same_flight(
    session: Session, server: StagedServer, moving: MovingClock, heard: Heard, fault: Fault
) -> None:
    """
    Where a refresh token works once it is sent once: whether the server has used it up cannot be known, and showing
    it again at once would look like theft.
    """
    moving.advance(LIFETIME_SECONDS)
    server.script_refresh(fault)
    for waiter in [aside(session.token) for _ in range(5)]:
        with pytest.raises(RefreshUnavailable):
            waiter.result(WITHIN_SECONDS)
    assert server.refresh_count == 1
    assert heard.reasons == []
    assert session.is_signed_in()


def test_a_call_that_was_never_sent_is_repeated(server: StagedServer, moving: MovingClock) -> None:
    """
    A connection that could not be made has used nothing up, so the same flight tries again.
    """
    from evertoken.client.http import Call, HttpTransport, NotSent

    calls = []

    class Flaky(HttpTransport):
        def __call__(self, call: Call, *, timeout_seconds: float) -> Any:
            calls.append(call)
            if len(calls) < 3:
                raise NotSent("no route to the host")
            return super().__call__(call, timeout_seconds=timeout_seconds)

    session = at(server, moving, transport=Flaky())
    moving.advance(LIFETIME_SECONDS)
    assert session.token()
    assert len(calls) == 3
    assert server.refresh_count == 1


def test_invalid_grant_signs_out(session: Session, server: StagedServer, moving: MovingClock, heard: Heard) -> None:
    """
    `invalid_grant` is the one answer that ends an OAuth session (RFC 6749 §5.2); listeners hear it once.
    """
    server.end_sessions("revoked")
    moving.advance(LIFETIME_SECONDS)
    for _ in range(3):
        with pytest.raises(SignedOut) as caught:
            session.token()
        assert caught.value.reason == "invalid_grant"
    settle()
    assert heard.reasons == ["invalid_grant"]
    assert server.refresh_count == 1


@pytest.mark.parametrize(
    ("status", "error", "told"),
    [
        (401, "invalid_client", "401 invalid_client): check client_id and client_secret"),
        (400, "invalid_client", "400 invalid_client): check client_id and client_secret"),
        (400, "unauthorized_client", "check what this client_id is registered for"),
        (400, "unsupported_grant_type", "it takes no refresh tokens at this URL"),
        (400, "invalid_scope", "check scope"),
        (400, "invalid_request", "check the URL and the dialect"),
        (400, "a-secret-of-the-server", "check the URL and the dialect"),
    ],
)
def test_any_other_oauth_error_keeps_the_tokens(
    session: Session, server: StagedServer, moving: MovingClock, heard: Heard, status: int, error: str, told: str
) -> None:
    """
    A wrong client id, secret or scope is a mistake in the settings: nobody is signed out by it, it is not repeated,
    and the error says where to look.
    """
    moving.advance(LIFETIME_SECONDS)
    before = session.store.load()
    server.script("/oauth/token", Answer.json(status, {"error": error, "error_description": "No."}))
    with pytest.raises(RefreshUnavailable) as caught:
        session.token()
    assert told in str(caught.value)
    assert "a-secret" not in str(caught.value)
    assert len(server.asked("/oauth/token")) == 1
    assert session.store.load() == before
    settle()
    assert heard.reasons == []
    moving.advance(FAR_FROM_NOW)
    assert session.token()


def test_a_server_that_keeps_its_refresh_token_is_asked_with_it_again(
    session: Session, server: StagedServer, moving: MovingClock
) -> None:
    """
    An answer without a refresh token means that the old one stays (RFC 6749 §6): it is kept, not lost.
    """
    kept = document_of(session)["refresh_token"]
    for turn in ("one", "two"):
        moving.advance(LIFETIME_SECONDS)
        server.script("/oauth/token", Answer.json(200, {"access_token": turn, "token_type": "Bearer", "expires_in": 9}))
        assert session.token() == turn
        assert document_of(session)["refresh_token"] == kept


def test_a_lifetime_that_is_not_said_is_until_the_first_refusal(
    session: Session, server: StagedServer, moving: MovingClock
) -> None:
    """
    Without `expires_in` the access token is used until a resource refuses it; then it is renewed and sent again.
    """
    pair = server.sign_in()
    session.adopt(access_token=pair["access_token"], refresh_token=pair["refresh_token"])
    moving.advance(LIFETIME_SECONDS)
    with httpx2.Client(base_url=server.url, auth=SilentAuth(session)) as http:
        assert http.get("/data").status_code == 200
    assert server.requests["/data", 401] == 1
    assert server.refresh_count == 1


def test_a_sign_out_revokes_the_refresh_token(session: Session, server: StagedServer) -> None:
    """
    Signing out revokes the refresh token (RFC 7009 §2.1), and with it the session.
    """
    token = document_of(session)["refresh_token"]
    session.logout()
    (request,) = server.asked("/oauth/revoke")
    assert parse_qs(request.body.decode()) == {
        "token": [token],
        "token_type_hint": ["refresh_token"],
        "client_id": ["evertoken"],
    }
    assert not server.is_alive(token)


@pytest.mark.parametrize(
    "answer",
    [
        Answer.json(401, {"error": "invalid_client"}),
        Answer.json(400, {"error": "unsupported_token_type"}),
        Answer(503),
    ],
    ids=["invalid_client", "unsupported_token_type", "503"],
)
def test_a_revocation_that_was_refused_is_no_sign_out(session: Session, server: StagedServer, answer: Answer) -> None:
    """
    A server that did not revoke the token, for whatever reason, has not signed anybody out (RFC 7009 §2.2.1).
    """
    server.script("/oauth/revoke", answer)
    with pytest.raises(SignOutUnavailable):
        session.logout()
    assert session.is_signed_in()
    assert server.live_sessions() == 1


def test_a_sign_out_without_a_revocation_endpoint_forgets_the_tokens(server: StagedServer, moving: MovingClock) -> None:
    """
    Where a server takes no revocations, signing out deletes the tokens here.
    """
    session = at(server, moving, revocation_endpoint=None)
    session.logout()
    assert session.store.load() is None
    assert server.seen == []
