"""uvicorn in a thread of a test: it stops as soon as it is told to, for hundreds of tests start one of their own."""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future

import uvicorn

STARTED_WITHIN_SECONDS = 20.0
STOPPED_WITHIN_SECONDS = 20.0
_TICK_SECONDS = 0.1
_CONNECTIONS_CLOSE_WITHIN_SECONDS = 0.1


class PromptServer(uvicorn.Server):
    """
    uvicorn, with the same ends and no pauses before them.

    uvicorn itself looks ten times a second whether it is to stop, and then lets a tenth of a second pass in which its
    connections close. This one is woken, and goes on once they have closed.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._told = asyncio.Event()

    def tell(self) -> None:
        """Stop; to be called on its own loop."""
        self.should_exit = True
        self._told.set()

    async def main_loop(self) -> None:
        counter = 0
        while not await self.on_tick(counter):
            counter += 1
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), _TICK_SECONDS)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._drained(), _CONNECTIONS_CLOSE_WITHIN_SECONDS)
        if self.server_state.connections or self.server_state.tasks:
            await super().shutdown(sockets)
            return
        for server in self.servers:
            await server.wait_closed()
        await self.lifespan.shutdown()

    async def _drained(self) -> None:
        while self.server_state.connections or self.server_state.tasks:
            await asyncio.sleep(0.001)


@contextlib.contextmanager
def running(config: uvicorn.Config, *, name: str) -> Iterator[asyncio.AbstractEventLoop]:
    """
    Serve in a thread while the context lasts; gives the loop of the server.

    Args:
        config: Of the application; its lifespan has begun when the context is entered, and ended when it is left.
        name: The thread's.

    Raises:
        RuntimeError: It did not start: the port is taken, or the lifespan of the application failed.
        Exception: What the application raised while it was loaded.
    """
    server = PromptServer(config)
    started: Future[asyncio.AbstractEventLoop] = Future()

    async def serve() -> None:
        task = asyncio.create_task(server.serve())
        while not server.started and not task.done():
            await asyncio.sleep(0.005)
        if not task.done():
            started.set_result(asyncio.get_running_loop())
        await task

    def body() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)
        if not started.done():
            started.set_exception(RuntimeError("the server did not start: is the port taken, or its lifespan broken?"))

    thread = threading.Thread(target=body, name=name)
    thread.start()
    loop = None
    try:
        loop = started.result(STARTED_WITHIN_SECONDS)
        yield loop
    finally:
        server.should_exit = True
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            if loop is not None:
                loop.call_soon_threadsafe(server.tell)
        thread.join(STOPPED_WITHIN_SECONDS)
        assert not thread.is_alive()
