"""A server of its own for each test, a client that may read its feed, and sight of who waits there."""

from collections.abc import Iterator

import pytest

from tests.revocations.asking import Asker, Waits, watched
from tests.support.server import LiveServer


@pytest.fixture
def asker(live: LiveServer) -> Iterator[Asker]:
    made = Asker(live)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def waits(live: LiveServer) -> Iterator[Waits]:
    with watched(live.server.services.feed) as seen:
        yield seen
