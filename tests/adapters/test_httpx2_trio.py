"""httpx2's `AsyncClient` under trio: the same session, waited for without asyncio."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
import trio

from evertoken.client import Session
from evertoken.client.httpx2 import SilentAuth
from evertoken.testing import FakeServer, MovingClock

BOUND_SECONDS = 30

Open = Callable[[], Any]


@pytest.fixture
def moving() -> MovingClock:
    """The time of server and session."""
    return MovingClock()


@pytest.fixture
def server(moving: MovingClock) -> Iterator[FakeServer]:
    """A server whose refresh tokens are good for one use."""
    with FakeServer(clock=moving, rotation="strict") as server:
        yield server


@pytest.fixture
def opened(server: FakeServer, moving: MovingClock) -> Open:
    """Opens a client of a signed-in session."""
    session = Session(server.url, clock=moving)
    session.login("ada", "correct-horse-battery")

    @asynccontextmanager
    async def open_() -> AsyncIterator[httpx2.AsyncClient]:
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=20)
        with trio.fail_after(BOUND_SECONDS):
            async with httpx2.AsyncClient(
                base_url=server.url, auth=SilentAuth(session), limits=limits, timeout=BOUND_SECONDS, verify=False
            ) as http:
                yield http

    return open_


@pytest.mark.parametrize("how", ["by the clock", "by the server"])
def test_many_trio_tasks_on_an_expired_token_make_one_refresh(
    server: FakeServer, moving: MovingClock, opened: Open, how: str
) -> None:
    """
    Two hundred tasks of trio wait for one refresh, and all are answered.
    """
    statuses: list[int] = []

    async def get(http: httpx2.AsyncClient) -> None:
        statuses.append((await http.get("/auth/me")).status_code)

    async def run() -> None:
        async with opened() as http, trio.open_nursery() as nursery:
            for _ in range(200):
                nursery.start_soon(get, http)

    moving.advance(3600) if how == "by the clock" else server.expire_access_tokens()
    trio.run(run)
    assert statuses == [200] * 200
    assert (server.refresh_count, server.reuses) == (1, 0)


def test_a_trio_leader_that_is_cancelled_leaves_the_refresh_to_the_others(server: FakeServer, opened: Open) -> None:
    """
    Cancelling the task whose request started the refresh, or a waiter that times out, harms nobody else.
    """
    statuses: list[int] = []

    async def get(http: httpx2.AsyncClient) -> None:
        statuses.append((await http.get("/auth/me")).status_code)

    async def led(http: httpx2.AsyncClient, scope: trio.CancelScope) -> None:
        with scope:
            await http.get("/auth/me")

    async def run() -> None:
        leading = trio.CancelScope()
        async with opened() as http, trio.open_nursery() as nursery:
            nursery.start_soon(led, http, leading)
            await trio.to_thread.run_sync(gate.wait_for_arrival)
            for _ in range(10):
                nursery.start_soon(get, http)
            with trio.move_on_after(0.05) as impatient:
                await http.get("/auth/me")
            leading.cancel()
            gate.release()
        assert leading.cancelled_caught
        assert impatient.cancelled_caught

    server.expire_access_tokens()
    with server.hold_refreshes() as gate:
        trio.run(run)
    assert statuses == [200] * 10
    assert (server.refresh_count, server.reuses) == (1, 0)


def test_a_trio_run_that_ends_in_mid_refresh_leaves_it_to_the_next(server: FakeServer, opened: Open) -> None:
    """
    When `trio.run` ends during a refresh, the next one's request gets its result, without another.
    """

    async def ends_early() -> None:
        async with opened() as http, trio.open_nursery() as nursery:
            nursery.start_soon(http.get, "/auth/me")
            await trio.to_thread.run_sync(gate.wait_for_arrival)
            nursery.cancel_scope.cancel()

    async def next_run() -> int:
        async with opened() as http:
            return int((await http.get("/auth/me")).status_code)

    server.expire_access_tokens()
    with server.hold_refreshes() as gate:
        trio.run(ends_early)
        gate.release()
        assert trio.run(next_run) == 200
    assert (server.refresh_count, server.reuses) == (1, 0)
