"""A Redis for the tests that need one."""

from collections.abc import Iterator

import pytest

from evertoken.client.token_stores.redis import RedisStore
from tests.token_stores.redis_server import RedisServer, running_redis


@pytest.fixture(scope="package")
def running() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture
def server(running: RedisServer) -> RedisServer:
    with running.admin() as admin:
        admin.flushall()
    return running


@pytest.fixture
def store(server: RedisServer) -> RedisStore:
    return RedisStore(server.url())
