"""
A closed loop over plain sockets that costs the load's core less than any of the servers costs the other.

What `bench.load` does with protocols of an event loop takes longer than a Starlette application does; a server that
waits for its load between two requests spends CPU on waking up.
"""

import contextlib
import select
import socket
import time
from collections.abc import Callable, Sequence

from bench.load import Tally, get

CONNECTIONS = 32
ANSWER_WITHIN_SECONDS = 30.0
_MOST = 1 << 16


class Load:
    """
    Keep-alive connections that send GETs of one path, with one token after the other.

    Args:
        cpu_clock: Reads the server's CPU seconds.
    """

    def __init__(self, port: int, path: str, tokens: Sequence[str], cpu_clock: Callable[[], float]) -> None:
        self._requests = [get(path, token) for token in tokens]
        self._at = 0
        self._cpu_clock = cpu_clock
        self._stack = contextlib.ExitStack()
        self._poll = self._stack.enter_context(select.epoll())
        self._sockets: dict[int, socket.socket] = {}
        for _ in range(CONNECTIONS):
            made = self._stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets[made.fileno()] = made
            self._poll.register(made, select.EPOLLIN)

    def close(self) -> None:
        """Hang up."""
        self._stack.close()

    def run(self, *, seconds: float = 1e9, requests: int = 1 << 60) -> Tally:
        """
        Send for so long, or so many, whichever ends first; every answer is waited for.

        Raises:
            TimeoutError: None comes for half a minute.
            ConnectionError: The server hangs up.
        """
        tally = Tally()
        cpu, began = self._cpu_clock(), time.perf_counter()
        until = began + seconds
        under_way = answered = 0
        for each in list(self._sockets.values())[:requests]:
            self._send(each)
            under_way += 1
        left = requests - under_way
        unfinished: dict[int, bytes] = {}
        while under_way:
            ready = self._poll.poll(ANSWER_WITHIN_SECONDS)
            if not ready:
                raise TimeoutError(f"{under_way} requests are not answered")
            goes_on = time.perf_counter() < until
            for number, _ in ready:
                connection = self._sockets[number]
                answer = connection.recv(_MOST)
                if not answer:
                    raise ConnectionError("the server has hung up")
                if unfinished:
                    answer = unfinished.pop(number, b"") + answer
                if not _is_whole(answer):
                    unfinished[number] = answer
                    continue
                answered += 1
                tally.refused += not answer.startswith(b"HTTP/1.1 2")
                if goes_on and left > 0:
                    left -= 1
                    self._send(connection)
                else:
                    under_way -= 1
        tally.seconds = time.perf_counter() - began
        tally.cpu_seconds = self._cpu_clock() - cpu
        tally.latencies = [0.0] * answered  # Tally counts these; how long each took is not asked here
        return tally

    def _send(self, connection: socket.socket) -> None:
        connection.send(self._requests[self._at])
        self._at = (self._at + 1) % len(self._requests)


def _is_whole(answer: bytes) -> bool:
    head = answer.find(b"\r\n\r\n")
    at = answer.find(b"content-length: ", 0, head)
    return head >= 0 and len(answer) >= head + 4 + int(answer[at + 16 : answer.index(b"\r", at)])
