"""A way through the network that a test can cut: between a store and its database."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self


class Proxy:
    """Passes bytes on to a port of this machine, or swallows them, as a network does that drops packets."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._passes = True
        self._server: asyncio.Server | None = None
        self._cut: set[asyncio.StreamWriter] = set()
        self._open: set[asyncio.StreamWriter] = set()

    def swallow(self) -> None:
        """From now on nothing comes through, on old connections and new ones; nobody is told."""
        self._passes = False
        self._cut |= self._open

    def pass_on(self) -> None:
        """New connections work again. Those that were cut stay dead, as after a router has forgotten them."""
        self._passes = True

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        await asyncio.sleep(0.05)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            away_reader, away_writer = await asyncio.open_connection("127.0.0.1", self._target)
            self._open |= {writer, away_writer}
            if not self._passes:
                self._cut |= {writer, away_writer}
            try:
                await asyncio.gather(self._pump(reader, away_writer), self._pump(away_reader, writer))
            finally:
                for end in (writer, away_writer):
                    end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if writer not in self._cut:
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
