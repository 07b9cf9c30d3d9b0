"""Three machines on one MariaDB, over TLS."""

from collections.abc import Iterator

import pytest

from tests.machines.databases import mariadb
from tests.machines.going import Going
from tests.machines.together import Together, three_machines
from tests.machines.world import World
from tests.stores.mysql.server import PASSWORD, PASSWORD_ITSELF
from tests.support.process import run_evertoken

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module", name="world")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world for the whole file."""
    with three_machines(tmp_path_factory.mktemp("machines"), mariadb) as running:
        yield running


class TestMariadb(Together, Going):
    """The rules, on MariaDB."""


def test_mariadb_is_reached_over_tls_and_only_under_its_own_name(world: World) -> None:
    """A server that others vouch for is refused in one line; who comes without TLS is not let in."""
    with world.ways() as ways:
        assert [way.get("/readyz").status_code for way in ways] == [200] * len(ways)
    url = str(world.database.settings["store"])
    stranger = url.replace(str(world.database.certificates.authority), str(world.database.certificates.server))
    for wrong, why in ((stranger, "certificate"), (url.partition("?")[0], "ssl_mode")):
        refused = run_evertoken("serve", "--store", wrong, environment={"EVERTOKEN_SECRET": "x" * 40})
        assert refused.returncode == 1
        (line,) = refused.stderr.splitlines()
        assert line.startswith("evertoken: store: mysql://evertoken:***@")
        assert why in line
        assert PASSWORD not in refused.stderr
        assert PASSWORD_ITSELF not in refused.stderr
