"""One server that speaks every built-in dialect at once, each below its own name."""

from collections.abc import Iterator

import httpx2
import pytest

from evertoken.wire.dialects.known import NAMES
from tests.dialects.server.pages import PAGES, Visitor
from tests.support.clock import MovingClock
from tests.support.server import LiveServer, live_server

EVERY = tuple(f"/{name}={name}" for name in NAMES)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One server for the whole file; each test has sessions of its own, and time only goes on."""
    folder = tmp_path_factory.mktemp("server")
    with live_server(folder, clock=MovingClock(), dialects=EVERY, allow_token_in_url=True) as running:
        running.add_user("ada")
        yield running


@pytest.fixture(scope="module")
def http(live: LiveServer) -> Iterator[httpx2.Client]:
    """One plain HTTP client for the whole file."""
    with live.client() as client:
        yield client


@pytest.fixture(params=NAMES)
def visitor(request: pytest.FixtureRequest, live: LiveServer, http: httpx2.Client) -> Visitor:
    """Somebody at a page of each built-in dialect."""
    return Visitor(live, http, PAGES[request.param], f"/{request.param}")
