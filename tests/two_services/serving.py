"""The example as uvicorn runs it, and the issuer, each as a process."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2

from tests.edge.attacking import Answer, bearer, get
from tests.support.process import ServerProcess, add_users, environment_of, lasting_port, run_evertoken
from tests.support.server import PASSWORD, client_at
from tests.two_services.pipe import Pipe

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "two_services"
WITHIN_SECONDS: Final = 30
CLIENT: Final = "orders"


class Orders:
    """The second service; it may be stopped and started again."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.url = f"http://127.0.0.1:{lasting_port()}"
        self._environment = environment_of(environment)
        self._log = folder / "orders.txt"
        self._process: subprocess.Popen[bytes] | None = None

    def ask(self, token: str | None = None) -> Answer:
        """A request, with this access token."""
        return get(self.url, "/orders", *([] if token is None else [bearer(token)]))

    def health(self) -> dict[str, Any]:
        """What it says of itself."""
        found: dict[str, Any] = get(self.url, "/health").json()
        return found

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8")

    def start(self) -> None:
        """Start it and wait until it answers."""
        port = self.url.rpartition(":")[2]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "uvicorn", "orders:app", "--port", port, "--no-access-log"],
                cwd=EXAMPLE,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        give_up_at = time.monotonic() + WITHIN_SECONDS
        while not self._answers():
            assert self._process.poll() is None, f"the service has ended:\n{self.log[-4000:]}"
            assert time.monotonic() < give_up_at, f"the service does not answer:\n{self.log[-4000:]}"
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL, and wait for its end."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def ended(self) -> int:
        """Wait for an end of its own accord, and give the exit status."""
        assert self._process is not None
        return self._process.wait(WITHIN_SECONDS)

    def _answers(self) -> bool:
        try:
            return get(self.url, "/health").status == 200
        except OSError:
            return False


class Both:
    """The issuer, the network in front of it, the second service, and a browser that knows the issuer."""

    def __init__(self, issuer: ServerProcess, pipe: Pipe, orders: Orders, http: httpx2.Client) -> None:
        self.issuer, self.pipe, self.orders, self.http = issuer, pipe, orders, http

    def sign_in(self) -> dict[str, Any]:
        """A new session of ada's."""
        answer = self.http.post("/auth/login", json={"username": "ada", "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    def sign_out(self, tokens: dict[str, Any]) -> None:
        """End a session at the issuer."""
        assert self.http.post("/auth/logout", headers=dict([bearer(tokens["access_token"])])).status_code == 204

    def refused(self, tokens: dict[str, Any]) -> float:
        """Wait until the second service refuses a session; gives the seconds that it took."""
        began = time.perf_counter()
        while self.orders.ask(tokens["access_token"]).status != 401:
            assert time.perf_counter() - began < WITHIN_SECONDS, self.orders.health()
        return time.perf_counter() - began

    def hears(self, feed: str) -> None:
        """Wait until the second service says this of the feed."""
        give_up_at = time.monotonic() + WITHIN_SECONDS
        while self.orders.health()["feed"] != feed:
            assert time.monotonic() < give_up_at, self.orders.health()
            time.sleep(0.01)


@contextmanager
def both(folder: Path) -> Iterator[Both]:
    """Both services, started; the second reaches the issuer through a network that can be cut."""
    issuer = ServerProcess(folder)
    add_users(issuer.database, "ada")
    with Pipe(issuer.port) as pipe:
        address = f"http://127.0.0.1:{pipe.port}"
        issuer = ServerProcess(folder, port=issuer.port, issuer=address)
        made = run_evertoken("clients", "add", CLIENT, "--store", str(issuer.database))
        secret = made.stdout.split()[-1]
        orders = Orders(folder, ISSUER=address, CLIENT_ID=CLIENT, CLIENT_SECRET=secret)
        with issuer, client_at(issuer.url, timeout=WITHIN_SECONDS) as http:
            try:
                orders.start()
                yield Both(issuer, pipe, orders, http)
            finally:
                orders.kill()
