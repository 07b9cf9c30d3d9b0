"""The example as a process, its clock in step with the server's."""

import os
import queue
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from evertoken.clock import system_clock
from tests.edge.attacking import Answer, bearer, get
from tests.guards.elsewhere import WITHIN_SECONDS, until
from tests.needs import is_missing, need
from tests.oauth.speaking import API, add_client
from tests.support.clock import MovingClock
from tests.support.server import LiveServer

EXAMPLE: Final = Path(__file__).parents[2] / "examples" / "node_service"
CLOCK: Final = Path(__file__).with_name("moved_clock.mjs")


class NodeService:
    """The running service."""

    def __init__(self, process: "subprocess.Popen[str]", clock: MovingClock, log: Path) -> None:
        self._process, self._clock, self._log = process, clock, log
        self._began_ms = clock()
        self._said: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._listen, daemon=True).start()
        self.url = self._next()

    def ask(self, token: str | None = None) -> Answer:
        """A request, with this access token."""
        return get(self.url, "/orders", *([] if token is None else [bearer(token)]))

    def refuses(self, token: str) -> None:
        """Wait until a token that was good is refused."""
        until(lambda: self.ask(token).status == 401)

    def passes(self, token: str) -> None:
        """Wait until a token passes."""
        until(lambda: self.ask(token).status == 200)

    def advance(self, seconds: float) -> None:
        """Move its clock and the server's."""
        self._clock.advance(seconds)
        assert self._process.stdin is not None
        self._process.stdin.write(f"{self._clock() - self._began_ms}\n")
        self._process.stdin.flush()
        assert self._next() == "moved"

    @property
    def log(self) -> str:
        return self._log.read_text("utf-8")

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.put(line.strip())

    def _next(self) -> str:
        try:
            return self._said.get(timeout=WITHIN_SECONDS)
        except queue.Empty:
            raise AssertionError(f"the service said nothing:\n{self.log[-4000:]}") from None


def present_clock() -> MovingClock:
    """A clock that stands where the machine's stands now: Node's goes on by itself, if slowly beside a test."""
    return MovingClock(system_clock())


@contextmanager
def node_service(live: LiveServer, folder: Path, **environment: str) -> Iterator[NodeService]:
    """Start it; it is gone at the end. Skipped, or failed under CI=true, where it cannot run."""
    node = need("node", "it runs the example with jose")
    if not (EXAMPLE / "node_modules" / "jose").is_dir():
        is_missing("jose is not installed: run npm ci in examples/node_service, as make test does")
    given: dict[str, Any] = {
        "ISSUER": live.url,
        "CLIENT_ID": API,
        "CLIENT_SECRET": add_client(live, API),
        "PORT": "0",
        "PATH": os.environ["PATH"],
        **environment,
    }
    log = folder / "node-service.txt"
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [node, "--import", CLOCK.as_uri(), "service.mjs"],
            cwd=EXAMPLE,
            env=given,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        ) as process,
    ):
        try:
            yield NodeService(process, live.clock, log)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                raise
