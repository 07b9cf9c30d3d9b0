"""One server for each file; each test has a session of its own, and time only goes on."""

from typing import Any

import httpx2
import pytest

from tests.oauth.speaking import API, APP, add_client
from tests.support.one_server import http, live
from tests.support.server import LiveServer

__all__ = ["http", "live"]


@pytest.fixture
def tokens(live: LiveServer, http: httpx2.Client) -> dict[str, Any]:
    """Ada's token answer; she signed in with the client `APP`."""
    return live.sign_in(http, client_id=APP)


@pytest.fixture
def secret(live: LiveServer) -> str:
    """The secret of the confidential client `API`."""
    return add_client(live, API)
