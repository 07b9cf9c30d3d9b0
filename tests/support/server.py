"""A whole evertoken on a real socket, in this process, with a clock that the test moves."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from evertoken.accounts.passwords import HashingParameters
from evertoken.accounts.users import User
from evertoken.assembly import Server, build
from evertoken.clock import Clock, system_clock
from evertoken.edge.serving import uvicorn_config
from evertoken.edge.settings import Settings
from evertoken.secret import Secret
from tests.support.clock import MovingClock
from tests.support.prompt import running

T = TypeVar("T")

PASSWORD = "correct-horse-battery"
WEAK = HashingParameters(1, 64, 1, weak_for_tests=True)


class LiveServer:
    """
    A running server.

    `url` is its base, `clock` its time (and its store's), `server` its insides; `run(coroutine)` runs something on
    its event loop and returns the result.
    """

    def __init__(self, server: Server, url: str, clock: Clock, loop: asyncio.AbstractEventLoop) -> None:
        self.server = server
        self.url = url
        self._clock = clock
        self._loop = loop

    @property
    def database(self) -> Path:
        """Its SQLite file."""
        return Path(self.server.services.settings.store)

    @property
    def clock(self) -> MovingClock:
        assert isinstance(self._clock, MovingClock)
        return self._clock

    def run(self, coroutine: Any) -> Any:
        """Run a coroutine on the server's loop."""
        future: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return future.result(timeout=30)

    def add_user(self, username: str = "ada", password: str = PASSWORD, *, roles: tuple[str, ...] = ()) -> User:
        """A user who can sign in at once."""
        hashed = self.server.hashing.hash_now(Secret(password))
        user = User(f"u_{username}", username, hashed, 0, False, roles, self._clock())
        self.run(self.server.store.add_user(user))
        return user

    def client(self, **options: Any) -> httpx2.Client:
        """A plain HTTP client for it."""
        return client_at(self.url, **options)

    def sign_in(
        self, client: httpx2.Client, username: str = "ada", password: str = PASSWORD, **body: Any
    ) -> dict[str, Any]:
        """Sign in and return the token answer."""
        answer = client.post("/auth/login", json={"username": username, "password": password, **body})
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens


def client_at(url: str, **options: Any) -> httpx2.Client:
    """
    A plain HTTP client for a server of a test.

    It trusts no certificates: to read those of the system takes 20 ms each time. And it is patient: a machine that has
    other things to do is no reason for a test to fail.
    """
    return httpx2.Client(base_url=url, **{"verify": False, "timeout": 30, **options})


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def live_server(folder: Path, *, clock: Clock = system_clock, **settings: Any) -> Iterator[LiveServer]:
    """Start a server on a free port; it is stopped at the end. Passwords are hashed weakly unless the test says how."""
    port = settings.pop("port", None) or free_port()
    made = Settings(port=port, **{"store": str(folder / "evertoken.db"), **settings})
    server = build(made, clock=clock, hashing_parameters=None if "hash_memory_kib" in settings else WEAK)
    with running(uvicorn_config(server.app, made), name="live-server") as loop:
        yield LiveServer(server, made.issuer_url, clock, loop)
