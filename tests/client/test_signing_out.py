"""Signing out: at the server first, and then here, for good."""

import asyncio
from typing import Any

import httpx2
import pytest

from evertoken.client import Session
from evertoken.errors import SignedOut, SignOutUnavailable, TokenStoreUnavailable
from evertoken.testing import Answer, Hangup, MovingClock
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


def test_a_sign_out_ends_the_session_at_the_server_and_here(ada: Session, server: StagedServer, heard: Heard) -> None:
    """
    A sign-out is one call to the server, and then nothing is left in the store; it is told to listeners once.
    """
    old = document_of(ada)["refresh_token"]
    ada.logout()
    assert not server.is_alive(old)
    assert ada.store.load() is None
    assert not ada.is_signed_in()
    with pytest.raises(SignedOut, match="signed_out"):
        ada.token()
    assert heard.reasons == ["signed_out"]
    assert server.requests["/auth/logout", 204] == 1


def test_a_second_sign_out_does_nothing(ada: Session, server: StagedServer, heard: Heard) -> None:
    """
    Signing out where nobody is signed in asks nobody and raises nothing.
    """
    ada.logout()
    ada.logout()
    assert len(server.asked("/auth/logout")) == 1
    assert heard.reasons == ["signed_out"]


@pytest.mark.parametrize(
    "answer",
    [
        Answer(503, (("Retry-After", "8"),)),
        Answer(500),
        Answer(400),
        Answer(401),
        Answer(404),
        Answer(302),
        Hangup.RESET,
        Hangup.CLOSE,
    ],
    ids=["503", "500", "a bare 400", "a bare 401", "404", "302", "reset", "closed"],
)
def test_a_sign_out_that_is_not_confirmed_keeps_the_tokens(
    ada: Session, server: StagedServer, heard: Heard, answer: Answer | Hangup
) -> None:
    """
    Without the server's word the tokens are kept, so that the sign-out can be tried again; and then it succeeds.
    """
    before = ada.store.load()
    server.script("/auth/logout", answer)
    with pytest.raises(SignOutUnavailable, match="has not confirmed the sign-out") as caught:
        ada.logout()
    if isinstance(answer, Answer) and answer.header("Retry-After"):
        assert caught.value.retry_after_seconds == 8
    assert ada.store.load() == before
    assert ada.token()
    assert heard.reasons == []
    ada.logout()
    assert server.live_sessions() == 0
    assert heard.reasons == ["signed_out"]


@pytest.mark.parametrize("code", ["token_invalid", "session_over"])
def test_a_sign_out_of_a_session_that_the_server_does_not_know_is_done(
    ada: Session, server: StagedServer, code: str
) -> None:
    """
    If the server says that there is no such session, there is nothing left to end (RFC 7009 §2.2).
    """
    server.script("/auth/logout", Answer.json(401, {"code": code}))
    ada.logout()
    assert ada.store.load() is None


def test_a_sign_out_during_a_refresh_waits_for_it_and_nothing_comes_back(
    ada: Session, server: StagedServer, heard: Heard
) -> None:
    """
    Once a sign-out is acknowledged no refresh of that session succeeds, and a late one brings no token back.
    """
    with server.hold_refreshes() as gate:
        waiting = aside(ada.refresh)
        gate.wait_for_arrival()
        signing_out = aside(ada.logout)
    signing_out.result(WITHIN_SECONDS)
    assert ada.store.load() is None
    assert server.live_sessions() == 0
    so_far = server.refresh_count
    settle()
    assert waiting.exception(WITHIN_SECONDS) is None or isinstance(waiting.exception(), SignedOut)
    with pytest.raises(SignedOut):
        ada.token()
    assert ada.store.load() is None
    assert server.refresh_count == so_far == 1
    assert heard.reasons == ["signed_out"]


def test_a_refresh_that_fails_under_a_sign_out_says_signed_out(
    ada: Session, server: StagedServer, moving: MovingClock
) -> None:
    """
    Whoever waits for a refresh that a sign-out has overtaken is told that nobody is signed in, not to try again.
    """
    moving.advance(LIFETIME_SECONDS)
    with server.hold_refreshes() as gate:
        waiting = aside(ada.token)
        gate.wait_for_arrival()
        server.end_sessions("revoked")
        signing_out = aside(ada.logout)
    signing_out.result(WITHIN_SECONDS)
    with pytest.raises(SignedOut):
        waiting.result(WITHIN_SECONDS)


def test_a_sign_in_elsewhere_in_the_middle_of_a_sign_out_is_not_deleted(
    server: StagedServer, moving: MovingClock
) -> None:
    """
    A sign-out deletes the session that it has ended, not one that another process has begun in the meantime.
    """
    store = StagedStore()
    here, there = (session_at(server.url, store=store, clock=moving) for _ in range(2))
    here.login("ada", PASSWORD)
    gate = server.hold("/auth/logout")
    signing_out = aside(here.logout)
    gate.wait_for_arrival()
    there.adopt(**_adoptable(server, "bob"))
    gate.release()
    signing_out.result(WITHIN_SECONDS)
    assert there.is_signed_in()
    assert document_of(there)["account"] == "bob"


async def test_a_cancelled_sign_out_goes_on(ada: Session, server: StagedServer) -> None:
    """
    Cancelling the task that awaits a sign-out does not leave a session half ended.
    """
    gate = server.hold("/auth/logout")
    task = asyncio.create_task(ada.alogout())
    await asyncio.to_thread(gate.wait_for_arrival, WITHIN_SECONDS)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.release()
    await asyncio.to_thread(settle)
    assert ada.store.load() is None
    assert server.live_sessions() == 0


def test_a_store_that_cannot_be_emptied_is_told(server: StagedServer, moving: MovingClock) -> None:
    """
    A sign-out that the store does not take is an error, and done when it is tried again.
    """
    store = StagedStore()
    session = session_at(server.url, store=store, clock=moving)
    session.login("ada", PASSWORD)
    store.failing["swap"] = TokenStoreUnavailable("the disk is gone")
    with pytest.raises(TokenStoreUnavailable, match="the disk is gone"):
        session.logout()
    assert session.is_signed_in()
    del store.failing["swap"]
    session.logout()
    assert store.load() is None


def test_a_request_after_a_sign_out_and_a_new_sign_in_is_sent(ada: Session, server: StagedServer) -> None:
    """
    A session object is good for any number of sign-ins and sign-outs.
    """
    from evertoken.client.httpx2 import SilentAuth

    with httpx2.Client(base_url=ada.base_url, auth=SilentAuth(ada)) as http:
        for _ in range(3):
            assert http.get("/data").json()["subject"] == "ada"
            ada.logout()
            with pytest.raises(SignedOut):
                http.get("/data")
            ada.login("ada", PASSWORD)


def _adoptable(server: StagedServer, username: str) -> dict[str, Any]:
    pair = server.sign_in(username)
    return {name: pair[name] for name in ("access_token", "refresh_token", "session_id")} | {"account": username}
