"""What the compliance suite asks of an HTTP library, the same for threads and tasks."""

import asyncio
import concurrent.futures
import contextlib
import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

from evertoken.client import Session
from tests.adapters.material import Material

PATIENCE_SECONDS = 50.0
"""The bound of every wait of the suite."""


@dataclass(frozen=True)
class Ask:
    """
    A request.

    Args:
        body: Keyword arguments of the library.
        follow: Whether redirects are followed.
        opt_out: Whether the request goes out without a token.
        on_chunk: The answer is read as a stream, and each piece of it given to this.
    """

    url: str
    method: str = "GET"
    body: Mapping[str, Any] = field(default_factory=dict)
    follow: bool = False
    opt_out: bool = False
    on_chunk: Callable[[bytes], object] | None = None


@dataclass(frozen=True)
class Reply:
    """What the application was given; `members` is what the library's own `.json()` made of it, if it was JSON."""

    status: int
    content: bytes
    members: Any = None

    @classmethod
    def of(cls, status: int, content: bytes, kind: str | None) -> "Reply":
        """A reply that was read piece by piece."""
        return cls(status, content, json.loads(content) if kind and kind.startswith("application/json") else None)


class Client(ABC):
    """A client of a library, used from the test's thread; each request runs in a thread or a task of its own."""

    @abstractmethod
    def start(self, ask: Ask) -> Future[Reply]:
        """Begin a request; `cancel()` of what is returned cancels its task, where there is one."""

    def send(self, ask: Ask) -> Reply:
        """Make a request and wait for the reply, or raise what the library raises."""
        return self.start(ask).result(PATIENCE_SECONDS)

    def get(self, url: str, *, follow: bool = False, opt_out: bool = False) -> Reply:
        """The reply to a GET."""
        return self.send(Ask(url, follow=follow, opt_out=opt_out))

    def start_many(self, count: int, url: str) -> list[Future[Reply]]:
        """Begin that many GET requests at once."""
        return [self.start(Ask(url)) for _ in range(count)]

    def statuses(self, pending: list[Future[Reply]]) -> list[int]:
        """Their statuses, or raise what the first that failed raised."""
        done, late = concurrent.futures.wait(pending, PATIENCE_SECONDS)
        assert not late, f"{len(late)} of {len(pending)} requests have no answer"
        return [each.result().status for each in done]

    def failures(self, pending: list[Future[Reply]]) -> list[BaseException]:
        """What each of them raised; every one must have failed."""
        done, late = concurrent.futures.wait(pending, PATIENCE_SECONDS)
        assert not late, f"{len(late)} of {len(pending)} requests have no answer"
        errors = [each.exception() for each in done]
        return [error for error in errors if error is not None]


class Bench(ABC):
    """One HTTP library, and what it does by nature."""

    is_async: bool
    shares_connections = True
    """Whether connections may be kept for many threads, or have to be closed after each answer."""
    refuses: frozenset[str] = frozenset({"generator", "async generator", "unseekable file", "progress bar"})
    """Kinds of bodies that cannot be sent twice; every other kind that the library takes can."""

    @abstractmethod
    def body(self, kind: str, material: Material) -> dict[str, Any] | None:
        """The keyword arguments for a body of that kind; None where the library does not take such a body."""

    @abstractmethod
    def client(self, session: Session, *, connections: int | None = None) -> AbstractContextManager[Client]:
        """A client with the adapter, and a pool of so many connections."""

    def status_of(self, response: Any) -> int:
        """The status of one of the library's own responses."""
        return int(response.status_code)


class SyncBench(Bench):
    """A library that blocks: a thread per request."""

    is_async = False

    @abstractmethod
    def opened(self, session: Session, connections: int | None) -> AbstractContextManager[Any]:
        """The library's client."""

    @abstractmethod
    def exchange(self, native: Any, ask: Ask) -> Reply:
        """One request."""

    @contextlib.contextmanager
    def client(self, session: Session, *, connections: int | None = None) -> Iterator[Client]:
        with self.opened(session, connections) as native, ThreadPoolExecutor(2000) as threads:
            yield _Threads(self, native, threads)


class _Threads(Client):
    def __init__(self, bench: SyncBench, native: Any, threads: ThreadPoolExecutor) -> None:
        self._bench = bench
        self._native = native
        self._threads = threads

    def start(self, ask: Ask) -> Future[Reply]:
        return self._threads.submit(self._bench.exchange, self._native, ask)


class AsyncBench(Bench):
    """A library for asyncio: a task per request, in an event loop in a thread of its own."""

    is_async = True

    @abstractmethod
    def opened(self, session: Session, connections: int | None) -> AbstractAsyncContextManager[Any]:
        """The library's client."""

    @abstractmethod
    async def exchange(self, native: Any, ask: Ask) -> Reply:
        """One request."""

    @contextlib.contextmanager
    def client(self, session: Session, *, connections: int | None = None) -> Iterator[Client]:
        opened: Future[_Tasks] = Future()

        async def run() -> None:
            try:
                async with self.opened(session, connections) as native:
                    tasks = _Tasks(self, native)
                    opened.set_result(tasks)
                    await tasks.over.wait()
            except BaseException as error:
                if not opened.done():
                    opened.set_exception(error)
                raise

        with ThreadPoolExecutor(1) as thread:
            running = thread.submit(asyncio.run, run())
            tasks = opened.result(PATIENCE_SECONDS)
            try:
                yield tasks
            finally:
                tasks.loop.call_soon_threadsafe(tasks.over.set)
            running.result(PATIENCE_SECONDS)


class _Tasks(Client):
    def __init__(self, bench: AsyncBench, native: Any) -> None:
        self._bench = bench
        self._native = native
        self.loop = asyncio.get_running_loop()
        self.over = asyncio.Event()

    def start(self, ask: Ask) -> Future[Reply]:
        return asyncio.run_coroutine_threadsafe(self._bench.exchange(self._native, ask), self.loop)


class Once:
    """Tells a test's thread that the first piece of a stream is there, and collects all of them."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self._first = threading.Event()

    def __call__(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self._first.set()

    def wait(self) -> bytes:
        """The first piece."""
        assert self._first.wait(PATIENCE_SECONDS), "no piece of the stream has come"
        return self.pieces[0]
