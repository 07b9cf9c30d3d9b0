"""
The API that clients are measured against: `python -m bench.api '{"core": 0}'`, as little of a server as there can be.

It answers sign-in and refresh with one current access token, everything else with 200 to whoever shows that token and
401 to everybody else; `/plain` asks for none. Prepared bytes over uvloop, so that what is measured is the client.
Prints its port as JSON when it is ready and stops when standard input ends.
"""

import asyncio
import json
import os
import sys
from dataclasses import dataclass, field

import uvloop

from bench.effort import pin

BODY = b'{"hello":"world"}'


@dataclass(frozen=True, slots=True)
class ApiPlan:
    """
    What to start.

    Args:
        core: The core to stay on; None for any.
    """

    core: int | None = None


def _answer(status: bytes, body: bytes) -> bytes:
    kind = b"application/json" if status.startswith(b"2") else b"application/problem+json"
    return b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n%s" % (status, kind, len(body), body)


@dataclass(slots=True)
class State:
    """What all connections share."""

    delay_seconds: float = 0.0
    token: int = 0
    refreshes: int = 0
    refused: int = 0
    hello: bytes = field(default_factory=lambda: _answer(b"200 OK", BODY))
    no: bytes = field(default_factory=lambda: _answer(b"401 Unauthorized", b'{"code":"token_expired"}'))

    def tokens(self) -> bytes:
        """A token answer for the current token."""
        pair = {"access_token": f"access-{self.token}", "token_type": "Bearer", "expires_in": 3600}
        return _answer(b"200 OK", json.dumps(pair | {"refresh_token": "refresh", "session_id": "s"}).encode())


class Connection(asyncio.Protocol):
    """One connection; requests one after the other."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where answers go."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._received += data
        while True:
            head, end, rest = self._received.partition(b"\r\n\r\n")
            if not end:
                return
            lower = head.lower()
            at = lower.find(b"\r\ncontent-length:")
            length = int(lower[at + 17 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(rest) < length:
                return
            self._received = rest[length:]
            self._reply(head)

    def _reply(self, head: bytes) -> None:
        state = self._state
        target = head.split(b" ", 2)[1]
        if target == b"/plain" or (b"access-%d\r\n" % state.token) in head + b"\r\n":
            answer = state.hello
        elif target == b"/auth/refresh":
            state.refreshes += 1
            state.token += 1
            answer = state.tokens()
        elif target == b"/auth/login":
            answer = state.tokens()
        elif target == b"/expire":
            state.token += 1
            answer = state.hello
        elif target == b"/counts":
            answer = _answer(b"200 OK", json.dumps([state.refreshes, state.refused]).encode())
        elif target.startswith(b"/delay/"):
            state.delay_seconds = int(target[7:]) / 1000
            answer = state.hello
        else:
            state.refused += 1
            answer = state.no
        if state.delay_seconds:
            asyncio.get_running_loop().call_later(state.delay_seconds, self._write, answer)
        else:
            self._write(answer)

    def _write(self, answer: bytes) -> None:
        if not self._transport.is_closing():
            self._transport.write(answer)  # type: ignore[attr-defined]  # a transport of a stream is one that writes


async def main() -> None:
    """Start, tell, serve until standard input ends."""
    state = State()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(state), "127.0.0.1", 0, backlog=1024)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await loop.run_in_executor(None, os.read, 0, 1)
    server.close()


if __name__ == "__main__":
    pin(ApiPlan(**json.loads(sys.argv[1])).core)
    uvloop.run(main())
