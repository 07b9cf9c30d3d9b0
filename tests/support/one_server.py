"""Fixtures of tests that share a server: one for each file, with ada in it. Import them into a conftest."""

from collections.abc import Iterator

import httpx2
import pytest

from tests.support.clock import MovingClock
from tests.support.server import LiveServer, live_server


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One server for the whole file; each test has a session of its own, and time only goes on."""
    with live_server(tmp_path_factory.mktemp("server"), clock=MovingClock()) as running:
        running.add_user("ada")
        yield running


@pytest.fixture(scope="module")
def http(live: LiveServer) -> Iterator[httpx2.Client]:
    """One plain HTTP client for the whole file."""
    with live.client() as client:
        yield client
