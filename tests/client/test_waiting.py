"""Everybody who waits for a refresh: threads, tasks, event loops, and those who give up."""

import asyncio
from collections.abc import Callable

import pytest
import trio

from evertoken.client import MemoryStore, Session
from evertoken.client.refresher.holding import Holding
from evertoken.errors import ConfigurationError, RefreshUnavailable, SignedOut
from evertoken.testing import Fault, MovingClock
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


async def _many(session: Session) -> set[str]:
    return set(await asyncio.gather(*[session.atoken() for _ in range(10)]))


def test_threads_and_event_loops_share_one_refresh(ada: Session, server: StagedServer, moving: MovingClock) -> None:
    """
    Ten threads and sixty tasks in six event loops of their own, asyncio's and trio's, get one token by one refresh.
    """

    async def in_trio() -> set[str]:
        return {await ada.atoken()}

    moving.advance(LIFETIME_SECONDS)
    with server.hold_refreshes() as gate:
        waiting = [aside(lambda: {ada.token()}) for _ in range(10)]
        waiting += [aside(lambda: asyncio.run(_many(ada))) for _ in range(5)]
        waiting += [aside(lambda: trio.run(in_trio))]
        gate.wait_for_arrival()
    assert {token for waiter in waiting for token in waiter.result(WITHIN_SECONDS)} == {ada.token()}
    assert server.refresh_count == 1


def test_a_loop_that_is_closed_in_mid_refresh_takes_nothing_with_it(
    ada: Session, server: StagedServer, moving: MovingClock
) -> None:
    """
    An event loop that ends while its task waits for a refresh loses that task and nothing else.
    """

    async def give_up() -> None:
        task = asyncio.create_task(ada.atoken())
        await asyncio.to_thread(gate.wait_for_arrival)
        assert not task.done()  # asyncio.run cancels it

    moving.advance(LIFETIME_SECONDS)
    with server.hold_refreshes() as gate:
        asyncio.run(give_up())
        in_thread = aside(ada.token)
    assert in_thread.result(WITHIN_SECONDS) == document_of(ada)["access_token"]
    assert server.refresh_count == 1


async def test_one_cancelled_task_does_not_keep_the_others_waiting(
    ada: Session, server: StagedServer, moving: MovingClock
) -> None:
    """
    The first of many tasks that need a refresh may be cancelled: the others get their token by the same refresh.
    """
    moving.advance(LIFETIME_SECONDS)
    with server.hold_refreshes() as gate:
        tasks = [asyncio.create_task(ada.atoken()) for _ in range(5)]
        await asyncio.to_thread(gate.wait_for_arrival)
        tasks[0].cancel()
    got = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), WITHIN_SECONDS)
    assert isinstance(got[0], asyncio.CancelledError)
    assert set(got[1:]) == {document_of(ada)["access_token"]}
    assert server.refresh_count == 1


def test_a_server_that_never_answers_is_given_up_in_time(server: StagedServer) -> None:
    """
    Nobody waits for longer than the session's timeout: a server that takes the call and says nothing is a
    RefreshUnavailable.
    """
    server._clock = None
    session = session_at(server.url, timeout_seconds=0.5)
    session.login("ada", PASSWORD)
    holding = session.gate.enter()
    server.script_refresh(*[Fault(hang=True)] * 3)
    with pytest.raises(RefreshUnavailable, match="no answer within"):
        aside(lambda: session.gate.refused(holding)).result(WITHIN_SECONDS)
    assert session.is_signed_in()


def test_requests_made_during_a_refresh_ahead_of_time_do_not_wait_for_it(
    ada: Session, server: StagedServer, moving: MovingClock
) -> None:
    """
    While a token that still lives is renewed beside the requests, they go on with it.
    """
    token = ada.token()
    moving.advance(LIFETIME_SECONDS - 1)
    with server.hold_refreshes() as gate:
        assert ada.token() == token
        gate.wait_for_arrival()
        assert [ada.token() for _ in range(5)] == [token] * 5
    settle()
    assert ada.token() != token
    assert server.refresh_count == 1


def test_late_refusals_of_one_old_token_cost_no_second_refresh(ada: Session, server: StagedServer) -> None:
    """
    Refusals of a token that has been replaced since are answered with the new one, however late they come.
    """
    old = ada.gate.enter()
    renewed = [ada.gate.refused(old) for _ in range(8)]
    tokens = {holding.access_token for holding in renewed if isinstance(holding, Holding)}
    assert tokens == {document_of(ada)["access_token"]}
    assert server.refresh_count == 1


def test_two_sign_ins_at_once_leave_one_session(ada: Session, server: StagedServer, heard: Heard) -> None:
    """
    However sign-ins overlap, one session is left at the server in the end: the one in the store.
    """
    for signing_in in [aside(lambda: ada.login("ada", PASSWORD)) for _ in range(6)]:
        signing_in.result(WITHIN_SECONDS)
    assert server.live_sessions() == 1
    assert server.is_alive(document_of(ada)["refresh_token"])
    assert ada.token() == document_of(ada)["access_token"]
    assert heard.reasons == []


def test_a_sign_in_here_in_the_middle_of_a_sign_out_counts(ada: Session, server: StagedServer) -> None:
    """
    Whoever signs in while a sign-out of the session before is under way stays signed in.
    """
    gate = server.hold("/auth/logout")
    signing_out = aside(ada.logout)
    gate.wait_for_arrival()
    pair = server.sign_in("bob")
    ada.adopt(
        access_token=pair["access_token"],
        refresh_token=pair["refresh_token"],
        session_id=pair["session_id"],
        account="bob",
    )
    gate.release()
    signing_out.result(WITHIN_SECONDS)
    settle()
    assert ada.token() == pair["access_token"]
    assert ada.is_signed_in()


@pytest.mark.parametrize("ask", [Session.token, Session.refresh], ids=["token", "refresh"])
def test_nobody_signed_in_is_told_without_asking_the_server(
    session: Session, server: StagedServer, heard: Heard, ask: Callable[[Session], object]
) -> None:
    """
    Before the first sign-in every request raises SignedOut("not_signed_in"), and no listener hears of an end.
    """
    for _ in range(3):
        with pytest.raises(SignedOut, match="not_signed_in"):
            ask(session)
    settle()
    assert server.seen == []
    assert heard.reasons == []


def test_a_session_without_a_sign_in_of_its_own_says_what_to_do(server: StagedServer) -> None:
    """
    An OAuth session has no password sign-in, and says how it gets its tokens.
    """
    from evertoken.client import oauth_session

    session = oauth_session(server.url, client_id="me", token_endpoint=f"{server.url}/oauth/token")
    with pytest.raises(ConfigurationError, match=r"hand over tokens with Session\.adopt"):
        session.login("ada", PASSWORD)


def test_a_token_that_expires_on_its_way_is_sent_all_the_same(moving: MovingClock) -> None:
    """
    Where answers take longer than a token lives, one refresh is made for a request, not one after the other.
    """
    store = StagedStore()
    with StagedServer(clock=moving, access_seconds=10) as server:
        session = session_at(server.url, store=store, clock=moving)
        session.login("ada", PASSWORD)
        store.before["swap"] = lambda: moving.advance(11)
        moving.advance(11)
        assert session.token() == document_of(session)["access_token"]
        assert server.refresh_count == 1


def test_a_refresh_that_is_asked_for_is_made_though_the_last_one_helped_nobody(
    ada: Session, server: StagedServer
) -> None:
    """
    After a refresh that did not help a refused request, the application can still have the token renewed.
    """
    renewed = ada.gate.refused(ada.gate.enter())
    assert renewed is not None
    assert ada.gate.refused(renewed, was_sent_again=True) is None
    ada.refresh()
    assert server.refresh_count == 2


def test_a_refresh_that_is_asked_for_is_one_call_though_the_token_has_expired(
    ada: Session, server: StagedServer, moving: MovingClock
) -> None:
    """
    Asking for a refresh makes one, whether or not the token has expired.
    """
    moving.advance(LIFETIME_SECONDS)
    ada.refresh()
    assert server.refresh_count == 1


@pytest.mark.parametrize("before", ["never signed in", "signed out"])
def test_a_sign_in_of_another_program_is_noticed(server: StagedServer, moving: MovingClock, before: str) -> None:
    """
    A service that was started before anybody signed in, or that was signed out, goes on once another program (a
    command line, say) has signed in at the same store.
    """
    store = MemoryStore()
    service, command = (session_at(server.url, store=store, clock=moving) for _ in range(2))
    if before == "signed out":
        service.login("ada", PASSWORD)
        command.logout()
        moving.advance(LIFETIME_SECONDS)
    with pytest.raises(SignedOut):
        service.token()
    command.login("ada", PASSWORD)
    assert service.is_signed_in()
    assert service.token() == command.token()
