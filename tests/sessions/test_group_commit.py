"""Group commit: who goes with whom into which commit, and what everybody is told."""

import asyncio
import secrets
from collections.abc import Sequence
from typing import Any

import pytest

from evertoken.errors import HookFailed, Overloaded, StoreUnavailable
from evertoken.sessions.group_commit import MAX_WAIT_SECONDS, GroupCommit
from evertoken.sessions.model import Caller, RotationRequest, RotationResult
from evertoken.sessions.rotation import Outcome
from evertoken.sessions.store import PartlyDecided
from evertoken.tokens import refresh_token
from evertoken.tokens.refresh_token import Delivery


class Commits:
    """A store whose commits begin at once and end when the test says so."""

    def __init__(self) -> None:
        self.batches: list[list[RotationRequest]] = []
        self._running: list[asyncio.Future[list[RotationResult]]] = []

    async def rotate(self, requests: Sequence[RotationRequest]) -> list[RotationResult]:
        self.batches.append(list(requests))
        self._running.append(asyncio.get_running_loop().create_future())
        return await self._running[-1]

    async def end(self, results: list[RotationResult] | None = None) -> None:
        """The newest commit is on the disk; each session's answer carries its own id as the user's."""
        self._running[-1].set_result([_result(one) for one in self.batches[-1]] if results is None else results)
        await turns()

    async def fail(self, error: BaseException) -> None:
        """The newest commit failed."""
        self._running[-1].set_exception(error)
        await turns()


def _result(request: RotationRequest) -> RotationResult:
    return RotationResult(Outcome.REISSUE, 0, user_id=request.token.session_id.hex())


def a_request(session_id: bytes | None = None) -> RotationRequest:
    """A refresh of this session, or of one of its own."""
    token = refresh_token.first(session_id=session_id or secrets.token_bytes(16), delivery=Delivery.BODY, now_ms=0)
    return RotationRequest(token, Caller())


async def turns() -> None:
    """Let everything happen that can happen now."""
    for _ in range(10):
        await asyncio.sleep(0)


async def submit(group: GroupCommit, *requests: RotationRequest) -> "list[asyncio.Task[RotationResult]]":
    """Callers, one for each request."""
    tasks = [asyncio.create_task(group.submit(request)) for request in requests]
    await turns()
    return tasks


async def outcomes(tasks: "list[asyncio.Task[RotationResult]]") -> list[Any]:
    """What each was told; nobody may still be waiting."""
    await turns()
    assert all(task.done() for task in tasks), "somebody hangs"
    return [type(told) for told in await asyncio.gather(*tasks, return_exceptions=True)]


@pytest.fixture
def commits() -> Commits:
    """The store."""
    return Commits()


@pytest.fixture
def group(commits: Commits) -> GroupCommit:
    """The queue before it."""
    return GroupCommit(commits.rotate)


async def test_a_lone_caller_never_waits_for_company(group: GroupCommit, commits: Commits) -> None:
    """A refresh that comes alone is committed alone, at once."""
    request = a_request()
    (task,) = await submit(group, request)
    assert commits.batches == [[request]]
    await commits.end()
    assert task.result() == _result(request)


async def test_callers_during_a_commit_go_together_into_the_next(group: GroupCommit, commits: Commits) -> None:
    """Whoever comes while a commit runs shares the next one, in the order of coming, each with its own answer."""
    first, *later = requests = [a_request() for _ in range(20)]
    tasks = await submit(group, first)
    tasks += await submit(group, *later)
    assert commits.batches == [[first]]
    await commits.end()
    assert commits.batches == [[first], later]
    assert [task.done() for task in tasks] == [True] + [False] * 19
    await commits.end()
    assert [task.result() for task in tasks] == [_result(request) for request in requests]


async def test_callers_of_one_moment_share_the_first_commit(group: GroupCommit, commits: Commits) -> None:
    """Refreshes that arrive in the same turn of the event loop are one commit."""
    requests = [a_request() for _ in range(5)]
    await submit(group, *requests)
    assert commits.batches == [requests]


async def test_a_session_is_never_twice_in_a_batch_and_keeps_its_place(group: GroupCommit, commits: Commits) -> None:
    """Two refreshes of one session are decided one after the other, and waiting costs no place in the queue."""
    twice, others = secrets.token_bytes(16), [a_request() for _ in range(3)]
    one, two, three = (a_request(twice) for _ in range(3))
    tasks = await submit(group, one, others[0], two, others[1], three)
    assert commits.batches[-1] == [one, others[0], others[1]]
    tasks += await submit(group, others[2])
    await commits.end()
    assert commits.batches[-1] == [two, others[2]]
    await commits.end()
    assert commits.batches[-1] == [three]
    await commits.end()
    assert await outcomes(tasks) == [RotationResult] * 6


async def test_a_refresh_that_was_held_back_goes_before_those_that_came_later(commits: Commits) -> None:
    """Waiting for another refresh of the same session does not send anybody to the end of the queue."""
    group = GroupCommit(commits.rotate, max_batch=2)
    first, second = a_request(b"b" * 16), a_request(b"b" * 16)
    others = [a_request() for _ in range(3)]
    await submit(group, first, second, *others)
    assert commits.batches[-1] == [first, others[0]]
    await commits.end()
    assert commits.batches[-1] == [second, others[1]]


async def test_a_batch_has_a_bound_and_the_queue_is_first_come_first_served(commits: Commits) -> None:
    """However many wait, a commit takes the oldest of them and no more than its bound."""
    group = GroupCommit(commits.rotate, max_batch=4)
    requests = [a_request() for _ in range(10)]
    tasks = await submit(group, *requests)
    for expected in (requests[:4], requests[4:8], requests[8:]):
        assert commits.batches[-1] == expected
        await commits.end()
    assert await outcomes(tasks) == [RotationResult] * 10


async def test_one_session_in_a_loop_does_not_hold_up_the_others(commits: Commits) -> None:
    """Many waiting refreshes of one session take one place of each batch; everybody else goes with the first."""
    group = GroupCommit(commits.rotate, max_batch=8)
    busy = [a_request(b"b" * 16) for _ in range(30)]
    others = [a_request() for _ in range(7)]
    await submit(group, *busy, *others)
    assert commits.batches[-1] == [busy[0], *others]


async def test_when_a_commit_fails_each_of_its_callers_is_told_and_the_next_works(
    group: GroupCommit, commits: Commits
) -> None:
    """A failed commit is a 503 for those in it, each with an error of its own, and for nobody behind them."""
    failed = await submit(group, a_request(), a_request())
    behind = await submit(group, a_request())
    await commits.fail(StoreUnavailable("disk full"))
    errors = [task.exception() for task in failed]
    assert [str(error) for error in errors] == ["disk full"] * 2
    assert errors[0] is not errors[1]
    await commits.end()
    assert await outcomes(failed + behind) == [StoreUnavailable, StoreUnavailable, RotationResult]


async def test_where_only_some_could_be_decided_those_are_answered(group: GroupCommit, commits: Commits) -> None:
    """A session that another transaction holds is 503 for its own caller; the others of its batch are answered."""
    tasks = await submit(group, *(a_request() for _ in range(3)))
    first, second, third = commits.batches[-1]
    await commits.fail(PartlyDecided("held", {0: _result(first), 2: _result(third)}))
    assert await tasks[0] == _result(first)
    assert await tasks[2] == _result(third)
    with pytest.raises(StoreUnavailable, match="held"):
        await tasks[1]
    assert second in commits.batches[-1]


@pytest.mark.parametrize("error", [RuntimeError("a bug"), HookFailed("a hook"), MemoryError(), TimeoutError()])
async def test_a_fault_that_nobody_foresaw_leaves_nobody_waiting(
    group: GroupCommit, commits: Commits, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Even a bug in the store is a 503 for the callers of that commit, and the queue goes on."""
    failed = await submit(group, a_request(), a_request())
    behind = await submit(group, a_request())
    await commits.fail(error)
    await commits.end()
    assert await outcomes(failed + behind) == [StoreUnavailable, StoreUnavailable, RotationResult]
    assert ("a commit of rotations failed" in caplog.text) is not isinstance(error, HookFailed)


@pytest.mark.parametrize("count", [0, 1, 3])
async def test_a_store_that_answers_too_few_or_too_many_leaves_nobody_waiting(
    group: GroupCommit, commits: Commits, count: int
) -> None:
    """Answers that cannot be told apart are given to nobody."""
    failed = await submit(group, a_request(), a_request())
    behind = await submit(group, a_request())
    await commits.end([RotationResult(Outcome.REISSUE, 0)] * count)
    await commits.end()
    assert await outcomes(failed + behind) == [StoreUnavailable, StoreUnavailable, RotationResult]


async def test_a_caller_that_is_cancelled_takes_nobody_along(group: GroupCommit, commits: Commits) -> None:
    """Who goes away leaves its rotation to be decided; the others in its commit get their answers."""
    first = await submit(group, a_request())
    gone, stays = await submit(group, a_request(), a_request())
    first[0].cancel()
    gone.cancel()
    await turns()
    await commits.end()
    assert len(commits.batches[-1]) == 2
    await commits.end()
    assert isinstance(stays.result(), RotationResult)
    assert (first[0].cancelled(), gone.cancelled()) == (True, True)


async def test_a_commit_that_fails_after_its_callers_left_is_no_error(group: GroupCommit, commits: Commits) -> None:
    """Nobody is there to be told, and the next caller is served."""
    (gone,) = await submit(group, a_request())
    gone.cancel()
    await commits.fail(StoreUnavailable("locked"))
    (next_one,) = await submit(group, a_request())
    await commits.end()
    assert isinstance(next_one.result(), RotationResult)


async def test_a_full_queue_tells_the_next_caller_at_once(commits: Commits) -> None:
    """Above its bound the queue says 503 right away instead of letting callers wait without end."""
    group = GroupCommit(commits.rotate, max_waiting=3)
    running = await submit(group, a_request())
    waiting = await submit(group, *(a_request() for _ in range(3)))
    with pytest.raises(Overloaded):
        await group.submit(a_request())
    await commits.end()
    served = await submit(group, a_request())
    await commits.end()
    await commits.end()
    assert await outcomes(running + waiting + served) == [RotationResult] * 5


async def test_whoever_waited_too_long_is_told_so_and_never_decided(commits: Commits) -> None:
    """A token that waited for its turn longer than a caller waits is dropped: decided late, it would look replayed."""
    now = 0.0
    group = GroupCommit(commits.rotate, monotonic=lambda: now)
    slow = await submit(group, a_request())
    too_late = await submit(group, a_request(), a_request())
    now = MAX_WAIT_SECONDS - 1
    fresh = a_request()
    in_time = await submit(group, fresh)
    now = MAX_WAIT_SECONDS
    await commits.end()
    assert commits.batches[-1] == [fresh]
    assert [task.done() for task in too_late] == [True, True]
    await commits.end()
    assert await outcomes(slow + too_late + in_time) == [
        RotationResult,
        StoreUnavailable,
        StoreUnavailable,
        RotationResult,
    ]


async def test_a_queue_in_which_everybody_waited_too_long_serves_the_next_caller(commits: Commits) -> None:
    """After a long outage the first refresh that comes is committed at once."""
    now = 0.0
    group = GroupCommit(commits.rotate, monotonic=lambda: now)
    stuck = await submit(group, a_request())
    too_late = await submit(group, a_request())
    now = 2 * MAX_WAIT_SECONDS
    await commits.fail(StoreUnavailable("locked"))
    fresh = a_request()
    served = await submit(group, fresh)
    assert commits.batches[-1] == [fresh]
    await commits.end()
    assert await outcomes(stuck + too_late + served) == [StoreUnavailable, StoreUnavailable, RotationResult]


async def test_when_the_server_stops_everybody_who_waits_is_told(group: GroupCommit, commits: Commits) -> None:
    """Stopping in the middle of a commit answers 503 to those in it and to those behind, instead of hanging them."""
    tasks = await submit(group, a_request())
    tasks += await submit(group, a_request(), a_request())
    assert group._runner is not None
    group._runner.cancel()
    assert await outcomes(tasks) == [StoreUnavailable] * 3
