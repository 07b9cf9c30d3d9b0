"""A proxy with the example's configuration, in front of an application and of evertoken."""

import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.edge.attacking import bearer
from tests.proxies.upstream import Upstream, application
from tests.support.clock import MovingClock
from tests.support.server import LiveServer, free_port, live_server

EXAMPLES: Final = Path(__file__).parents[2] / "examples" / "proxies"
WITHIN_SECONDS: Final = 20

Start = Callable[[Path, int, int, int], AbstractContextManager[str]]
"""Starts a proxy: folder, its own port, evertoken's, the application's; gives its URL."""


@dataclass(frozen=True)
class Stage:
    """
    Everything that runs.

    Args:
        live: evertoken, whose issuer is the proxy: `live.url` is the proxy's.
        direct: evertoken's own address, past the proxy.
    """

    live: LiveServer
    direct: str
    upstream: Upstream

    @property
    def url(self) -> str:
        return self.live.url

    def token(self) -> tuple[str, str]:
        """The Authorization header of a new session of ada's."""
        with self.live.client() as http:
            return bearer(self.live.sign_in(http)["access_token"])


@contextmanager
def staged(start: Start, folder: Path) -> Iterator[Stage]:
    """All of it, on free ports."""
    front, behind = free_port(), free_port()
    url = f"http://127.0.0.1:{front}"
    with (
        application() as upstream,
        live_server(folder, clock=MovingClock(), issuer=url, port=behind) as live,
        start(folder, front, behind, upstream.port),
    ):
        live.add_user("ada", roles=("admin", "on call, nights"))
        yield Stage(live, f"http://127.0.0.1:{behind}", upstream)


def configured(name: str, front: int, evertoken: int, upstream: int, **more: str) -> str:
    """The example's file as it stands there, but for the addresses and what `more` replaces."""
    text = (EXAMPLES / name).read_text("utf-8")
    replaced = {
        "8080": str(front),
        "127.0.0.1:8000": f"127.0.0.1:{evertoken}",
        "127.0.0.1:9000": f"127.0.0.1:{upstream}",
    }
    for old, new in {**replaced, **more}.items():
        assert old in text, f"{name} no longer holds {old}"
        text = text.replace(old, new)
    return text


@contextmanager
def running(command: Sequence[str | Path], folder: Path, port: int) -> Iterator[str]:
    """A proxy as a process that stays in the foreground; gone at the end."""
    log = folder / "proxy.log"
    with log.open("ab") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=errors, stderr=errors, env={"HOME": str(folder)}, cwd=folder
        )
    try:
        give_up_at = time.monotonic() + WITHIN_SECONDS
        while not _listens(port):
            assert process.poll() is None, f"the proxy has ended:\n{log.read_text()[-4000:]}"
            assert time.monotonic() < give_up_at, f"the proxy does not listen:\n{log.read_text()[-4000:]}"
            time.sleep(0.01)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
