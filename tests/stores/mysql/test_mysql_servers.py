"""Whole servers over one MariaDB database."""

from collections.abc import Iterator

import pytest

from tests.stores.compliance.whole_servers import WholeServers, two_servers
from tests.stores.mysql.server import MariadbServer, running_mariadb
from tests.support.server import LiveServer


@pytest.fixture(scope="module")
def database() -> Iterator[MariadbServer]:
    """One database for the whole file."""
    with running_mariadb() as running:
        yield running


@pytest.fixture(scope="module")
def servers(database: MariadbServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[LiveServer]]:
    """Two servers over it."""
    with two_servers(database, tmp_path_factory) as started:
        yield started


class TestWholeServers(WholeServers):
    """What they promise alone they promise together."""

    running = staticmethod(running_mariadb)
