"""The stage on which each client library plays."""

import httpx2
import pytest

from tests.oauth_clients.stage import Stage
from tests.support.one_server import http, live
from tests.support.server import LiveServer

__all__ = ["http", "live"]


@pytest.fixture
def stage(live: LiveServer, http: httpx2.Client) -> Stage:
    """A server with ada signed in."""
    return Stage(live, http)
