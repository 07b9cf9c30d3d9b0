"""The database machine: PostgreSQL, MariaDB, or Redis with the users in PostgreSQL; all over TLS."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.machines.certificates import Certificates, made_for
from tests.machines.network import Machine
from tests.stores.mysql.server import running_mariadb
from tests.stores.mysql.server import unprivileged as who_runs_mariadb
from tests.stores.postgresql.server import PostgresServer, running_postgres
from tests.stores.postgresql.server import unprivileged as who_runs_postgres
from tests.stores.redis.server import DURABLE, RedisServer, running_redis

REDIS_TLS_PORT = 6390
_WHO_MAY_COME = "hostssl all all 198.18.0.0/15 scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n"


@dataclass(frozen=True)
class Database:
    """
    What servers are told of it.

    Args:
        settings: `store`, and `users_store` where the users are elsewhere.
        certificates: What it shows, and what proves it.
    """

    machine: Machine
    settings: Mapping[str, str]
    certificates: Certificates
    redis: RedisServer | None = None


Opened = Callable[[Machine], contextlib.AbstractContextManager[Database]]


@contextlib.contextmanager
def postgresql(machine: Machine) -> Iterator[Database]:
    """PostgreSQL keeps it all."""
    with _postgres(machine) as (server, certificates):
        yield Database(machine, {"store": _url(server, machine, certificates)}, certificates)


@contextlib.contextmanager
def mariadb(machine: Machine) -> Iterator[Database]:
    """MariaDB keeps it all."""
    with _certificates(machine, who_runs_mariadb()) as certificates, contextlib.ExitStack() as stack:
        with machine.inside():
            server = stack.enter_context(
                running_mariadb(
                    **{
                        "bind-address": "0.0.0.0",
                        "ssl-ca": str(certificates.authority),
                        "ssl-cert": str(certificates.server),
                        "ssl-key": str(certificates.key),
                    },
                )
            )
        plain = server.url().replace("127.0.0.1", machine.address)
        yield Database(machine, {"store": f"{plain}?ssl_ca={certificates.authority}"}, certificates)


@contextlib.contextmanager
def redis_and_postgresql(machine: Machine) -> Iterator[Database]:
    """Redis keeps the sessions, PostgreSQL the users."""
    with _postgres(machine) as (server, certificates), contextlib.ExitStack() as stack:
        with machine.inside():
            redis = stack.enter_context(
                running_redis(
                    *DURABLE,
                    "bind 0.0.0.0",
                    f"tls-port {REDIS_TLS_PORT}",
                    f"tls-cert-file {certificates.server}",
                    f"tls-key-file {certificates.key}",
                    f"tls-ca-cert-file {certificates.authority}",
                    "tls-auth-clients no",
                )
            )
        store = redis.url(port=REDIS_TLS_PORT, query=f"?ssl_ca_certs={certificates.authority}&ssl_check_hostname=true")
        settings = {
            "store": store.replace("redis://", "rediss://").replace("127.0.0.1", machine.address),
            "users_store": _url(server, machine, certificates),
        }
        yield Database(machine, settings, certificates, redis)


@contextlib.contextmanager
def _postgres(machine: Machine) -> Iterator[tuple[PostgresServer, Certificates]]:
    with _certificates(machine, who_runs_postgres()) as certificates, contextlib.ExitStack() as stack:
        may_come = certificates.authority.with_name("pg_hba.conf")
        may_come.write_text(_WHO_MAY_COME)
        may_come.chmod(0o644)
        with machine.inside():
            server = stack.enter_context(
                running_postgres(
                    listen_addresses="*",
                    hba_file=str(may_come),
                    ssl="on",
                    ssl_cert_file=str(certificates.server),
                    ssl_key_file=str(certificates.key),
                )
            )
        yield server, certificates


@contextlib.contextmanager
def _certificates(machine: Machine, owner: Mapping[str, Any]) -> Iterator[Certificates]:
    """In a folder of the owner's, if there is one: a database takes no key that others own or may read."""
    folder = Path(tempfile.mkdtemp(prefix="evertoken-machines-"))
    try:
        certificates = made_for(machine.address, folder)
        if owner:
            for path in (folder, *folder.iterdir()):
                os.chown(path, owner["user"], owner["group"])
        yield certificates
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _url(server: PostgresServer, machine: Machine, certificates: Certificates) -> str:
    plain = server.url().replace("127.0.0.1", machine.address)
    return f"{plain}?sslmode=verify-full&sslrootcert={certificates.authority}"
