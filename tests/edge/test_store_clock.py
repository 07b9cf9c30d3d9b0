"""A machine's clock beside the store's: what is one question worth, and what comes of it."""

import logging

import pytest

from evertoken.edge.store_clock import LEAST_CERTAINTY_MS, TOLERATED_MS, Difference, StoreClock, difference, measured

NOW_MS = 1_800_000_000_000
MINUTE_MS = 60_000


class OwnClock:
    """This machine's; each look at it takes a moment."""

    def __init__(self, *, per_look_ms: int = 0) -> None:
        self.now_ms = NOW_MS
        self._per_look_ms = per_look_ms

    def __call__(self) -> int:
        self.now_ms += self._per_look_ms
        return self.now_ms


class ToldTime:
    """A store that says this."""

    def __init__(self, now_ms: int) -> None:
        self._now_ms = now_ms

    async def now_ms(self) -> int:
        return self._now_ms


@pytest.mark.parametrize(
    ("told_ms", "answered_ms", "expected"),
    [
        (NOW_MS + 5, NOW_MS + 10, Difference(0, 5)),
        (NOW_MS + 3 * MINUTE_MS + 5, NOW_MS + 10, Difference(3 * MINUTE_MS, 5)),
        (NOW_MS - MINUTE_MS, NOW_MS, Difference(-MINUTE_MS, 0)),
        (NOW_MS, NOW_MS + 4_001, Difference(-2_000, 2_001)),
    ],
)
def test_one_question_tells_the_difference_to_half_of_the_time_it_took(
    told_ms: int, answered_ms: int, expected: Difference
) -> None:
    """The store read its clock at some time between question and answer: the middle, give or take half."""
    assert difference(asked_ms=NOW_MS, told_ms=told_ms, answered_ms=answered_ms) == expected


@pytest.mark.parametrize("ahead_ms", [-3 * MINUTE_MS, -TOLERATED_MS - 1, TOLERATED_MS + 1, 3 * MINUTE_MS])
async def test_a_machine_whose_clock_is_off_goes_by_the_stores(ahead_ms: int) -> None:
    """Above two seconds the store's time counts, either way, and when this machine's clock is set right, that does."""
    own = OwnClock()
    clock = StoreClock(own)
    await clock.compare(ToldTime(NOW_MS + ahead_ms))
    assert clock() == NOW_MS + ahead_ms
    own.now_ms += ahead_ms
    await clock.compare(ToldTime(own.now_ms))
    assert clock() == own.now_ms


@pytest.mark.parametrize("ahead_ms", [-TOLERATED_MS, -3, 0, 3, TOLERATED_MS])
async def test_a_machine_whose_clock_is_nearly_right_goes_by_it(ahead_ms: int) -> None:
    """A clock that NTP keeps runs more evenly than one that is asked for over a network."""
    clock = StoreClock(OwnClock())
    await clock.compare(ToldTime(NOW_MS + ahead_ms))
    assert clock() == NOW_MS


async def test_a_slow_answer_changes_nothing() -> None:
    """A store that takes its time says little about the clock; what was learned before stays."""
    own = OwnClock()
    clock = StoreClock(own)
    await clock.compare(ToldTime(NOW_MS + MINUTE_MS))
    slow = await measured(ToldTime(NOW_MS), OwnClock(per_look_ms=2 * LEAST_CERTAINTY_MS + 2))
    assert not slow.is_known
    clock.learn(slow)
    assert clock() == NOW_MS + MINUTE_MS


async def test_a_wrong_clock_is_logged_once_and_its_cure_too(caplog: pytest.LogCaptureFixture) -> None:
    """The log says by how much and which way, once, and not every ten seconds."""
    caplog.set_level(logging.INFO, "evertoken.edge.store_clock")
    own = OwnClock()
    clock = StoreClock(own)
    for _ in range(3):
        await clock.compare(ToldTime(NOW_MS + 3 * MINUTE_MS))
    await clock.compare(ToldTime(NOW_MS))
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        (
            "WARNING",
            "this machine's clock is 3 min 0 s behind the store's, by which this server goes; keep both by NTP",
        ),
        ("INFO", "this machine's clock and the store's agree again"),
    ]


@pytest.mark.parametrize(
    ("ahead_ms", "words"),
    [
        (7_400, "7 s behind the store's"),
        (-61_000, "1 min 1 s ahead of the store's"),
        (59_700, "1 min 0 s behind the store's"),
    ],
)
def test_a_difference_is_told_of_this_machines_clock(ahead_ms: int, words: str) -> None:
    """Where the store's is ahead, this one is behind."""
    assert Difference(ahead_ms, 0).in_words() == words
