"""That another library does the same work before it is measured: rotates, remembers, refuses, and keeps its word."""

import base64
import json
import threading
from typing import Any

from bench.beside.servers import PeerServer

DURABLE = {"2", "on"}
"""SQLite's synchronous=FULL; PostgreSQL's synchronous_commit."""


AT_ONCE = 4
_TRIES = 5


class NotTheSameWork(Exception):
    """The comparison would be none."""


def check(server: PeerServer, user: int) -> None:
    """
    Raises:
        NotTheSameWork: a refresh makes no new refresh token, or an old one is taken again, or a token is not signed
            with HS256, or commits are not on the disk.
    """
    name = server.peer.package
    first = server.sign_in(user)
    status, answer = server.ask(server.peer.request(first))
    if status != 200 or answer["refresh"] == first:
        raise NotTheSameWork(f"{name} does not rotate: {status}")
    for token in (answer["refresh"], answer["access"]):
        if _header(token)["alg"] != "HS256":
            raise NotTheSameWork(f"{name} signs otherwise than with HS256")
    status, _ = server.ask(server.peer.request(first))
    if status != 401:
        raise NotTheSameWork(f"{name} takes a token that was used: {status}")
    status, _ = server.ask(server.peer.request(answer["refresh"]))
    if status != 200:
        raise NotTheSameWork(f"{name} does not take the token that it made: {status}")
    if server.durable() not in DURABLE:
        raise NotTheSameWork(f"{name} has commits that are not on the disk: {server.durable()}")


def taken_at_once(server: PeerServer, user: int) -> int:
    """How often one token was taken, at most, that was presented four times at the same moment; each pair lives on."""
    return max(_taken(server, server.sign_in(user)) for _ in range(_TRIES))


def _taken(server: PeerServer, token: str) -> int:
    together = threading.Barrier(AT_ONCE)
    statuses: list[int] = []

    def present() -> None:
        together.wait()
        statuses.append(server.ask(server.peer.request(token))[0])

    threads = [threading.Thread(target=present) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return statuses.count(200)


def _header(token: str) -> dict[str, Any]:
    encoded = token.partition(".")[0]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    return found
