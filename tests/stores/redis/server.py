"""
A real redis-server for the tests of the store, which writes everything to its file before it answers.

The file lies in memory where it can: what tests kill is the server, not the machine.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.needs import need
from tests.support.process import lasting_port
from tests.token_stores.redis_server import PASSWORD, PASSWORD_ITSELF

_READY_WITHIN_SECONDS = 20.0
DURABLE = ("appendonly yes", "appendfsync always")


class RedisServer:
    """A server that can be stopped, killed and started again on the same port; `url()` is its address."""

    def __init__(self, folder: Path, *settings: str) -> None:
        self.port = lasting_port()
        self.folder = folder
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, *, password: str = PASSWORD, port: int | None = None, query: str = "") -> str:
        return f"redis://:{password}@127.0.0.1:{port or self.port}/0{query}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @contextlib.contextmanager
    def admin(self) -> Iterator["redis.Redis"]:
        """A client for what a person would do by hand."""
        with redis.Redis(port=self.port, password=PASSWORD_ITSELF, retry=Retry(NoBackoff(), 0)) as client:
            yield client

    def start(self, *more: str, wait: bool = True) -> None:
        """Start it, and wait until it answers; the data are those of before."""
        program = need("redis-server", "keeps the sessions in the tests of the Redis store")
        lines = [
            f"port {self.port}",
            "bind 127.0.0.1",
            'save ""',
            f"dir {self.folder}",
            f"requirepass {PASSWORD_ITSELF}",
            f"masterauth {PASSWORD_ITSELF}",
            "enable-debug-command local",
            *self._settings,
            *more,
        ]
        configuration = self.folder / "redis.conf"
        configuration.write_text("\n".join(lines))
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen([program, configuration], stdout=log, stderr=log)
        if wait:
            self.wait()

    def wait(self) -> None:
        """Until it answers."""
        assert self._process is not None
        give_up_at = time.monotonic() + _READY_WITHIN_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                raise AssertionError(f"redis-server does not start:\n{(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.01)  # it tells nobody when it is ready

    def _answers(self) -> bool:
        try:
            with self.admin() as admin:
                return bool(admin.ping())
        except redis.RedisError:
            return False

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.wait(timeout=30)
            self._process = None


def memory() -> Path | None:
    """A folder in memory, where there is one."""
    folder = Path("/dev/shm")
    return folder if os.access(folder, os.W_OK) else None


@contextlib.contextmanager
def running_redis(*settings: str) -> Iterator[RedisServer]:
    """A server of its own, killed with the context."""
    with tempfile.TemporaryDirectory(prefix="evertoken-redis-", dir=memory()) as folder:
        server = RedisServer(Path(folder), *(settings or DURABLE))
        server.start()
        try:
            yield server
        finally:
            server.kill()
