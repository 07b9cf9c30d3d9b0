"""The load: keep-alive connections on raw sockets, ready-made requests, answers looked at as little as possible."""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

NextRequest = Callable[[bytes], bytes]
"""Makes a connection's next request from the answer to its last."""

Answered = Callable[["Connection", float, bool], None]
"""Told how long an answer took and whether it was a good one; a connection that was lost has no good answer."""

_HEAD_END = b"\r\n\r\n"
_LENGTHS = (b"content-length: ", b"Content-Length: ")
"""As uvicorn and granian write it, and as gunicorn does."""


@dataclass(slots=True)
class Tally:
    """What was answered while somebody counted."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    latencies: list[float] = field(default_factory=list)
    refused: int = 0

    @property
    def answers(self) -> int:
        """All of them, refusals too."""
        return len(self.latencies)

    @property
    def per_second(self) -> float:
        """By the wall clock."""
        return self.answers / self.seconds

    @property
    def cpu_each(self) -> float:
        """Seconds of the server's CPU per request."""
        return self.cpu_seconds / self.answers


class Connection(asyncio.Protocol):
    """
    One client: sends a request, waits for its answer, makes the next one out of it.

    Args:
        request: The first one to send.
        next_request: What follows an answer.
    """

    def __init__(self, request: bytes, next_request: NextRequest) -> None:
        self._request = request
        self._next = next_request
        self._received = b""
        self._began = 0.0
        self._answered: Answered | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.transport = None
        self._finish(is_good=False)

    def send(self, answered: Answered, *, due: float | None = None) -> None:
        """Send the next request; `answered` hears how long it took, since `due` where that was earlier."""
        self._answered = answered
        self._began = time.perf_counter() if due is None else due
        if self.transport is not None:
            self.transport.write(self._request)
        else:
            asyncio.get_running_loop().call_later(0.1, self._finish)  # not at once: it would be tried again at once

    def data_received(self, data: bytes) -> None:
        if self._received:
            data = self._received + data
        head = data.find(_HEAD_END)
        if head < 0:
            self._received = data
            return
        at = data.find(_LENGTHS[0], 0, head)
        if at < 0:
            at = data.index(_LENGTHS[1], 0, head)
        at += len(_LENGTHS[0])
        if len(data) < head + len(_HEAD_END) + int(data[at : data.index(b"\r", at)]):
            self._received = data
            return
        self._received = b""
        is_good = data.startswith(b"HTTP/1.1 2")
        if is_good:
            self._request = self._next(data)
        self._finish(is_good=is_good)

    def _finish(self, *, is_good: bool = False) -> None:
        answered, self._answered = self._answered, None
        if answered is not None:
            answered(self, time.perf_counter() - self._began, is_good)


async def connect(port: int, requests: Sequence[bytes], next_requests: Sequence[NextRequest]) -> list[Connection]:
    """A connection for each first request."""
    loop = asyncio.get_running_loop()
    made = [Connection(*pair) for pair in zip(requests, next_requests, strict=True)]
    for connection in made:
        await loop.create_connection(lambda it=connection: it, "127.0.0.1", port)  # type: ignore[misc]
    return made


def close(connections: Sequence[Connection]) -> None:
    """Hang up."""
    for connection in connections:
        if connection.transport is not None:
            connection.transport.close()


class Closed:
    """
    A closed loop: every connection sends its next request as soon as it has its answer.

    Args:
        cpu_clock: Reads the server's CPU seconds.
    """

    def __init__(self, connections: Sequence[Connection], cpu_clock: Callable[[], float]) -> None:
        self._connections = connections
        self._cpu_clock = cpu_clock
        self._tally = Tally()
        self._left = 0
        self._under_way = 0
        self._until = 0.0
        self._done: asyncio.Future[None] | None = None

    async def run(self, *, seconds: float = 1e9, requests: int = 1 << 60) -> Tally:
        """Send for so long, or so many, whichever ends first; every answer is waited for."""
        self._tally = tally = Tally()
        self._done = asyncio.get_running_loop().create_future()
        self._left = requests
        self._under_way = 0
        cpu, began = self._cpu_clock(), time.perf_counter()
        self._until = began + seconds
        for connection in self._connections[:requests]:
            self._send(connection)
        await self._done
        tally.seconds = time.perf_counter() - began
        tally.cpu_seconds = self._cpu_clock() - cpu
        return tally

    def stop(self) -> None:
        """Send no more; `run` returns when the last are answered."""
        self._until = 0.0

    def _send(self, connection: Connection) -> None:
        self._left -= 1
        self._under_way += 1
        connection.send(self._answered)

    def _answered(self, connection: Connection, took: float, is_good: bool) -> None:
        self._tally.latencies.append(took)
        self._tally.refused += not is_good
        self._under_way -= 1
        if self._left > 0 and time.perf_counter() < self._until:
            self._send(connection)
        elif self._under_way == 0 and self._done is not None:
            self._done.set_result(None)


async def paced(connections: Sequence[Connection], *, per_second: float, seconds: float) -> Tally:
    """
    An open loop: so many requests a second whether or not answers come, each on a connection that is free.

    A request that finds none is late from the moment it was due: a server that stalls is not excused from what it
    kept from being sent.
    """
    tally = Tally()
    free = deque(connections)
    waiting: deque[float] = deque()

    def answered(connection: Connection, took: float, is_good: bool) -> None:
        tally.latencies.append(took)
        tally.refused += not is_good
        if waiting:
            connection.send(answered, due=waiting.popleft())
        else:
            free.append(connection)

    began = now = time.perf_counter()
    sent = 0
    while now < began + seconds:
        for _ in range(int((now - began) * per_second) - sent):
            sent += 1
            if free:
                free.popleft().send(answered)
            else:
                waiting.append(now)
        await asyncio.sleep(0.001)
        now = time.perf_counter()
    while len(free) < len(connections):
        await asyncio.sleep(0.001)
    tally.seconds = time.perf_counter() - began
    return tally


def post(path: str, body: bytes) -> bytes:
    """A JSON request as a program sends it."""
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\nuser-agent: evertoken-bench/1\r\naccept: application/json\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def get(path: str, token: str) -> bytes:
    """A request with an access token."""
    return (
        f"GET {path} HTTP/1.1\r\nhost: localhost\r\nuser-agent: evertoken-bench/1\r\naccept: application/json\r\n"
        f"authorization: Bearer {token}\r\n\r\n"
    ).encode()
