"""A server that is told to stop: what it says to a load balancer, and what becomes of those who are being answered."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from tests.support.process import ServerProcess, add_users
from tests.support.server import PASSWORD, client_at

DRAIN_SECONDS = 60
"""Longer than any test here waits: nothing but what is tested can end it sooner."""

WITHIN_SECONDS = 20.0


@pytest.fixture
def draining(tmp_path: Path) -> Iterator[ServerProcess]:
    """A server that drains for a minute, and has been told to stop."""
    with ServerProcess(tmp_path, drain=f"{DRAIN_SECONDS}s") as server:
        server.terminate()
        with client_at(server.url) as client:
            _until_unready(client)
        yield server
        if server.is_running():
            server.kill()


def _until_unready(client: httpx2.Client) -> None:
    give_up_at = time.monotonic() + WITHIN_SECONDS
    while client.get("/readyz").status_code == 200:
        assert time.monotonic() < give_up_at


def test_a_draining_server_is_healthy_but_not_ready_and_goes_on_serving(draining: ServerProcess) -> None:
    """A load balancer that asks /readyz sends nobody here any more; whoever comes all the same is served."""
    with client_at(draining.url) as client:
        unready = client.get("/readyz")
        assert (unready.status_code, unready.json()["code"], unready.headers["retry-after"]) == (
            503,
            "unavailable",
            "1",
        )
        assert unready.json()["detail"] == "The server is about to stop."
        assert client.get("/healthz").status_code == 200
        refused = client.post("/auth/login", json={"username": "nobody", "password": "not the one she chose"})
        assert refused.status_code == 401
    assert draining.is_running()


def test_a_second_sigterm_ends_the_draining_at_once(draining: ServerProcess) -> None:
    """Whoever does not want to wait says so again; the end is as clean as after a whole minute."""
    os.kill(draining.pid, signal.SIGTERM)
    assert draining.wait(WITHIN_SECONDS) == 0
    assert "Traceback" not in draining.stderr


def test_no_worker_waits_for_another_before_it_gives_up_the_port(tmp_path: Path) -> None:
    """
    Several workers and a request in flight: as soon as they stop, new calls are refused, and not taken and left waiting
    for an answer that nobody will give; the request in flight is answered.
    """
    server = ServerProcess(tmp_path, workers=2)
    add_users(server.database, "ada")
    body = json.dumps({"username": "ada", "password": PASSWORD}).encode()
    head = (
        f"POST /auth/login HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    with server, socket.create_connection(("127.0.0.1", server.port), timeout=WITHIN_SECONDS) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100 "), "the server has the request and waits for its body"
        server.terminate()
        _until_refused(server.port)
        connection.sendall(body)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
        assert server.wait() == 0
    assert answer.startswith(b"HTTP/1.1 200 ")


def _until_refused(port: int) -> None:
    give_up_at = time.monotonic() + WITHIN_SECONDS / 4  # what is in flight is waited for up to 10 s
    while time.monotonic() < give_up_at:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=WITHIN_SECONDS).close()
        except OSError:
            return
    raise AssertionError("the port still takes calls")
