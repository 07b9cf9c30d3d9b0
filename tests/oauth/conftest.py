"""One server for each file; each test has a session of its own, and time only goes on."""

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.oauth.speaking import API, APP, add_client
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


@pytest.fixture
def tokens(live: LiveServer, http: httpx2.Client) -> dict[str, Any]:
    """Ada's token answer; she signed in with the client `APP`."""
    return live.sign_in(http, client_id=APP)


@pytest.fixture
def secret(live: LiveServer) -> str:
    """The secret of the confidential client `API`."""
    return add_client(live, API)
