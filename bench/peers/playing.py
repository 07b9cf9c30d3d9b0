"""How a library takes part: opened on a pair of tokens, then asked for requests, in threads or in tasks."""

import asyncio
import concurrent.futures
import contextlib
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bench.peers.wording import told

CLIENT_ID = "app"
THINGS = "/things"
LIFETIME_SECONDS = 1800.0
CALLERS = 8
ANSWER_WITHIN_SECONDS = 30.0

How = Literal["threads", "tasks"]


@dataclass(frozen=True)
class Reply:
    """The answer that the application sees."""

    status: int
    body: bytes


@dataclass(frozen=True)
class Start:
    """
    What a library is opened on.

    Args:
        server: Its URL.
        tokens: The members of a token answer.
        left_seconds: How long the access token still lives, as the library is to believe; below 0: it has expired.
        file: Where processes share the tokens, as the library does that; None: they stay in memory.
        is_own_server: Whether the server rotates as evertoken does: our clients then speak its own wire.
        events: Where the library's word that the session is over goes, if it has one.
    """

    server: str
    tokens: dict[str, str]
    left_seconds: float
    file: Path | None = None
    is_own_server: bool = False
    events: list[str] = field(default_factory=list)


Chunks = Sequence[bytes] | None
"""A body to be sent from a generator; None: a GET."""
Send = Callable[[str, Chunks], Reply]
SendAsync = Callable[[str, Chunks], Awaitable[Reply]]


@dataclass(frozen=True)
class Peer:
    """
    A library, as its documentation says to use it.

    Args:
        name: The column's head.
        packages: Whose versions are told.
        threads, tasks: Opens it for threads or for asyncio; None where it has no such half.
        save: Writes the tokens to `Start.file` for several processes; None where the library has nothing for that.
        tells: Whether it has an event for the end of a session.
    """

    name: str
    packages: tuple[str, ...]
    threads: Callable[[Start], AbstractContextManager[Send]] | None = None
    tasks: Callable[[Start], AbstractAsyncContextManager[SendAsync]] | None = None
    save: Callable[[Start], None] | None = None
    tells: bool = False

    @property
    def halves(self) -> tuple[How, ...]:
        """What it has."""
        halves: list[tuple[How, object]] = [("threads", self.threads), ("tasks", self.tasks)]
        return tuple(how for how, half in halves if half is not None)


Begin = Callable[[str, Chunks], "Future[Reply]"]


@contextlib.contextmanager
def playing(peer: Peer, how: How, start: Start) -> Iterator[Begin]:
    """Open a library; what is begun runs in a thread or task of its own, and cancelling its future cancels the task."""
    if how == "threads":
        assert peer.threads is not None
        with peer.threads(start) as send, ThreadPoolExecutor(CALLERS) as pool:
            yield lambda path, chunks: pool.submit(send, path, chunks)
        return
    assert peer.tasks is not None
    opened = peer.tasks(start)
    with _loop() as loop:
        asend = asyncio.run_coroutine_threadsafe(opened.__aenter__(), loop).result(ANSWER_WITHIN_SECONDS)
        try:
            yield lambda path, chunks: asyncio.run_coroutine_threadsafe(_awaited(asend, path, chunks), loop)
        finally:
            closing = opened.__aexit__(None, None, None)
            asyncio.run_coroutine_threadsafe(_awaited_exit(closing), loop).result(ANSWER_WITHIN_SECONDS)


async def _awaited(send: SendAsync, path: str, chunks: Chunks) -> Reply:
    return await send(path, chunks)


async def _awaited_exit(closing: Awaitable[bool | None]) -> None:
    await closing


@contextlib.contextmanager
def _loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="loop of a peer")
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(ANSWER_WITHIN_SECONDS)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()


def generated(chunks: Sequence[bytes]) -> Iterator[bytes]:
    """A body that can be read once."""
    yield from chunks


def settle() -> None:
    """Wait for the refreshes that a library runs beside a request, and for its listeners."""
    for thread in threading.enumerate():
        if thread.name == "evertoken-refresh" or type(thread).__name__ == "RefreshThread":
            thread.join(ANSWER_WITHIN_SECONDS)


def outcome(future: "Future[Reply]") -> str:
    """What came of a request: `ok`, another status, or the error in a few words."""
    try:
        reply = future.result(ANSWER_WITHIN_SECONDS)
    except CancelledError:
        return "cancelled"
    except concurrent.futures.TimeoutError:
        return "no answer in 30 s"
    except Exception as error:  # noqa: BLE001 - whatever a library raises is what is asked for
        return told(error)
    return "ok" if reply.status == 200 else f"answered {reply.status}"
