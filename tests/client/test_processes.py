"""Many processes, one session in a file: one refresh at a time, whatever befalls the process that makes it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from evertoken.testing import Fault
from tests.client.workers import Kind, Shared, Workers, all_at_once, shared_by
from tests.token_stores.peer import PeerRefused

BOTH: list[Kind] = ["evertoken", "strict"]
LONG_ENOUGH = 120.0
"""Seconds after which nobody rests after a failure any more; the access tokens live much longer."""


@pytest.fixture(scope="module")
def pool() -> Iterator[Workers]:
    """The other processes."""
    workers = Workers()
    yield workers
    workers.close()


@pytest.fixture(params=BOTH)
def shared(request: pytest.FixtureRequest, pool: Workers, tmp_path: Path) -> Iterator[Shared]:
    """A session in a file, at a server of either kind."""
    with shared_by(pool, request.param, tmp_path) as made:
        yield made


@pytest.fixture
def repeatable(pool: Workers, tmp_path: Path) -> Iterator[Shared]:
    """The same at a server of ours, where a refresh whose answer was lost may be repeated."""
    with shared_by(pool, "evertoken", tmp_path) as made:
        yield made


def test_eight_processes_with_an_expired_token_make_one_refresh(shared: Shared) -> None:
    """
    Eight processes that find the same token expired make one refresh between them, and all get the new token.
    """
    old = shared.sign_in()["access_token"]
    workers = shared.workers()
    tokens = all_at_once(workers, "token")
    assert len(set(tokens)) == 1 and old not in tokens
    assert shared.server.refresh_count == 1
    shared.assert_nobody_was_signed_out(workers)


def test_eight_processes_that_are_refused_make_one_refresh(shared: Shared) -> None:
    """
    Eight processes whose requests are refused at once make one refresh between them; every request succeeds.
    """
    old = shared.sign_in(expired=False)["access_token"]
    workers = shared.workers()
    assert set(all_at_once(workers, "token")) == {old}
    shared.server.expire_access_tokens()
    assert set(all_at_once(workers, "get", "/data")) == {200}
    assert shared.server.refresh_count == 1
    shared.assert_nobody_was_signed_out(workers)


@pytest.mark.parametrize("command", ["token", "get"])
def test_eight_processes_survive_a_lost_answer(repeatable: Shared, command: str) -> None:
    """
    If the one answer is lost, the one process that asked sends the same token again, and all go on.
    """
    repeatable.sign_in(expired=command == "token")
    workers = repeatable.workers()
    if command == "get":
        all_at_once(workers, "token")
        repeatable.server.expire_access_tokens()
    repeatable.server.script_refresh(Fault(lose_answer=True))
    answers = all_at_once(workers, "token") if command == "token" else all_at_once(workers, "get", "/data")
    assert len(set(answers)) == 1
    assert repeatable.server.refresh_count == 2
    repeatable.assert_nobody_was_signed_out(workers)


@pytest.mark.parametrize("fate", ["handled after its death", "answer lost", "never arrived"])
def test_a_leader_killed_in_mid_refresh_holds_nobody_up(repeatable: Shared, fate: str) -> None:
    """
    A process that is killed while its refresh is under way takes nothing with it: the next one refreshes, whatever
    the server made of the first call.
    """
    repeatable.sign_in()
    leader, *others = repeatable.workers(5)
    if fate != "handled after its death":
        repeatable.server.script_refresh(Fault(lose_answer=True) if fate == "answer lost" else Fault(reset=True))
    with repeatable.server.hold_refreshes() as gate:
        leader.begin("token")
        gate.wait_for_arrival()
        for worker in others:
            worker.begin("token")
        leader.kill()
        gate.wait_for_arrival(count=2)
    assert len({worker.answer() for worker in others}) == 1
    assert repeatable.server.refresh_count == 2
    repeatable.assert_nobody_was_signed_out(others)


def test_a_leader_killed_before_a_strict_server_acted_holds_nobody_up(pool: Workers, tmp_path: Path) -> None:
    """
    Where refresh tokens work once, a leader's death costs nothing as long as the server had not used its token yet.
    """
    with shared_by(pool, "strict", tmp_path) as shared:
        shared.sign_in()
        leader, *others = shared.workers(5)
        shared.server.script_refresh(Fault(reset=True))
        with shared.server.hold_refreshes() as gate:
            leader.begin("token")
            gate.wait_for_arrival()
            for worker in others:
                worker.begin("token")
            leader.kill()
            gate.wait_for_arrival(count=2)
        assert len({worker.answer() for worker in others}) == 1
        assert shared.server.refresh_count == 2
        shared.assert_nobody_was_signed_out(others)


@pytest.mark.parametrize("released", ["while it is suspended", "afterwards"])
def test_a_suspended_leader_is_waited_for_and_never_overtaken(shared: Shared, released: str) -> None:
    """
    While the process that refreshes is suspended the others get RefreshUnavailable within their timeout, and none
    refreshes beside it; once it runs again its refresh counts for all.
    """
    shared.sign_in()
    leader = shared.workers(5)[0]
    with shared.server.hold_refreshes() as gate:
        leader.begin("token")
        gate.wait_for_arrival()
        leader.suspend()
        if released == "while it is suspended":
            gate.release()
        others = [worker for worker in shared._workers.take(5) if worker is not leader]
        for worker in others:
            worker.ask("open", shared.kind, shared.server.url, str(shared.path), 0.3)
        for worker in others:
            worker.begin("token")
        for worker in others:
            with pytest.raises(PeerRefused, match=r"session\.json\.lock has been held for 0\.3 s") as caught:
                worker.answer()
            assert caught.value.kind == "RefreshUnavailable"
        assert shared.server.refresh_count == 1
        leader.resume()
        gate.release()
    token = leader.answer()
    all_at_once(others, "advance", LONG_ENOUGH)
    assert set(all_at_once(others, "token")) == {token}
    assert shared.server.refresh_count == 1
    shared.assert_nobody_was_signed_out([leader, *others])


def test_a_suspended_leader_whose_answer_is_lost_tries_again_when_it_runs(repeatable: Shared) -> None:
    """
    A suspended process that finds its answer lost when it runs again repeats its refresh, and everybody goes on.
    """
    repeatable.sign_in()
    leader, *others = repeatable.workers(5, timeout_seconds=5)
    repeatable.server.script_refresh(Fault(lose_answer=True))
    with repeatable.server.hold_refreshes() as gate:
        leader.begin("token")
        gate.wait_for_arrival()
        leader.suspend()
        gate.release()
        for worker in others:
            worker.begin("token")
        leader.resume()
    assert {worker.answer() for worker in others} == {leader.answer()}
    assert repeatable.server.refresh_count == 2
    repeatable.assert_nobody_was_signed_out([leader, *others])


def test_a_session_that_ended_is_told_in_every_process_with_its_reason(shared: Shared) -> None:
    """
    When the server ends the session one process asks it, and every process that had it in use tells its listeners
    once.
    """
    shared.sign_in(expired=False)
    workers = shared.workers(5)
    all_at_once(workers, "token")
    shared.server.end_sessions("password_changed")
    shared.server.expire_access_tokens()
    for worker in workers:
        worker.begin("get", "/data")
    for worker in workers:
        with pytest.raises(PeerRefused) as caught:
            worker.answer()
        assert caught.value.kind == "SignedOut"
    reason = "password_changed" if shared.kind == "evertoken" else "invalid_grant"
    assert [worker.ask("ends") for worker in workers] == [[reason]] * 5
    assert shared.server.refresh_count == 1


def test_a_sign_out_in_one_process_signs_all_out(shared: Shared) -> None:
    """
    Once one process has signed out no other one can refresh; each tells its listeners once.
    """
    shared.sign_in(expired=False)
    first, *others = shared.workers(4)
    all_at_once([first, *others], "token")
    first.ask("logout")
    all_at_once(others, "advance", 3600.0)
    for worker in others:
        with pytest.raises(PeerRefused, match="signed_out") as caught:
            worker.ask("token")
        assert caught.value.kind == "SignedOut"
        assert worker.ask("ends") == ["signed_out"]
    assert shared.server.refresh_count == 0
