"""Signing in, and taking over tokens that somebody else has fetched."""

import asyncio
import json
from typing import Any

import pytest

from evertoken.client import Session
from evertoken.errors import (
    SignedOut,
    SignInRefused,
    SignInUnavailable,
    TokenStoreRefused,
    TokenStoreUnavailable,
)
from evertoken.testing import Answer, Gate, Hangup, MovingClock
from tests.client.doubles import StagedStore
from tests.client.staging import (
    LIFETIME_SECONDS,
    PASSWORD,
    WITHIN_SECONDS,
    Heard,
    StagedServer,
    aside,
    document_of,
    session_at,
    settle,
)
from tests.support.server import free_port

PAIR: dict[str, Any] = {"access_token": "an-access-token", "refresh_token": "a-refresh-token"}


async def arrival(gate: Gate) -> None:
    """Wait in a task until a request waits at the gate."""
    await asyncio.to_thread(gate.wait_for_arrival, WITHIN_SECONDS)


def test_the_right_password_signs_in_with_one_call(session: Session, server: StagedServer) -> None:
    """
    A sign-in is one POST with the user name, the password and whatever else the application sends along.
    """
    session.login("ada", PASSWORD, client_id="a-program")
    assert session.is_signed_in()
    assert session.token() == document_of(session)["access_token"]
    assert [json.loads(request.body) for request in server.seen] == [
        {"username": "ada", "password": PASSWORD, "client_id": "a-program"}
    ]


def test_a_wrong_password_is_refused_and_the_session_before_it_stays(
    ada: Session, server: StagedServer, heard: Heard
) -> None:
    """
    A wrong password raises SignInRefused with the server's code; whoever was signed in before still is.
    """
    before = ada.store.load()
    with pytest.raises(SignInRefused, match="bad_credentials") as caught:
        ada.login("bob", "wrong-horse-battery")
    assert caught.value.code == "bad_credentials"
    assert "wrong-horse-battery" not in f"{caught.value!s}{caught.value!r}"
    assert ada.store.load() == before
    assert ada.token()
    assert heard.reasons == []


def test_a_refusal_without_a_code_is_named_by_its_status(session: Session, server: StagedServer) -> None:
    """
    A refused sign-in that is no problem of ours gets the HTTP status as its code.
    """
    server.script("/auth/login", Answer(403, (), b"<html>no</html>"))
    with pytest.raises(SignInRefused) as caught:
        session.login("ada", PASSWORD)
    assert caught.value.code == "403"
    assert not session.is_signed_in()


@pytest.mark.parametrize(
    ("answer", "retry_after_seconds"),
    [
        (Answer(429, (("Retry-After", "7"),)), 7),
        (Answer(500), 1),
        (Answer(503, (("Retry-After", "9"),)), 9),
        (Hangup.RESET, 1),
        (Hangup.CLOSE, 1),
        (Answer(200, (), b"<html>welcome to this hotel's network</html>"), 1),
        (Answer.json(200, {"access_token": None}), 1),
    ],
    ids=["429", "500", "503", "reset", "closed", "a login page of a hotel", "no token"],
)
def test_a_server_in_trouble_makes_a_sign_in_unavailable(
    session: Session, server: StagedServer, answer: Answer | Hangup, retry_after_seconds: int
) -> None:
    """
    A sign-in that the server could not judge raises SignInUnavailable, never SignInRefused, and nothing is stored.
    """
    server.script("/auth/login", answer)
    with pytest.raises(SignInUnavailable) as caught:
        session.login("ada", PASSWORD)
    assert caught.value.retry_after_seconds == retry_after_seconds
    assert PASSWORD not in str(caught.value)
    assert session.store.load() is None


def test_no_network_makes_a_sign_in_unavailable() -> None:
    """
    A sign-in without a network raises SignInUnavailable, which says where nobody answers.
    """
    port = free_port()
    with pytest.raises(SignInUnavailable, match=f"127.0.0.1:{port}: connection refused"):
        session_at(f"http://127.0.0.1:{port}").login("ada", PASSWORD)


def test_a_sign_in_over_an_old_session_ends_that_at_the_server(ada: Session, server: StagedServer) -> None:
    """
    Signing in again leaves one session behind, not two: the one it replaces is ended at the server.
    """
    old = document_of(ada)["refresh_token"]
    ada.login("ada", PASSWORD)
    assert not server.is_alive(old)
    assert server.is_alive(document_of(ada)["refresh_token"])


def test_a_sign_in_stands_though_the_old_session_could_not_be_ended(ada: Session, server: StagedServer) -> None:
    """
    If the server cannot end the replaced session just then, the new sign-in counts all the same.
    """
    server.script("/auth/logout", Answer(503))
    ada.login("bob", PASSWORD)
    assert document_of(ada)["account"] == "bob"


def test_a_sign_in_while_a_refresh_is_in_flight_is_not_changed_by_its_late_outcome(
    ada: Session, server: StagedServer, heard: Heard
) -> None:
    """
    A refresh of the old session that lands after a new sign-in changes nothing, in memory or in the store.
    """
    with server.hold_refreshes() as gate:
        waiting = aside(ada.refresh)
        gate.wait_for_arrival()
        ada.login("bob", PASSWORD)
        token, document = ada.token(), ada.store.load()
    waiting.result(WITHIN_SECONDS)
    settle()
    assert ada.token() == token
    assert ada.store.load() == document
    assert heard.reasons == []


def test_a_refresh_that_lands_in_the_middle_of_a_sign_in_tells_no_listener(
    ada: Session, server: StagedServer, heard: Heard
) -> None:
    """
    Whoever signs in anew here has not been signed out by somebody else, whenever the old session's refresh lands.
    """
    ending = server.hold("/auth/logout")
    with server.hold_refreshes() as gate:
        waiting = aside(ada.refresh)
        gate.wait_for_arrival()
        signing_in = aside(lambda: ada.login("bob", PASSWORD))
        ending.wait_for_arrival()
        gate.release()
        waiting.result(WITHIN_SECONDS)
        assert ada.token() == document_of(ada)["access_token"]
    ending.release()
    signing_in.result(WITHIN_SECONDS)
    settle()
    assert heard.reasons == []


def test_a_waiting_request_is_not_sent_as_somebody_who_signs_in_meanwhile(
    ada: Session, server: StagedServer, moving: MovingClock
) -> None:
    """
    A request of one user that waits for a refresh fails when another user signs in here: it is not sent as his.
    """
    moving.advance(LIFETIME_SECONDS)
    with server.hold_refreshes() as gate:
        waiting = aside(ada.token)
        gate.wait_for_arrival()
        ada.login("bob", PASSWORD)
    with pytest.raises(SignedOut, match="signed_in_anew"):
        waiting.result(WITHIN_SECONDS)
    assert ada.token() == document_of(ada)["access_token"]


def test_a_late_refusal_is_not_sent_again_as_somebody_who_has_signed_in_since(ada: Session) -> None:
    """
    A refused request of one user is sent again for the same user who has signed in anew, and for no other.
    """
    holding = ada.gate.enter()
    ada.login("ada", PASSWORD)
    again = ada.gate.refused(holding)
    assert again is not None
    assert again.access_token == document_of(ada)["access_token"]
    ada.login("bob", PASSWORD)
    with pytest.raises(SignedOut, match="signed_in_anew"):
        ada.gate.refused(again)


async def test_a_cancelled_sign_in_goes_on(session: Session, server: StagedServer) -> None:
    """
    Cancelling the task that awaits a sign-in does not lose the tokens that are on their way.
    """
    gate = server.hold("/auth/login")
    task = asyncio.create_task(session.alogin("ada", PASSWORD))
    await arrival(gate)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.release()
    await asyncio.to_thread(settle)
    assert session.is_signed_in()
    assert await session.atoken() == document_of(session)["access_token"]


async def test_a_cancelled_refresh_goes_on(ada: Session, server: StagedServer) -> None:
    """
    Cancelling the task that awaits a refresh does not lose the new pair; the next caller has it, without a network.
    """
    old = ada.token()
    with server.hold_refreshes() as gate:
        task = asyncio.create_task(ada.arefresh())
        await arrival(gate)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    await asyncio.to_thread(settle)
    assert await ada.atoken() not in (old, None)
    assert server.refresh_count == 1


@pytest.mark.parametrize("error", [TokenStoreUnavailable("the disk is full"), TokenStoreRefused("a link")])
def test_a_store_that_cannot_take_tokens_is_found_before_the_password_is_sent(
    server: StagedServer, moving: MovingClock, error: Exception
) -> None:
    """
    Where the tokens could not be kept, nobody is signed in: the password is not even sent.
    """
    store = StagedStore()
    store.failing["prepare"] = error
    with pytest.raises(type(error), match=str(error)):
        session_at(server.url, store=store, clock=moving).login("ada", PASSWORD)
    assert server.seen == []


def test_a_store_of_another_server_is_refused_before_the_password_is_sent(
    server: StagedServer, moving: MovingClock
) -> None:
    """
    A store that holds another server's session is not overwritten by a sign-in; the error names both servers.
    """
    store = StagedStore()
    session_at("http://127.0.0.1:9", store=store, clock=moving).adopt(**PAIR)
    before = store.load()
    with pytest.raises(TokenStoreRefused, match=f"session of http://127.0.0.1:9, not of {server.url}"):
        session_at(server.url, store=store, clock=moving).login("ada", PASSWORD)
    assert server.seen == []
    assert store.load() == before


@pytest.mark.parametrize("error", [TokenStoreUnavailable("the disk is full"), TokenStoreRefused("a link")])
def test_tokens_that_could_not_be_stored_leave_no_session_at_the_server(
    server: StagedServer, moving: MovingClock, error: Exception
) -> None:
    """
    If the store fails after the server has signed somebody in, that session is ended there again.
    """
    store = StagedStore()
    store.failing["swap"] = error
    session = session_at(server.url, store=store, clock=moving)
    with pytest.raises(type(error), match=str(error)):
        session.login("ada", PASSWORD)
    assert server.live_sessions() == 0
    assert not session.is_signed_in()
    with pytest.raises(SignedOut, match="not_signed_in"):
        session.token()


def test_tokens_taken_over_are_used_without_asking_the_server(session: Session, server: StagedServer) -> None:
    """
    A pair that somebody else has fetched is used at once, and renewed like any other.
    """
    pair = server.sign_in()
    session.adopt(access_token=pair["access_token"], refresh_token=pair["refresh_token"], expires_in=pair["expires_in"])
    assert session.token() == pair["access_token"]
    assert server.seen == []
    session.refresh()
    assert session.token() != pair["access_token"]


def test_an_access_token_taken_over_alone_ends_the_session_with_itself(
    session: Session, moving: MovingClock, heard: Heard
) -> None:
    """
    Without a refresh token the session lasts as long as its access token; then the person has to sign in.
    """
    session.adopt(access_token="short-lived", expires_in=LIFETIME_SECONDS)
    moving.advance(LIFETIME_SECONDS - 1)
    assert session.token() == "short-lived"
    moving.advance(1)
    for _ in range(3):
        with pytest.raises(SignedOut, match="expired"):
            session.token()
    settle()
    assert heard.reasons == ["expired"]


@pytest.mark.parametrize(
    "given",
    [
        {"access_token": ""},
        {"access_token": "two words"},
        {"access_token": "line\r\nbreak"},
        {"access_token": "tökén"},
        {"access_token": "good", "refresh_token": "not\x00good"},
        {"access_token": "good", "expires_in": 0},
        {"access_token": "good", "expires_in": -1},
        {"access_token": "good", "expires_in": float("nan")},
    ],
)
def test_what_is_no_token_is_not_taken_over(session: Session, given: dict[str, object]) -> None:
    """
    What cannot go into a header, or has expired already, is refused before it is stored; the error repeats no token.
    """
    with pytest.raises(ValueError, match=r"is no token|expires_in must be above 0") as caught:
        session.adopt(**given)  # type: ignore[arg-type]
    for text in (given.get("access_token"), given.get("refresh_token")):
        assert not text or text == "good" or str(text) not in str(caught.value)
    assert session.store.load() is None
