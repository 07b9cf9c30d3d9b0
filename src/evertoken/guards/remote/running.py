"""A thread with an event loop of its own, which a fork does not take along and which is then started anew."""

import asyncio
import contextlib
import logging
import os
import threading
import weakref
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final

STOP_WITHIN_SECONDS: Final = 5.0
RESTART_AFTER_SECONDS: Final = 1.0

_log = logging.getLogger("evertoken.guards")

_running: "weakref.WeakSet[OwnThread]" = weakref.WeakSet()


class OwnThread:
    """
    Runs a coroutine in a daemon thread until it is stopped; what it raises is logged, and it is run again.

    Args:
        work: Makes the coroutine.
        on_fork: Called in a forked process before the thread is started there.
    """

    def __init__(self, name: str, work: Callable[[], Awaitable[None]], *, on_fork: Callable[[], None]) -> None:
        self._name = name
        self._work = work
        self._on_fork = on_fork
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_stopped = False

    def start(self) -> None:
        """Start it; once only."""
        self._is_stopped = False
        self._thread = threading.Thread(target=self._body, name=self._name, daemon=True)
        _running.add(self)
        self._thread.start()

    def stop(self) -> None:
        """Stop it, and wait for its end, unless it is this very thread that asks."""
        self._is_stopped = True
        _running.discard(self)
        thread, loop, task = self._thread, self._loop, self._task
        if thread is None:
            return
        if loop is not None and task is not None:
            with contextlib.suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(task.cancel)
        if thread is not threading.current_thread():
            thread.join(STOP_WITHIN_SECONDS)

    def start_in_child(self) -> None:
        """In a forked process, where the thread is not."""
        self._thread = self._loop = self._task = None
        self._on_fork()
        self.start()

    def _body(self) -> None:
        with asyncio.Runner() as runner, contextlib.suppress(asyncio.CancelledError):
            runner.run(self._main())

    async def _main(self) -> None:
        self._loop, self._task = asyncio.get_running_loop(), asyncio.current_task()
        while not self._is_stopped:
            try:
                await self._work()
            except Exception:  # noqa: BLE001 - a guard that silently followed nothing any more would be worse
                _log.exception("a fault in the guard's thread; it begins anew")
                await asyncio.sleep(RESTART_AFTER_SECONDS)


async def together(*works: Coroutine[Any, Any, None]) -> None:
    """Run several until one fails or all are cancelled; what failed is raised as it was."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _after_fork() -> None:
    for thread in tuple(_running):
        try:
            thread.start_in_child()
        except Exception:  # noqa: BLE001 - whoever forks must not fail by it
            _log.exception("the guard's thread could not be started in the forked process")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
