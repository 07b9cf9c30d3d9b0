"""
Something under way in a thread of its own, and those who wait for it: threads, asyncio tasks of any loop, trio tasks.

It belongs to nobody who waits: a waiter that is cancelled, times out, or whose loop is closed takes nothing with it.
It holds no primitive that is bound to a loop.
"""

import contextlib
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    import asyncio

T = TypeVar("T")


class Flight(Generic[T]):
    """Work under way. It lands once, with a result or an exception."""

    def __init__(self) -> None:
        self._landed: Future[T] = Future()
        self._by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}

    def start(self, work: Callable[[], T], *, name: str, afterwards: Callable[[T], None] | None = None) -> None:
        """
        Do the work in a thread, land with what comes of it, and only then do what nobody waits for.

        Not a daemon: an interpreter that exits waits for it, so that a pair that is on its way is still stored. Where
        no thread can be started any more, at exit, the work is done here.
        """

        def fly() -> None:
            try:
                result = work()
            except BaseException as error:  # noqa: BLE001 - it belongs to those who wait
                self._landed.set_exception(error)
            else:
                self._landed.set_result(result)
                if afterwards is not None:
                    afterwards(result)

        try:
            threading.Thread(target=fly, name=name, daemon=False).start()
        except RuntimeError:
            fly()

    def wait(self, timeout_seconds: float) -> T:
        """
        Wait in a thread for what comes of it.

        Raises:
            TimeoutError: It takes longer than that. The work goes on.
        """
        return self._landed.result(timeout_seconds)

    async def wait_async(self, timeout_seconds: float) -> T:
        """
        Wait in a task, of asyncio or trio.

        Raises:
            TimeoutError: It takes longer than that. The work goes on.
        """
        import asyncio  # noqa: PLC0415 - a program of threads alone, as `evertoken token`, starts without it

        if not self._landed.done():
            try:
                loop = asyncio.get_running_loop()
            except RuntimeError:
                await self._wait_in_trio(timeout_seconds)
            else:
                await self._wait_in_asyncio(loop, timeout_seconds)
        return self._landed.result(0)

    async def _wait_in_asyncio(self, loop: "asyncio.AbstractEventLoop", timeout_seconds: float) -> None:
        """Each task has a future of its own to be cancelled by; a thousand of them in a loop wake it once."""
        waiting = self._by_loop.get(loop)
        if waiting is None:
            waiting = self._by_loop[loop] = []
            self._tell(lambda: loop.call_soon_threadsafe(_settle_all, waiting))
        mine: asyncio.Future[None] = loop.create_future()
        waiting.append(mine)
        timer = loop.call_later(timeout_seconds, _settle, mine)
        try:
            await mine
        finally:
            timer.cancel()

    async def _wait_in_trio(self, timeout_seconds: float) -> None:
        import trio  # noqa: PLC0415 - whoever gets here runs it

        landing = trio.Event()
        token = trio.lowlevel.current_trio_token()
        self._tell(lambda: token.run_sync_soon(landing.set))
        with trio.move_on_after(timeout_seconds):
            await landing.wait()

    def _tell(self, wake: Callable[[], Any]) -> None:
        def told(_: object) -> None:
            # The loop may have been closed meanwhile: then nobody waits there any more.
            with contextlib.suppress(RuntimeError):
                wake()

        self._landed.add_done_callback(told)


def _settle(mine: "asyncio.Future[None]") -> None:
    if not mine.done():
        mine.set_result(None)


def _settle_all(waiting: "list[asyncio.Future[None]]") -> None:
    for mine in waiting:
        _settle(mine)
