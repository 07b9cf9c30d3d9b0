"""Three machines on one Redis, over TLS, with the users in PostgreSQL."""

from collections.abc import Iterator

import pytest

from tests.machines.databases import REDIS_TLS_PORT, redis_and_postgresql
from tests.machines.going import Going
from tests.machines.together import Together, three_machines
from tests.machines.world import World
from tests.support.process import run_evertoken
from tests.token_stores.redis_server import PASSWORD, PASSWORD_ITSELF

pytestmark = pytest.mark.alone


@pytest.fixture(scope="module", name="world")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One world for the whole file."""
    with three_machines(tmp_path_factory.mktemp("machines"), redis_and_postgresql) as running:
        yield running


class TestRedis(Together, Going):
    """The rules, on Redis."""


def test_redis_is_reached_over_tls_and_only_under_its_own_name(world: World) -> None:
    """With rediss:// every connection is TLS, and a server that others vouch for is refused in one line."""
    assert world.database.redis is not None
    with world.ways() as ways:
        assert [way.get("/readyz").status_code for way in ways] == [200] * len(ways)
    with world.database.machine.inside(), world.database.redis.admin() as admin:
        ours = [one["laddr"] for one in admin.client_list() if not one["addr"].startswith("127.")]
    assert ours
    assert {where.rpartition(":")[2] for where in ours} == {str(REDIS_TLS_PORT)}
    url = str(world.database.settings["store"])
    stranger = url.replace(str(world.database.certificates.authority), str(world.database.certificates.server))
    where = ("--store", stranger, "--users-store", str(world.database.settings["users_store"]))
    refused = run_evertoken("serve", *where, environment={"EVERTOKEN_SECRET": "x" * 40})
    assert refused.returncode == 1
    (line,) = refused.stderr.splitlines()
    assert line.startswith("evertoken: store: rediss://:***@")
    assert "its certificate is not accepted (" in line
    assert "ssl_ca_certs" in line
    assert PASSWORD not in refused.stderr
    assert PASSWORD_ITSELF not in refused.stderr
