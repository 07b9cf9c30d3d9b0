"""What the tests of the Redis store share."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.stores.redis.bench import RedisBench
from tests.stores.redis.server import RedisServer, running_redis
from tests.support.clock import MovingClock


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    """One server for the whole file; whoever ends it starts it again."""
    with running_redis() as running:
        yield running


@pytest.fixture
async def bench(server: RedisServer, tmp_path: Path, clock: MovingClock) -> AsyncIterator[RedisBench]:
    """An empty Redis, with its usual settings."""
    made = RedisBench(tmp_path, clock, server)
    await made.empty()
    yield made
    await made.stop()
