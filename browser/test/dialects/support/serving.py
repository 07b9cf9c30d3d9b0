"""What the servers of these tests have in common: uvicorn in a thread, and a clock that can be moved."""
# ruff: noqa: INP001

import asyncio
import socket
import threading
import time

import uvicorn


class MovedClock:
    """This machine's time, and what a test has let pass besides."""

    def __init__(self) -> None:
        self.ahead_ms = 0

    def __call__(self) -> int:
        return time.time_ns() // 1_000_000 + self.ahead_ms


class _Telling(uvicorn.Server):
    """Tells when it listens; of itself it has a member to look at, again and again."""

    def __init__(self, config: uvicorn.Config, told: threading.Event) -> None:
        super().__init__(config)
        self._told = told

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._told.set()


class Serving:
    """
    A server in a thread, which listens once this is made; `loop` is the thread's.

    Raises:
        RuntimeError: It did not start.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        self._is_told = threading.Event()
        self._server = _Telling(config, self._is_told)
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="server")
        self._thread.start()
        self._is_told.wait(30)
        if not self._server.started:
            self.stop()
            raise RuntimeError("the server did not start")

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._server.serve())
        finally:
            self._is_told.set()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(20)
