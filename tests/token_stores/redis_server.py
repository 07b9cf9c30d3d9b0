"""A real redis-server for tests: on a free port, with a password, in a temporary folder, with nothing persistent."""

import contextlib
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis

from tests.needs import need
from tests.support.process import lasting_port

PASSWORD = "p4ss%2Fw0rd-in-the-url"  # percent-encoded as in a URL
PASSWORD_ITSELF = "p4ss/w0rd-in-the-url"


@dataclass(frozen=True)
class RedisServer:
    """A running server."""

    port: int
    pid: int

    def url(self, *, password: str = PASSWORD, query: str = "") -> str:
        return f"redis://:{password}@127.0.0.1:{self.port}/0{query}"

    @contextlib.contextmanager
    def admin(self) -> Iterator[redis.Redis]:
        """A client for what a person would do by hand."""
        with redis.Redis(port=self.port, password=PASSWORD_ITSELF, decode_responses=True) as client:
            yield client


@contextlib.contextmanager
def running_redis(*settings: str) -> Iterator[RedisServer]:
    """A server of its own, stopped by its id with the context."""
    program = need("redis-server", "keeps the tokens in the tests of RedisStore")
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(5):
            port = lasting_port()
            lines = [
                f"port {port}",
                "bind 127.0.0.1",
                'save ""',
                "appendonly no",
                f"dir {folder}",
                f"requirepass {PASSWORD_ITSELF}",
                *settings,
            ]
            configuration = Path(folder) / "redis.conf"
            configuration.write_text("\n".join(lines))
            server = subprocess.Popen([program, configuration], stdout=subprocess.PIPE, text=True)
            assert server.stdout is not None
            try:
                # Otherwise another program took the port in between: the output ends, and there is a next try.
                if any("eady to accept connections" in line for line in server.stdout):
                    yield RedisServer(port, server.pid)
                    return
            finally:
                server.send_signal(signal.SIGCONT)
                server.kill()
                server.communicate()
        raise AssertionError("redis-server does not start")
