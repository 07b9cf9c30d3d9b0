"""Who hears that a session has ended, and how often."""

import contextlib
import threading

import pytest

from evertoken.client import Session
from evertoken.errors import RefreshUnavailable, SignedOut
from evertoken.testing import Fault, MovingClock
from tests.client.staging import (
    FAR_FROM_NOW,
    LIFETIME_SECONDS,
    PASSWORD,
    WITHIN_SECONDS,
    Heard,
    StagedServer,
    aside,
    settle,
)


def test_fifty_waiters_of_one_refused_refresh_make_one_call_of_the_listener(
    ada: Session, server: StagedServer, moving: MovingClock, heard: Heard
) -> None:
    """
    When a session ends, everybody who waits gets SignedOut with its reason, and listeners are told once.
    """
    moving.advance(LIFETIME_SECONDS)
    server.end_sessions("password_changed")
    with server.hold_refreshes() as gate:
        waiting = [aside(ada.token) for _ in range(50)]
        gate.wait_for_arrival()
    for waiter in waiting:
        with pytest.raises(SignedOut) as caught:
            waiter.result(WITHIN_SECONDS)
        assert caught.value.reason == "password_changed"
    settle()
    assert heard.reasons == ["password_changed"]
    assert server.refresh_count == 1


def test_a_listener_that_raises_keeps_nobody_from_hearing(
    ada: Session, server: StagedServer, moving: MovingClock, caplog: pytest.LogCaptureFixture
) -> None:
    """
    An error in one listener is logged; the other listeners and the waiters are told all the same, once.
    """

    def broken(reason: str) -> None:
        raise RuntimeError(reason)

    ada.on_signed_out(broken)
    after = Heard(ada)
    moving.advance(LIFETIME_SECONDS)
    server.end_sessions("revoked")
    for _ in range(3):
        with pytest.raises(SignedOut, match="revoked"):
            ada.token()
    settle()
    assert after.reasons == ["revoked"]
    assert [record.message for record in caplog.records].count("a listener of on_signed_out raised") == 1


def test_a_new_sign_in_is_heard_when_it_ends_in_its_turn(
    ada: Session, server: StagedServer, moving: MovingClock, heard: Heard
) -> None:
    """
    Listeners stay: each later session is told when it ends, once.
    """
    for reason in ("revoked", "account_disabled"):
        moving.advance(LIFETIME_SECONDS)
        server.end_sessions(reason)
        with pytest.raises(SignedOut, match=reason):
            ada.token()
        settle()
        ada.login("ada", PASSWORD)
    assert heard.reasons == ["revoked", "account_disabled"]


@pytest.mark.parametrize("status", [429, 500, 502, 503, 403, 404])
def test_a_server_in_trouble_signs_nobody_out(
    ada: Session, server: StagedServer, moving: MovingClock, heard: Heard, status: int
) -> None:
    """
    Whatever goes wrong with a refresh short of a definite refusal, nobody is told that the session has ended.
    """
    moving.advance(LIFETIME_SECONDS)
    server.script_refresh(*[Fault(status=status)] * 3)
    with pytest.raises(RefreshUnavailable):
        ada.token()
    settle()
    assert heard.reasons == []
    assert ada.is_signed_in()
    server.script_refresh()
    moving.advance(FAR_FROM_NOW)


def test_a_listener_taken_off_hears_nothing(ada: Session, server: StagedServer, heard: Heard) -> None:
    """
    What on_signed_out returns takes the listener off again, any number of times.
    """
    other = Heard(ada)
    heard.detach()
    heard.detach()
    ada.logout()
    assert heard.reasons == []
    assert other.reasons == ["signed_out"]


@pytest.mark.parametrize("ended_by", ["the server", "a sign-out"])
def test_a_listener_that_signs_in_again_does_not_deadlock(
    ada: Session, server: StagedServer, moving: MovingClock, ended_by: str
) -> None:
    """
    A listener may sign in again at once, from within: requests then go on with the new session.
    """
    signed_in = threading.Event()

    def again(reason: str) -> None:
        ada.login("ada", PASSWORD)
        signed_in.set()

    ada.on_signed_out(again)
    if ended_by == "the server":
        moving.advance(LIFETIME_SECONDS)
        server.end_sessions("revoked")
        # Whoever waited is told of the end, or goes on with the new session if the listener was quicker.
        with contextlib.suppress(SignedOut):
            aside(ada.token).result(WITHIN_SECONDS)
    else:
        aside(ada.logout).result(WITHIN_SECONDS)
    assert signed_in.wait(WITHIN_SECONDS)
    assert ada.token()
    assert server.live_sessions() == 1


def test_a_session_that_a_resource_says_is_over_is_told_once_and_not_refreshed(
    ada: Session, server: StagedServer, heard: Heard
) -> None:
    """
    A resource that says why the session is over ends it without a refresh, however many say so at once.
    """
    holding = ada.gate.enter()
    refused = [aside(lambda: ada.gate.refused(holding, over="revoked")) for _ in range(8)]
    for one in refused:
        with pytest.raises(SignedOut, match="revoked"):
            one.result(WITHIN_SECONDS)
    settle()
    assert heard.reasons == ["revoked"]
    assert server.refresh_count == 0
