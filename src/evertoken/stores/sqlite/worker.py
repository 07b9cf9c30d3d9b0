"""
The threads that talk to SQLite: one that writes, in grouped durable commits, and one that reads.

The event loop never waits for a disk. Writes of all kinds queue up here, first come, first served; whatever is
waiting when a commit ends goes together into the next. If that commit fails, every write in it has failed.
"""

import asyncio
import contextlib
import functools
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from evertoken.clock import Clock, monotonic_seconds
from evertoken.errors import StoreUnavailable
from evertoken.stores.sqlite.connection import LOCK_WAIT_SECONDS, open_for_reading, open_for_writing
from evertoken.stores.sqlite.file import DatabaseFile

T = TypeVar("T")
WriteWork = Callable[[sqlite3.Connection, int], T]
ReadWork = Callable[[sqlite3.Connection, int], T]

MAX_JOBS_PER_COMMIT = 64
ANSWER_WITHIN_SECONDS = 8.0
"""What a caller waits for the store. Work that has not begun by then is dropped, not done behind the caller's back:
a token decided long after it was sent would look like a late one."""

_LOCK_RETRY_SECONDS = 0.0005


@dataclass(slots=True)
class _Job(Generic[T]):
    work: Callable[[sqlite3.Connection, int], T]
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[T]"
    give_up_at: float


_Answer = tuple[_Job[Any], Any, BaseException | None]
"""A job, what it returned, and what it raised instead."""


class Worker:
    """
    One thread with one connection, and a queue in front of it.

    Args:
        clock: The store's clock: SQLite lives in this machine, so it is this machine's.
        prefix: What the names of our tables begin with.
        writes: Whether jobs run inside a durable write transaction; otherwise they read a snapshot.
    """

    def __init__(self, path: Path, *, prefix: str, clock: Clock, writes: bool) -> None:
        self._clock = clock
        self._writes = writes
        self._file = DatabaseFile(
            path, functools.partial(open_for_writing if writes else open_for_reading, prefix=prefix)
        )
        self._jobs: queue.SimpleQueue[_Job[Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._loop, name=f"sqlite-{'write' if writes else 'read'}", daemon=True)
        self._started = False
        self._closed = False

    async def run(self, work: Callable[[sqlite3.Connection, int], T]) -> T:
        """
        Run `work(connection, now_ms)` on the thread and return what it returned, once that is committed.

        Raises:
            StoreUnavailable: locked, full, read-only, gone, or no answer within `ANSWER_WITHIN_SECONDS`.
        """
        if self._closed:
            raise StoreUnavailable("the store is closed")
        if not self._started:
            self._started = True
            self._thread.start()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(work, loop, future, monotonic_seconds() + ANSWER_WITHIN_SECONDS))
        try:
            async with asyncio.timeout(ANSWER_WITHIN_SECONDS):
                return await future
        except TimeoutError as error:
            raise StoreUnavailable("the store did not answer in time") from error

    def close(self) -> None:
        """Finish what is queued, then stop the thread and close the file."""
        self._closed = True
        if self._started and self._thread.is_alive():
            self._jobs.put(None)
            self._thread.join(timeout=ANSWER_WITHIN_SECONDS)

    def _loop(self) -> None:
        while True:
            first = self._jobs.get()
            stopping = first is None
            batch = [] if first is None else [first]
            while len(batch) < MAX_JOBS_PER_COMMIT and not stopping:
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    stopping = True
                else:
                    batch.append(job)
            self._settle(batch)
            if stopping:
                self._file.forget()
                return

    def _settle(self, batch: list[_Job[Any]]) -> None:
        """Run a batch and tell every caller; a caller's own mistake (an exception that is not SQLite's) is its own."""
        now = monotonic_seconds()
        live = [job for job in batch if job.give_up_at > now]
        answers: list[_Answer] = []
        try:
            if live:
                answers = self._write(live) if self._writes else self._read(live)
        except sqlite3.Error as error:
            self._file.close()
            answers = [(job, None, StoreUnavailable(f"the database failed: {error}")) for job in live]
        except Exception as error:  # noqa: BLE001 - the thread outlives any fault of one batch
            self._file.close()
            kept = error if isinstance(error, StoreUnavailable) else StoreUnavailable("the store failed")
            answers = [(job, None, kept) for job in live]
        by_loop: dict[asyncio.AbstractEventLoop, list[_Answer]] = {}
        for answer in answers:
            by_loop.setdefault(answer[0].loop, []).append(answer)
        for loop, its in by_loop.items():
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody waits there any more
                loop.call_soon_threadsafe(_deliver, its)

    def _write(self, batch: list[_Job[Any]]) -> list[_Answer]:
        connection = self._file.connection()
        _begin(connection)
        try:
            now_ms = self._clock()
            now = monotonic_seconds()  # anew: the lock may have been long in coming
            answers = [_run_one(connection, job, now_ms) for job in batch if job.give_up_at > now]
            connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        return answers

    def _read(self, batch: list[_Job[Any]]) -> list[_Answer]:
        connection = self._file.connection()
        answers: list[_Answer] = []
        for job in batch:
            try:
                answers.append((job, job.work(connection, self._clock()), None))
            except sqlite3.Error:
                raise
            except Exception as error:  # noqa: BLE001 - handed to the caller
                answers.append((job, None, error))
        return answers


def _run_one(connection: sqlite3.Connection, job: _Job[Any], now_ms: int) -> _Answer:
    """Run one write; a refusal that it raises undoes it alone, a fault of the database undoes the whole commit."""
    connection.execute("SAVEPOINT job")
    try:
        result = job.work(connection, now_ms)
    except sqlite3.Error:
        raise
    except Exception as error:  # noqa: BLE001 - handed to the caller
        connection.execute("ROLLBACK TO job")
        connection.execute("RELEASE job")
        return job, None, error
    connection.execute("RELEASE job")
    return job, result, None


def _begin(connection: sqlite3.Connection) -> None:
    """
    Take the write lock, waiting for other processes.

    SQLite's own busy handler sleeps up to 100 ms between tries; several workers on one file would starve each other.
    """
    give_up_at = monotonic_seconds() + LOCK_WAIT_SECONDS
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or monotonic_seconds() > give_up_at:
                raise
            time.sleep(_LOCK_RETRY_SECONDS)
        else:
            return


def _deliver(answers: list[_Answer]) -> None:
    for job, result, error in answers:
        if job.future.done():
            continue
        if error is None:
            job.future.set_result(result)
        else:
            job.future.set_exception(error)
