"""A process that stood still answers no refresh of before: nobody is signed out by it."""

import logging

import pytest

from evertoken.edge.standstill import LEAST_SECONDS, REFUSES_FOR_SECONDS, Standstill
from evertoken.errors import TemporarilyUnavailable
from tests.edge.attacking import refresh
from tests.support.server import LiveServer

OVERLAP = 60.0


class Clocks:
    """This machine's two clocks."""

    def __init__(self) -> None:
        self.wall = 1_800_000_000.0
        self.monotonic = 500.0

    def __call__(self) -> tuple[float, float]:
        return self.wall, self.monotonic

    def move(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def standstill(clocks: Clocks) -> Standstill:
    return Standstill(OVERLAP, clocks=clocks)


def is_refused(standstill: Standstill) -> bool:
    try:
        standstill.demand_none()
    except TemporarilyUnavailable:
        return True
    return False


async def test_after_a_stand_that_is_longer_than_the_overlap_refreshes_are_refused_for_a_moment(
    standstill: Standstill, clocks: Clocks, caplog: pytest.LogCaptureFixture
) -> None:
    """Whichever comes first when it goes on, a request or the beat: what lay in the sockets is answered 503."""
    await standstill.beat()
    clocks.move(OVERLAP + 1)
    assert is_refused(standstill)
    with caplog.at_level(logging.WARNING):
        await standstill.beat()
    assert "stood still for 61 s" in caplog.text
    assert is_refused(standstill)
    clocks.move(REFUSES_FOR_SECONDS)
    assert not is_refused(standstill)


async def test_a_machine_that_slept_is_noticed_by_its_wall_clock(standstill: Standstill, clocks: Clocks) -> None:
    """The monotonic clock of Linux stands still while a machine sleeps; the other one does not."""
    await standstill.beat()
    clocks.wall += 3600
    assert is_refused(standstill)
    await standstill.beat()
    assert is_refused(standstill)


async def test_a_clock_that_is_set_back_refuses_nobody(standstill: Standstill, clocks: Clocks) -> None:
    """Only time that has passed counts."""
    await standstill.beat()
    clocks.wall -= 3600
    assert not is_refused(standstill)


@pytest.mark.parametrize("overlap", [0.0, 3.0, OVERLAP])
async def test_a_short_stand_is_no_matter(overlap: float, clocks: Clocks) -> None:
    """A request may live as long as the overlap, and a busy machine may stop for seconds, however short that is."""
    standstill = Standstill(overlap, clocks=clocks)
    await standstill.beat()
    clocks.move(max(overlap, LEAST_SECONDS))
    assert not is_refused(standstill)
    await standstill.beat()
    assert not is_refused(standstill)


def test_where_nobody_beats_nobody_is_refused(standstill: Standstill, clocks: Clocks) -> None:
    """An application that mounts the server and does not run its lifespan is served for ever."""
    clocks.move(1_000_000)
    assert not is_refused(standstill)


def test_a_server_that_stood_still_says_503_and_the_same_token_is_good_afterwards(
    live: LiveServer, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client is told to come back, and its session is untouched."""
    with live.client() as client:
        token = live.sign_in(client)["refresh_token"]
    standstill = live.server.background.standstill
    monkeypatch.setattr(standstill, "_clocks", clocks)
    live.run(standstill.beat())
    clocks.move(OVERLAP * 10)
    refused = refresh(live, token)
    assert (refused.status, refused.one("Retry-After")) == (503, "1")
    live.run(standstill.beat())
    clocks.move(REFUSES_FOR_SECONDS)
    assert refresh(live, token).status == 200
