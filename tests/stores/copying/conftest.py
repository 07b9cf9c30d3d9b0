"""The engines between which tests copy: one server of each for the whole file, emptied for each test."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from evertoken.stores.opening import Manner, open_store
from evertoken.stores.store import Store
from tests.stores.compliance.bench import ACCESS_LIFETIME_MS, POLICY
from tests.stores.copying.support import Site, sqlite_site
from tests.stores.mysql.bench import MariadbBench
from tests.stores.mysql.server import MariadbServer, running_mariadb
from tests.stores.postgresql.server import PostgresServer, running_postgres
from tests.stores.redis.server import RedisServer, running_redis
from tests.support.clock import MovingClock

Opened = Callable[[Site], Awaitable[Store]]


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as running:
        yield running


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with running_redis() as running:
        yield running


@pytest.fixture(scope="module")
def mariadb() -> Iterator[MariadbServer]:
    with running_mariadb() as running:
        yield running


@pytest.fixture
async def opened(clock: MovingClock) -> AsyncIterator[Opened]:
    """Opens a store as a server does."""
    stores: list[Store] = []

    async def opener(site: Site) -> Store:
        manner = Manner(
            policy=POLICY,
            access_lifetime_ms=ACCESS_LIFETIME_MS,
            sessions_per_user=100,
            users_elsewhere=False,
            may_create=True,
        )
        store = open_store(site.location, manner, users_store=site.users, table_prefix=site.prefix, clock=clock)
        await store.start()
        stores.append(store)
        return store

    yield opener
    for store in stores:
        await store.stop()


@pytest.fixture
def site_of(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Awaitable[Site]]:
    """An empty store of an engine; a word behind it is its table_prefix."""

    async def made(engine: str) -> Site:
        kind, _, prefix = engine.partition(" ")
        if kind == "sqlite":
            return sqlite_site(tmp_path, f"store{prefix}", prefix=prefix)
        if kind == "postgresql":
            server = request.getfixturevalue("postgres")
            connection = await asyncpg.connect(server.url())
            await connection.execute(f"DROP SCHEMA IF EXISTS {prefix.rstrip('_') or 'evertoken'} CASCADE")
            await connection.close()
            return Site(server.url(), prefix=prefix)
        if kind == "mariadb":
            maria: MariadbServer = request.getfixturevalue("mariadb")
            bench = MariadbBench(maria.url(), MovingClock(), admin_url=maria.admin_url)
            await bench.empty()
            async with bench.connection() as own:
                await own.run("DROP TABLE IF EXISTS [copying]")
            await bench.stop()
            return Site(maria.url())
        running: RedisServer = request.getfixturevalue("redis")
        with running.admin() as admin:
            admin.flushall()
        return Site(running.url(), users=str(tmp_path / "users.db"), prefix=prefix)

    return made
