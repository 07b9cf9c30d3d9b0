"""What the tests of /admin share: a server with an operator, and somebody who is none."""

from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.admin.operating import Operator
from tests.support.clock import MovingClock
from tests.support.server import LiveServer, live_server


@pytest.fixture
def live(tmp_path: Path, clock: MovingClock) -> Iterator[LiveServer]:
    """A server on a real socket with the operator root and the user ada; its time is `clock`."""
    with live_server(tmp_path, clock=clock) as running:
        running.add_user("root", roles=("staff", "admin"))
        running.add_user("ada")
        yield running


@pytest.fixture
def operator(live: LiveServer, http: httpx2.Client) -> Operator:
    """Root, signed in."""
    return Operator(live, http)
