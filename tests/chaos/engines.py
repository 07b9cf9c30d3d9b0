"""The database servers that a run is played on, and how each is killed at random."""

import contextlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

import asyncpg

from tests.stores.mysql.bench import MariadbBench
from tests.stores.mysql.server import MariadbServer, running_mariadb
from tests.stores.postgresql.bench import PostgresBench
from tests.stores.postgresql.server import (
    PASSWORD_ITSELF,
    USER,
    PostgresServer,
    program,
    running_postgres,
    unprivileged,
)
from tests.stores.redis.bench import RedisBench
from tests.stores.redis.server import RedisServer, running_redis
from tests.support.clock import MovingClock
from tests.support.process import children, is_living

_GONE_WITHIN_SECONDS = 30.0


class Engine(Protocol):
    """A database server with its data."""

    name: str
    port: int

    def settings(self, *, port: int | None = None) -> dict[str, Any]:
        """What `evertoken serve` is told; another port where there is something in between."""

    def kill(self) -> None:
        """End it as a crash does, on whichever machine it runs; it stays away."""

    def start(self) -> None:
        """Start it again, with the data that it had."""

    def parts(self) -> list[int]:
        """Its processes besides the first; where one of them ends, it has to mend that by itself."""

    def bench(self, folder: Path) -> PostgresBench | MariadbBench | RedisBench:
        """The way to its rows."""


class Postgres:
    """One PostgreSQL."""

    name = "postgresql"

    def __init__(self, server: PostgresServer) -> None:
        self.server = server
        self.port = server.port

    def settings(self, *, port: int | None = None) -> dict[str, Any]:
        return {"store": self.server.url(port=port)}

    def kill(self) -> None:
        kill(self.server)

    def start(self) -> None:
        self.server.start()

    def parts(self) -> list[int]:
        return [pid for pid, _ in children(self.server.pid)]

    def bench(self, folder: Path) -> PostgresBench | MariadbBench | RedisBench:
        return PostgresBench(self.server.url(), MovingClock())


def kill(server: PostgresServer) -> None:
    """End the server, and wait until those of its processes that had no time to notice are gone as well."""
    parts = list(children(server.pid))
    server.kill()
    give_up_at = time.monotonic() + _GONE_WITHIN_SECONDS
    while any(is_living(pid, began) for pid, began in parts):
        assert time.monotonic() < give_up_at, "a process of PostgreSQL outlives it"
        time.sleep(0.01)


class Redis:
    """One Redis that writes everything to its file before it answers; users are in SQLite."""

    name = "redis"

    def __init__(self, server: RedisServer) -> None:
        self.server = server
        self.port = server.port

    def settings(self, *, port: int | None = None) -> dict[str, Any]:
        return {"store": self.server.url(port=port), "users_store": self.server.folder / "users.db"}

    def kill(self) -> None:
        self.server.kill()

    def start(self) -> None:
        self.server.start()

    def parts(self) -> list[int]:
        return []

    def bench(self, folder: Path) -> PostgresBench | MariadbBench | RedisBench:
        return RedisBench(folder, MovingClock(), self.server)

    def back_up(self) -> Path:
        """A snapshot, as `SAVE` makes it."""
        with self.server.admin() as admin:
            admin.save()
        return Path(shutil.copy(self.server.folder / "dump.rdb", self.server.folder / "kept.rdb"))

    def restore(self, snapshot: Path) -> None:
        """Put it in the place of the data, as docs/stores/redis.md says."""
        self.server.kill()
        shutil.rmtree(self.server.folder / "appendonlydir")
        shutil.copy(snapshot, self.server.folder / "dump.rdb")
        self.server.start("appendonly no")
        with self.server.admin() as admin:
            admin.config_set("appendonly", "yes")


class Mariadb:
    """One MariaDB."""

    name = "mariadb"

    def __init__(self, server: MariadbServer) -> None:
        self.server = server
        self.port = server.port

    def settings(self, *, port: int | None = None) -> dict[str, Any]:
        return {"store": self.server.url(port=port)}

    def kill(self) -> None:
        self.server.kill()

    def start(self) -> None:
        self.server.start()

    def parts(self) -> list[int]:
        return []

    def bench(self, folder: Path) -> MariadbBench:
        return MariadbBench(self.server.url(), MovingClock(), admin_url=self.server.admin_url)


class PostgresPair:
    """A primary and a standby that follows it asynchronously; servers are told of both."""

    name = "postgresql with a standby"

    def __init__(self, primary: PostgresServer, standby: PostgresServer) -> None:
        self.primary = primary
        self.standby = standby
        self.port = primary.port

    def settings(self, *, port: int | None = None) -> dict[str, Any]:
        hosts = f"127.0.0.1:{port or self.primary.port},127.0.0.1:{self.standby.port}"
        address = self.primary.url().replace(f"127.0.0.1:{self.primary.port}", hosts)
        return {"store": f"{address}?target_session_attrs=read-write"}

    def kill(self) -> None:
        kill(self.primary)

    def start(self) -> None:
        """The primary stays away: `promote`."""

    def parts(self) -> list[int]:
        return []

    def bench(self, folder: Path) -> PostgresBench | MariadbBench | RedisBench:
        return PostgresBench(self.standby.url(), MovingClock())

    async def cut_standby_off(self) -> None:
        """Have the standby get everything that is committed now, and nothing that comes later."""
        primary, standby = [await asyncpg.connect(one.url()) for one in (self.primary, self.standby)]
        try:
            now = await primary.fetchval("SELECT pg_current_wal_lsn()::text")
            await _until(standby, "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn", now)
            await standby.execute("ALTER SYSTEM SET primary_conninfo = ''")
            await standby.execute("SELECT pg_reload_conf()")
            await _until(standby, "SELECT count(*) = 0 FROM pg_stat_wal_receiver")
        finally:
            await primary.close()
            await standby.close()

    async def promote(self) -> None:
        """Let the standby take writes, and wait until it does."""
        standby = await asyncpg.connect(self.standby.url())
        try:
            assert await standby.fetchval("SELECT pg_promote(true, 60)")
        finally:
            await standby.close()


async def _until(connection: Any, query: str, *arguments: Any) -> None:
    give_up_at = time.monotonic() + _GONE_WITHIN_SECONDS
    while not await connection.fetchval(query, *arguments):
        assert time.monotonic() < give_up_at, query


class _Standby(PostgresServer):
    """Begins as a copy of a running server, and follows it."""

    def __init__(self, folder: Path, primary: PostgresServer) -> None:
        super().__init__(folder)
        self._primary = primary

    def initialise(self) -> None:
        who = unprivileged()
        if who:
            os.chown(self.folder, who["user"], who["group"])
        subprocess.run(
            [
                program("pg_basebackup"),
                *("-h", "127.0.0.1", "-p", str(self._primary.port), "-U", USER, "-D", self.folder / "data"),
                *("--write-recovery-conf", "--wal-method", "stream", "--checkpoint", "fast", "--no-sync"),
            ],
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "PGPASSWORD": PASSWORD_ITSELF},
            check=True,
            capture_output=True,
            timeout=120,
            **who,
        )


@contextlib.contextmanager
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of the run's own."""
    with running_postgres() as server:
        yield Postgres(server)


@contextlib.contextmanager
def postgres_pair() -> Iterator[PostgresPair]:
    """A primary, and a standby in a folder beside it."""
    with running_postgres() as primary:
        beside = primary.folder / "standby"
        beside.mkdir()
        standby = _Standby(beside, primary)
        try:
            standby.initialise()
            standby.start()
            yield PostgresPair(primary, standby)
        finally:
            standby.kill()


@contextlib.contextmanager
def redis() -> Iterator[Redis]:
    """A Redis of the run's own."""
    with running_redis() as server:
        yield Redis(server)


@contextlib.contextmanager
def mariadb() -> Iterator[Mariadb]:
    """A MariaDB of the run's own."""
    with running_mariadb() as server:
        yield Mariadb(server)


ENGINES: dict[str, Callable[[], AbstractContextManager[Engine]]] = {
    "postgresql": postgres,
    "mariadb": mariadb,
    "redis": redis,
}
