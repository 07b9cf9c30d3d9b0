"""What the tests of the PostgreSQL store share."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.stores.postgresql.bench import PostgresBench
from tests.stores.postgresql.server import PostgresServer, running_postgres
from tests.support.clock import MovingClock


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """One server for the whole file; whoever ends it starts it again."""
    with running_postgres(deadlock_timeout="500ms") as running:
        yield running


@pytest.fixture
async def bench(server: PostgresServer, clock: MovingClock) -> AsyncIterator[PostgresBench]:
    """An empty database."""
    made = PostgresBench(server.url(), clock)
    await made.empty()
    yield made
    await made.stop()
