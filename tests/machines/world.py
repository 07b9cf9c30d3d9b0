"""Machines that run evertoken on one database, and nginx in front of them, with the example's configuration."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx2

from evertoken.accounts.passwords import PasswordHashing
from evertoken.accounts.users import User
from evertoken.assembly import open_store
from evertoken.clock import system_clock
from evertoken.edge.settings import Settings
from evertoken.secret import Secret
from evertoken.stores.store import Store
from tests.machines.databases import Database, Opened
from tests.machines.network import Machine, Network
from tests.needs import need
from tests.processes.ledger import SECRET
from tests.proxies.stage import running
from tests.proxies.test_nginx import AROUND
from tests.support.process import ServerProcess, run_evertoken
from tests.support.server import PASSWORD, client_at

T = TypeVar("T")

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "machines" / "nginx.conf"
PORT: Final = 8000
FRONT_PORT: Final = 8080
ENVIRONMENT: Final = {"EVERTOKEN_SECRET": SECRET}
_WHERE: Final = ("store", "users_store", "issuer", "access_lifetime", "overlap")
_IN_THE_EXAMPLE: Final = ("10.0.0.11", "10.0.0.12", "10.0.0.13")


@dataclass(frozen=True)
class Host:
    """A machine with a server on it."""

    machine: Machine
    server: ServerProcess
    environment: dict[str, str] = field(repr=False)

    @property
    def url(self) -> str:
        """The server's own address, past nginx."""
        return f"http://{self.machine.address}:{PORT}"

    def launch(self) -> None:
        """Start the server there; it need not be ready yet."""
        with self.machine.inside():
            self.server.launch()

    def wait_until_ready(self) -> None:
        """As the machine itself sees it."""
        with self.machine.inside():
            self.server.wait_until_ready()

    def run(self, *arguments: str) -> str:
        """A command of an operator's on this machine, with the server's settings; gives what it prints."""
        settings = self.server.settings
        where = {f"EVERTOKEN_{name.upper()}": str(settings[name]) for name in _WHERE if name in settings}
        with self.machine.inside():
            done = run_evertoken(*arguments, environment=self.environment | where)
        assert done.returncode == 0, done.stderr
        return done.stdout


@dataclass
class World:
    """
    All of it.

    Args:
        url: nginx's address, and the issuer.
    """

    url: str
    front: Machine
    database: Database
    hosts: list[Host]

    def client(self, **options: Any) -> httpx2.Client:
        """A plain HTTP client, from outside, through nginx; each request may meet another machine."""
        return client_at(self.url, **options)

    @contextlib.contextmanager
    def ways(self) -> Iterator[list[httpx2.Client]]:
        """A plain HTTP client to each machine, past nginx."""
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(client_at(host.url)) for host in self.hosts]

    def in_store(self, work: Callable[[Store], Awaitable[T]]) -> T:
        """Ask the store itself, from outside."""
        return asyncio.run(_in_store(self.database.settings, work))

    def stop(self) -> None:
        """Tell all servers at once; whoever waits for them does so for one."""
        for host in self.hosts:
            host.server.interrupt()

    def errors(self) -> str:
        """What the servers have written so far."""
        return "\n".join(host.server.stderr for host in self.hosts)


@contextlib.contextmanager
def world(
    folder: Path,
    opened: Opened,
    *,
    environments: Sequence[dict[str, str]],
    users: Mapping[str, tuple[str, ...]],
    **settings: Any,
) -> Iterator[World]:
    """
    A database, a machine for each environment, nginx; with these users in it.

    Args:
        environments: What each machine's server has in its environment besides the secret.
        users: Names and roles.
        settings: Of all servers, as flags.
    """
    with Network() as network, contextlib.ExitStack() as stack:
        front, machine = network.machine("front"), network.machine("database")
        url = f"http://{front.address}:{FRONT_PORT}"
        database = stack.enter_context(opened(machine))
        made = World(url, front, database, [])
        add_users_to(database.settings, users)
        told = {"host": "0.0.0.0", "port": PORT, "issuer": url, "trusted_proxies": front.address}
        for number, environment in enumerate(environments):
            name = f"server{number}"
            made.hosts.append(
                _host(network.machine(name), folder / name, environment, {**database.settings, **told, **settings})
            )
        for host in made.hosts:
            with host.machine.inside():
                stack.enter_context(host.server.launched())
        with front.inside():
            stack.enter_context(_nginx(folder, [host.machine for host in made.hosts]))
        for host in made.hosts:
            host.wait_until_ready()
        stack.callback(made.stop)
        yield made


def _host(machine: Machine, folder: Path, environment: dict[str, str], settings: dict[str, Any]) -> Host:
    folder.mkdir()
    environment = ENVIRONMENT | environment
    return Host(machine, ServerProcess(folder, environment=environment, **settings), environment)


async def _in_store(settings: Mapping[str, str], work: Callable[[Store], Awaitable[T]]) -> T:
    store = open_store(Settings(**dict[str, Any](settings)))
    try:
        return await work(store)
    finally:
        await store.stop()


def add_users_to(settings: Mapping[str, str], users: Mapping[str, tuple[str, ...]]) -> None:
    """Users who can sign in, by name and with their roles; the tables are made where there are none."""
    asyncio.run(_in_store(settings, lambda store: _add_users(store, users)))


async def _add_users(store: Store, users: Mapping[str, tuple[str, ...]]) -> None:
    """One hash for all, since hashing takes its time."""
    hashing = PasswordHashing()
    hashed = hashing.hash_now(Secret(PASSWORD))
    hashing.close()
    await store.start()
    for name, roles in users.items():
        await store.add_user(User(f"usr_{name}", name, hashed, 0, False, roles, system_clock()))


@contextlib.contextmanager
def _nginx(folder: Path, machines: Sequence[Machine]) -> Iterator[None]:
    """With the example as it stands there, but for the addresses, and for how long it waits for what is gone."""
    program = need("nginx", "distributes requests over the machines (Debian: apt-get install nginx)")
    text = EXAMPLE.read_text("utf-8")
    lines = [line for line in text.splitlines() if not _is_left_over(line, len(machines))]
    text = "\n".join(lines)
    for printed, machine in zip(_IN_THE_EXAMPLE, machines, strict=False):  # there may be fewer machines
        text = text.replace(printed, machine.address)
    assert "proxy_read_timeout 10s" in text
    text = text.replace("proxy_read_timeout 10s", "proxy_read_timeout 2s").replace("fail_timeout=5s", "fail_timeout=1s")
    (folder / "evertoken.conf").write_text(text)
    (folder / "nginx.conf").write_text(AROUND.format(folder=folder, user="user root;"))
    with running([program, "-p", folder, "-c", folder / "nginx.conf"], folder, FRONT_PORT):
        yield


def _is_left_over(line: str, machines: int) -> bool:
    return any(printed in line for printed in _IN_THE_EXAMPLE[machines:])


def bearer(access_token: str) -> dict[str, str]:
    """The Authorization header."""
    return {"Authorization": f"Bearer {access_token}"}


def sign_in(client: httpx2.Client, username: str, password: str = PASSWORD) -> dict[str, Any]:
    """Sign in and return the token answer."""
    answer = client.post("/auth/login", json={"username": username, "password": password})
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


def refresh(client: httpx2.Client, refresh_token: str) -> httpx2.Response:
    """Present a refresh token."""
    return client.post("/auth/refresh", json={"refresh_token": refresh_token})
