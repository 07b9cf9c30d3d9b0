"""A fake server on a clock, and a plain HTTP client for it."""

from collections.abc import Iterator

import pytest

from evertoken.testing import FakeServer, MovingClock
from tests.support.server import client_at
from tests.testing_kit.playing import Stage


@pytest.fixture
def moving() -> MovingClock:
    """The fake server's time."""
    return MovingClock()


@pytest.fixture
def server(moving: MovingClock) -> Iterator[FakeServer]:
    """A fake server with evertoken's rotation."""
    with FakeServer(clock=moving) as running:
        yield running


@pytest.fixture
def fake(server: FakeServer, moving: MovingClock) -> Iterator[Stage]:
    """Where a conversation with it is played."""
    with client_at(server.url) as http:
        yield Stage(http, moving.advance)
