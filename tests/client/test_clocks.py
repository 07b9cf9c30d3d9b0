"""Clocks that stand still, run ahead or are set back."""

from collections.abc import Iterator

import httpx2
import pytest

from evertoken.client import MemoryStore, Session
from evertoken.client.httpx2 import SilentAuth
from evertoken.errors import SignedOut
from evertoken.testing import MovingClock
from tests.client.staging import (
    LIFETIME_SECONDS,
    PASSWORD,
    WITHIN_SECONDS,
    StagedServer,
    aside,
    document_of,
    session_at,
    settle,
)

HOUR = 3600.0
SKEW = 600.0


@pytest.fixture
def here() -> MovingClock:
    """The time of the client's machine, which is not the server's."""
    return MovingClock()


@pytest.fixture
def session(server: StagedServer, here: MovingClock) -> Session:
    """A session of ada's on that machine."""
    made = session_at(server.url, clock=here)
    made.login("ada", PASSWORD)
    return made


@pytest.fixture
def http(session: Session) -> Iterator[httpx2.Client]:
    """What sends its requests."""
    with httpx2.Client(base_url=session.base_url, auth=SilentAuth(session)) as client:
        yield client


def test_a_laptop_that_slept_renews_before_its_first_request(
    http: httpx2.Client, server: StagedServer, here: MovingClock, moving: MovingClock
) -> None:
    """
    After hours asleep, in which only the wall clock went on, the first request costs one refresh and no refusal.
    """
    assert http.get("/data").status_code == 200
    here.sleep_machine(9 * HOUR)
    moving.advance(9 * HOUR)
    assert http.get("/data").status_code == 200
    assert server.refresh_count == 1
    assert server.requests["/data", 401] == 0


def test_a_machine_whose_wall_clock_stands_still_renews_by_the_other_one(
    http: httpx2.Client, server: StagedServer, here: MovingClock, moving: MovingClock
) -> None:
    """
    If the wall clock is set back while a token is in use, the time since then is still counted.
    """
    here.advance(600)
    moving.advance(600)
    here.set_back(3 * HOUR)
    here.advance(LIFETIME_SECONDS - 600)
    moving.advance(LIFETIME_SECONDS - 600)
    assert http.get("/data").status_code == 200
    assert server.refresh_count == 1
    assert server.requests["/data", 401] == 0


def test_a_wall_clock_set_back_makes_no_token_live_longer_than_ever(
    server: StagedServer, here: MovingClock, moving: MovingClock
) -> None:
    """
    A token read from a store under a clock that was set back since is used for one lifetime at most.
    """
    store = MemoryStore()
    session_at(server.url, store=store, clock=here).login("ada", PASSWORD)
    here.set_back(3 * HOUR)
    reader = session_at(server.url, store=store, clock=here)
    token = reader.token()
    here.advance(LIFETIME_SECONDS)
    moving.advance(LIFETIME_SECONDS)
    assert reader.token() != token
    assert server.refresh_count == 1


def test_a_wall_clock_set_back_between_two_refreshes_starts_no_series_of_them(
    http: httpx2.Client, server: StagedServer, here: MovingClock
) -> None:
    """
    However often the clock is set, a hundred requests within one lifetime cost no refresh.
    """
    for _ in range(100):
        here.set_back(HOUR)
        assert http.get("/data").status_code == 200
    settle()
    assert server.refresh_count == 0


@pytest.mark.parametrize("skew", [-SKEW, SKEW], ids=["10 minutes behind", "10 minutes ahead"])
@pytest.mark.parametrize("lifetime_seconds", [LIFETIME_SECONDS, 300.0])
def test_two_machines_whose_clocks_differ_share_a_session(
    moving: MovingClock, skew: float, lifetime_seconds: float
) -> None:
    """
    A record written under a clock that is ten minutes off costs a refresh or a refusal more, never a failed request,
    and the machines do not take turns in renewing what the other has just renewed.
    """
    store = MemoryStore()
    steps, step_seconds = 40, 60.0
    with StagedServer(clock=moving, access_seconds=lifetime_seconds) as server:
        off = session_at(server.url, store=store, clock=lambda: (moving.wall + skew, moving.monotonic))
        right = session_at(server.url, store=store, clock=moving)
        off.login("ada", PASSWORD)
        with (
            httpx2.Client(base_url=server.url, auth=SilentAuth(off)) as one,
            httpx2.Client(base_url=server.url, auth=SilentAuth(right)) as other,
        ):
            for _ in range(steps):
                assert one.get("/data").status_code == other.get("/data").status_code == 200
                settle()
                moving.advance(step_seconds)
        lifetimes = steps * step_seconds / lifetime_seconds
        # Each machine renews once in a lifetime, ahead of its end by the margin.
        assert server.refresh_count <= 2 * (lifetimes * 1.25 + 1)
        assert server.reuses == 0


def test_the_time_that_an_answer_takes_is_taken_off_the_lifetime(
    session: Session, server: StagedServer, here: MovingClock, moving: MovingClock
) -> None:
    """
    A lifetime counts from when the refresh was sent, so that a slow answer makes no token seem younger than it is.
    """
    here.advance(LIFETIME_SECONDS)
    sent_at = here.wall
    with server.hold_refreshes() as gate:
        waiting = aside(session.token)
        gate.wait_for_arrival()
        here.advance(20)
    token = waiting.result(WITHIN_SECONDS)
    assert document_of(session)["expires_at"] == sent_at + LIFETIME_SECONDS
    here.advance(LIFETIME_SECONDS - 20)
    assert session.token() != token


def test_a_session_that_ended_while_the_laptop_slept_is_told_with_its_reason(
    session: Session, server: StagedServer, here: MovingClock, moving: MovingClock
) -> None:
    """
    Who comes back after the session's idle time is signed out for that reason, by one refresh.
    """
    here.sleep_machine(8 * 24 * HOUR)
    moving.advance(8 * 24 * HOUR)
    with pytest.raises(SignedOut, match="expired_idle"):
        session.token()
    assert server.refresh_count == 1
