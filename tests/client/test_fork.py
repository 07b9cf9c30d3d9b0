"""Forking with a session in hand, at any moment; and handing one to another process."""

import contextlib
import multiprocessing
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from evertoken.client import FileStore, MemoryStore, Session, TokenStore
from evertoken.testing import MovingClock
from tests.client.forking import Child
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

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")


@pytest.fixture(params=["file", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> TokenStore:
    """A store of either kind."""
    return FileStore(tmp_path / "session.json") if request.param == "file" else MemoryStore()


@pytest.fixture
def session(server: StagedServer, moving: MovingClock, store: TokenStore) -> Session:
    """A session over it, with ada signed in."""
    made = session_at(server.url, store=store, clock=moving)
    made.login("ada", PASSWORD)
    return made


def test_a_fork_in_mid_refresh_shares_its_outcome(
    session: Session, server: StagedServer, moving: MovingClock, heard: Heard
) -> None:
    """
    A child forked while a refresh is under way waits for its parent's refresh and goes on with the same token.
    """
    moving.advance(LIFETIME_SECONDS)
    with server.hold_refreshes() as gate:
        in_parent = aside(session.token)
        gate.wait_for_arrival()
        in_child = Child(session.token)
    assert in_child.result() == in_parent.result(WITHIN_SECONDS) == document_of(session)["access_token"]
    assert server.refresh_count == 1
    assert heard.reasons == []


def test_a_child_that_refreshes_first_shares_it_with_its_parent(
    session: Session, server: StagedServer, moving: MovingClock
) -> None:
    """
    What a child has fetched its parent finds in the store: neither of them sends a token that the other has used.
    """
    for turn in range(1, 4):
        moving.advance(LIFETIME_SECONDS)
        from_child = Child(session.token).result()
        assert session.token() == from_child
        assert server.refresh_count == turn
    assert server.reuses == 0


def test_parent_and_children_that_refresh_at_once_make_one_refresh(
    session: Session, server: StagedServer, moving: MovingClock, heard: Heard
) -> None:
    """
    A server that forks its workers after making the session has one refresh at a time in all of them.
    """
    moving.advance(LIFETIME_SECONDS)
    with server.hold_refreshes() as gate:
        children = [Child(session.token) for _ in range(4)]
        in_parent = aside(session.token)
        gate.wait_for_arrival()
    assert {child.result() for child in children} == {in_parent.result(WITHIN_SECONDS)}
    assert server.refresh_count == 1
    assert heard.reasons == []


@pytest.mark.parametrize("held", ["_mutex", "_replacing"])
def test_a_fork_while_the_gate_is_locked_does_not_deadlock(
    session: Session, server: StagedServer, moving: MovingClock, held: str
) -> None:
    """
    A child forked in the very moment in which another thread decides or signs in has a gate of its own to go through.
    """
    moving.advance(LIFETIME_SECONDS)
    with getattr(session.gate, held):
        child = Child(session.token)
    assert child.result() == session.token()
    assert server.refresh_count == 1


def test_a_fork_in_mid_refresh_with_the_gate_locked_does_not_deadlock(
    session: Session, server: StagedServer, moving: MovingClock
) -> None:
    """
    Neither the flight, nor the lease, nor the gate of the parent holds the child up.
    """
    moving.advance(LIFETIME_SECONDS)
    with server.hold_refreshes() as gate:
        in_parent = aside(session.token)
        gate.wait_for_arrival()
        with session.gate._mutex:
            child = Child(session.token)
    assert child.result() == in_parent.result(WITHIN_SECONDS)
    assert server.refresh_count == 1


def test_a_child_whose_parent_signs_out_in_mid_refresh_is_signed_out(
    session: Session, server: StagedServer, moving: MovingClock
) -> None:
    """
    A sign-out of the parent holds in its children, even in one forked while the last refresh was under way.
    """

    def told() -> str:
        with contextlib.suppress(Exception):
            session.token()
        settle()
        return "signed in" if session.is_signed_in() else "signed out"

    moving.advance(LIFETIME_SECONDS)
    with server.hold_refreshes() as gate:
        in_parent = aside(session.token)
        gate.wait_for_arrival()
        signing_out = aside(session.logout)
    in_parent.exception(WITHIN_SECONDS)
    signing_out.result(WITHIN_SECONDS)
    assert Child(told).result() == "signed out"
    assert server.live_sessions() == 0


@pytest.mark.parametrize("start", ["fork", "spawn", "forkserver"])
def test_a_session_over_a_file_is_handed_to_another_process(server: StagedServer, tmp_path: Path, start: str) -> None:
    """
    A session over a file is pickled by its place, without a token in the pickle, and works in the other process.
    """
    server._clock = None
    session = session_at(server.url, store=FileStore(tmp_path / "session.json"))
    session.login("ada", PASSWORD)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(start)) as executor:
        assert executor.submit(_token_in_child, session).result(WITHIN_SECONDS) == session.token()


@pytest.mark.parametrize("dump", [multiprocessing.reduction.ForkingPickler.dumps])
def test_a_session_in_memory_refuses_to_be_handed_over(server: StagedServer, dump: Callable[[object], object]) -> None:
    """
    A session in memory cannot be shared with another program, and says what to use instead.
    """
    with pytest.raises(TypeError, match="MemoryStore cannot be pickled or copied: use a FileStore"):
        dump(session_at(server.url))


def test_a_pickled_session_holds_no_token(server: StagedServer, tmp_path: Path) -> None:
    """
    The pickle of a session names its file, and nothing that is in it.
    """
    import pickle

    session = session_at(server.url, store=FileStore(tmp_path / "session.json"))
    session.login("ada", PASSWORD)
    pickled = pickle.dumps(session)
    for secret in (document_of(session)["access_token"], document_of(session)["refresh_token"], PASSWORD):
        assert secret.encode() not in pickled
    assert str(tmp_path).encode() in pickled


def _token_in_child(session: Session) -> str:
    return session.token()
