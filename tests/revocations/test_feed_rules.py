"""The feed by itself: pages, cursors, wake-ups and bounds, with clocks that stand still."""

import asyncio
from typing import Any

import msgspec
import pytest

from evertoken.edge import feed as feed_module
from evertoken.edge.feed import LONGEST_WAKE_PAUSE_SECONDS, RevocationFeed
from evertoken.errors import Overloaded, StoreUnavailable
from tests.support.clock import MovingClock

KEPT_MS = 1_861_000


class Standing:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def monotonic() -> Standing:
    return Standing()


@pytest.fixture
def feed(clock: MovingClock, monotonic: Standing) -> RevocationFeed:
    made = RevocationFeed(kept_ms=KEPT_MS, clock=clock, monotonic=monotonic)
    made.followed()
    return made


def page(feed: RevocationFeed, after: int | None) -> Any:
    return msgspec.json.decode(feed.page(after))


def learn(feed: RevocationFeed, clock: MovingClock, *names: str) -> int:
    """A batch as the store gives it, at the clock's time; returns its cursor."""
    cursor = max(clock() * 1000, feed._last + len(names))
    feed.learn([(name, clock()) for name in names], cursor)
    return cursor


async def test_an_empty_feed_makes_nobody_ask_in_circles(feed: RevocationFeed) -> None:
    """Nothing was ever revoked: the first answer comes at once, and its cursor is one to wait with."""
    answer = page(feed, None)
    assert (answer["revoked"], answer["complete"]) == ([], True)
    assert not feed.has_news(int(answer["cursor"]))


async def test_a_batch_is_never_torn(feed: RevocationFeed, clock: MovingClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries of one batch share a cursor, so they stand in one answer, however large."""
    monkeypatch.setattr(feed_module, "PAGE", 3)
    learn(feed, clock, "a", "b")
    middle = learn(feed, clock, "c", "d", "e")
    learn(feed, clock, "f")
    first = page(feed, None)
    assert [entry["session_id"] for entry in first["revoked"]] == ["a", "b", "c", "d", "e"]
    assert (first["cursor"], first["complete"]) == (str(middle), False)
    rest = page(feed, middle)
    assert ([entry["session_id"] for entry in rest["revoked"]], rest["complete"]) == (["f"], True)


async def test_what_no_token_can_belong_to_any_more_is_forgotten(feed: RevocationFeed, clock: MovingClock) -> None:
    """A hundred thousand ended sessions take memory for one access lifetime, and then none."""
    for _ in range(10):
        learn(feed, clock, *(f"s{number}" for number in range(10_000)))
        clock.advance(60)
    assert len(feed) == 100_000
    clock.advance(KEPT_MS / 1000)
    learn(feed, clock, "last")
    assert len(feed) == 1
    assert [entry["session_id"] for entry in page(feed, 0)["revoked"]] == ["last"]


async def test_old_news_is_dropped_while_new_news_comes(feed: RevocationFeed, clock: MovingClock) -> None:
    """A server that ends a session every second holds those of one lifetime, and a little more."""
    for number in range(10_000):
        learn(feed, clock, f"s{number}")
        clock.advance(1)
    assert KEPT_MS // 1000 <= len(feed) < 2 * KEPT_MS // 1000 + 1024


async def test_a_store_that_is_not_followed_is_not_passed_off_as_news(
    feed: RevocationFeed, clock: MovingClock, monotonic: Standing
) -> None:
    """A worker that has lost its store says so (503) instead of answering that nothing was revoked."""
    learn(feed, clock, "a")
    page(feed, None)
    monotonic.now += 10.1
    with pytest.raises(StoreUnavailable):
        feed.page(None)
    feed.followed()
    assert page(feed, None)["revoked"]


async def test_the_first_news_after_a_pause_wakes_at_once_and_a_burst_waits_a_moment(
    feed: RevocationFeed, clock: MovingClock, monotonic: Standing
) -> None:
    """A lone sign-out is told at once; the next ones within the pause are told together, at its end."""
    first = learn(feed, clock, "a")
    assert feed.has_news(0) and not feed.has_news(first)
    second = learn(feed, clock, "b")
    assert feed.has_news(0) and not feed.has_news(first)
    waiting = asyncio.create_task(feed.wait(20))
    await asyncio.sleep(0)
    assert feed.waiting == 1
    monotonic.now += LONGEST_WAKE_PAUSE_SECONDS
    async with asyncio.timeout(10):
        await waiting
    assert feed.has_news(first) and not feed.has_news(second)


async def test_too_many_who_wait_are_sent_away(feed: RevocationFeed, monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of long polls is bounded; one more is told when to come back."""
    monkeypatch.setattr(feed_module, "MAX_WAITING", 2)
    waiting = [asyncio.create_task(feed.wait(20)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded) as refused:
        await feed.wait(20)
    assert refused.value.retry_after_seconds == 5
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert feed.waiting == 0


async def test_thousands_are_woken_in_turns(feed: RevocationFeed, clock: MovingClock) -> None:
    """Between two hundred who are woken and the next, everybody else on the event loop has a turn."""
    waiting = [asyncio.create_task(feed.wait(20)) for _ in range(2_000)]
    await asyncio.sleep(0)
    learn(feed, clock, "a")
    turns = 0
    while feed.waiting:
        turns += 1
        await asyncio.sleep(0)
        assert turns < 1000
    assert turns >= 9
    async with asyncio.timeout(10):
        await asyncio.gather(*waiting)
