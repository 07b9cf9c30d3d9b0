"""A Redis of the bench's own: every write is on the disk before it is answered."""

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis

_READY_WITHIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Database:
    """A server that runs: where it answers, and its process."""

    url: str
    pid: int


def program() -> str | None:
    """Its path; None where there is none."""
    return shutil.which("redis-server") or shutil.which("valkey-server")


@contextlib.contextmanager
def running(folder: Path, path: str) -> Iterator[Database]:
    """Start a server below this folder; it is gone at the end, whatever happens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    settings = {
        "port": port,
        "bind": "127.0.0.1",
        "save": '""',
        "dir": folder,
        "appendonly": "yes",
        "appendfsync": "always",
        "auto-aof-rewrite-percentage": 0,
    }
    configuration = folder / "redis.conf"
    configuration.write_text("\n".join(f"{name} {value}" for name, value in settings.items()))
    server = subprocess.Popen([path, configuration], stdout=subprocess.DEVNULL)
    try:
        give_up_at = time.monotonic() + _READY_WITHIN_SECONDS
        with redis.Redis(port=port) as client:
            while True:
                try:
                    client.ping()
                    break
                except redis.RedisError:
                    if time.monotonic() > give_up_at:
                        raise
                    time.sleep(0.02)
        yield Database(f"redis://127.0.0.1:{port}/0", server.pid)
    finally:
        server.terminate()
        server.wait()
