"""What many tests share: a clock to move, a server on a real socket, a store."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.clock import MovingClock
from tests.support.server import LiveServer, live_server


@pytest.fixture
def clock() -> MovingClock:
    """Time, as the test wants it."""
    return MovingClock()


@pytest.fixture
def live(tmp_path: Path, clock: MovingClock) -> Iterator[LiveServer]:
    """A server on a real socket with the user ada; its time is `clock`."""
    with live_server(tmp_path, clock=clock) as running:
        running.add_user("ada")
        yield running


@pytest.fixture
def http(live: LiveServer) -> Iterator[httpx2.Client]:
    """A plain HTTP client for `live`."""
    with live.client() as client:
        yield client
