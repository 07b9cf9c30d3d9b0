"""What the tests of the MariaDB store share."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.stores.mysql.bench import MariadbBench
from tests.stores.mysql.server import MariadbServer, running_mariadb
from tests.support.clock import MovingClock


@pytest.fixture(scope="module")
def server() -> Iterator[MariadbServer]:
    """One server for the whole file; whoever ends it starts it again."""
    with running_mariadb() as running:
        yield running


@pytest.fixture
async def bench(server: MariadbServer, clock: MovingClock) -> AsyncIterator[MariadbBench]:
    """An empty database."""
    made = MariadbBench(server.url(), clock, admin_url=server.admin_url)
    await made.empty()
    yield made
    await made.stop()
