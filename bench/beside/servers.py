"""The other libraries' servers, each a process of its own on one core, set up in one of the usual ways."""

import contextlib
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.effort import cores, pin
from bench.load import post
from bench.processes import cpu_of

_ROOT = Path(__file__).resolve().parents[2]
_READY_WITHIN_SECONDS = 30.0
PASSWORD = "correct-horse-battery"


@dataclass(frozen=True, slots=True)
class Peer:
    """
    Another library, in an application of its own.

    Args:
        package: Its name in the registry.
        module: Its application, in bench/beside.
        request: Makes the request that presents a refresh token.
    """

    package: str
    module: str
    request: Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Setting:
    """
    A way to run it, in one worker process.

    Args:
        threads: How many requests it works on at once.
        is_atomic: One transaction for each request, where that is a setting of the framework.
    """

    server: str
    threads: int
    is_atomic: bool = False

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        return f"{self.server}, {threads}{', ATOMIC_REQUESTS' if self.is_atomic else ''}"

    def command(self, programs: Path, module: str, port: int) -> list[str]:
        """The command line."""
        application = f"bench.beside.{module}:application"
        if self.server == "gunicorn":
            options = ["--bind", f"127.0.0.1:{port}", "--workers", "1", "--worker-class", "gthread"]
            options += ["--threads", str(self.threads), "--keep-alive", "75", "--log-level", "error"]
            return [str(programs / "gunicorn"), *options, "--no-control-socket", application]
        options = ["--interface", "wsgi", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--no-ws"]
        options += ["--blocking-threads", str(self.threads), "--log-level", "error"]
        return [str(programs / "granian"), *options, application]


def _in_the_body(token: str) -> bytes:
    return post("/refresh", b'{"refresh":"' + token.encode() + b'"}')


def _in_the_header(token: str) -> bytes:
    return (
        "POST /refresh HTTP/1.1\r\nhost: localhost\r\nuser-agent: evertoken-bench/1\r\naccept: application/json\r\n"
        f"authorization: Bearer {token}\r\ncontent-length: 0\r\n\r\n"
    ).encode()


SIMPLEJWT = Peer("djangorestframework-simplejwt", "simplejwt_app", _in_the_body)
FLASK = Peer("flask-jwt-extended", "flask_app", _in_the_header)
PEERS = (SIMPLEJWT, FLASK)


class PeerServer:
    """A server that runs."""

    def __init__(self, peer: Peer, port: int, pid: int) -> None:
        self.peer = peer
        self.port = port
        self._pid = pid

    def cpu_seconds(self) -> float:
        """Of the server and its worker."""
        return cpu_of(self._pid)

    def ask(self, request: bytes) -> tuple[int, dict[str, Any]]:
        """One request on a connection of its own, as bytes; gives the status and the answer's JSON."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request.replace(b"\r\nhost:", b"\r\nconnection: close\r\nhost:", 1))
            answer = b""
            while piece := connection.recv(65_536):
                answer += piece
        head, _, body = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), json.loads(body)

    def sign_in(self, user: int) -> str:
        """A new refresh token of one of the users."""
        body = {"username": f"user{user}", "password": PASSWORD}
        status, answer = self.ask(post("/token", json.dumps(body).encode()))
        if status != 200:
            raise RuntimeError(f"{self.peer.package}: a sign-in is answered {status}: {answer}")
        return str(answer["refresh"])

    def durable(self) -> str:
        """What the database says of the connection that serves: 2 (SQLite) or on (PostgreSQL)."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/durable", timeout=10) as answer:
            return str(json.load(answer)["durable"])


def prepare(programs: Path, peer: Peer, database: str, users: int) -> None:
    """Make the tables and the users."""
    command = [str(programs / "python"), "-m", f"bench.beside.{peer.module}", str(users)]
    environment = {**os.environ, "BENCH_DATABASE": database}
    ran = subprocess.run(command, cwd=_ROOT, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise RuntimeError(f"{peer.package} makes no tables: {ran.stderr[-2000:]}")


@contextlib.contextmanager
def running(programs: Path, peer: Peer, setting: Setting, database: str, log: Path) -> Iterator[PeerServer]:
    """Start it on the core of what is measured; it is gone at the end, whatever happens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**os.environ, "BENCH_DATABASE": database, "BENCH_ATOMIC": str(int(setting.is_atomic))}
    environment["PYTHONPATH"] = str(_ROOT)
    ours = os.sched_getaffinity(0)
    pin(cores()[0])
    try:
        with log.open("w") as errors:
            process = subprocess.Popen(
                setting.command(programs, peer.module, port), cwd=_ROOT, env=environment, stdout=errors, stderr=errors
            )
    finally:
        os.sched_setaffinity(0, ours)
    server = PeerServer(peer, port, process.pid)
    try:
        _wait_until_ready(server, process, log)
        yield server
    finally:
        process.terminate()
        try:
            process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_until_ready(server: PeerServer, process: "subprocess.Popen[bytes]", log: Path) -> None:
    give_up_at = time.monotonic() + _READY_WITHIN_SECONDS
    while True:
        try:
            server.durable()
        except (urllib.error.URLError, ConnectionError):
            if process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError(f"{server.peer.package} does not start: {log.read_text()[-2000:]}") from None
            time.sleep(0.05)
        else:
            return
