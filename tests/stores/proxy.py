"""A way through the network that a test can cut: between a store and its database, or clients and servers."""

import asyncio
import contextlib
from types import TracebackType
from typing import Self


class Proxy:
    """Passes bytes on to a port of this machine, or swallows them, as a network does that drops packets."""

    def __init__(self, target: int) -> None:
        self.port = 0
        self._target = target
        self._passes_there = self._passes_back = True
        self._refuses = False
        self._server: asyncio.Server | None = None
        self._cut: set[asyncio.StreamWriter] = set()
        self._there: set[asyncio.StreamWriter] = set()
        self._back: set[asyncio.StreamWriter] = set()

    def swallow(self) -> None:
        """From now on nothing comes through, on old connections and new ones; nobody is told."""
        self._passes_there = self._passes_back = False
        self._cut |= self._there | self._back

    def swallow_answers(self) -> None:
        """From now on what is asked comes through, and no answer."""
        self._passes_back = False
        self._cut |= self._back

    def reset(self) -> None:
        """End all connections, and every new one at once, as a router does that has been restarted."""
        self._refuses = True
        for writer in self._there | self._back:
            writer.transport.abort()

    def pass_on(self) -> None:
        """New connections work again. Those that were cut stay dead, as after a router has forgotten them."""
        self._passes_there = self._passes_back = True
        self._refuses = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._there | self._back:
            writer.transport.abort()
        await asyncio.sleep(0.05)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        try:
            away_reader, away_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
            return
        self._there.add(away_writer)
        self._back.add(writer)
        if not self._passes_there:
            self._cut.add(away_writer)
        if not self._passes_back:
            self._cut.add(writer)
        try:
            with contextlib.suppress(OSError):
                await asyncio.gather(self._pump(reader, away_writer), self._pump(away_reader, writer))
        finally:
            for end in (writer, away_writer):
                end.transport.abort()
            self._there.discard(away_writer)
            self._back.discard(writer)
            self._cut -= {writer, away_writer}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if writer not in self._cut:
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
