"""What a guard elsewhere makes of a connection that brings no answer: gone, or too busy."""

import asyncio

import pytest

from evertoken.guards.remote.answers import Unreachable
from evertoken.guards.remote.fetching import Fetcher
from tests.support.server import free_port


async def _failure(port: int, *, within_seconds: float = 20.0) -> Unreachable:
    fetcher = Fetcher()
    try:
        with pytest.raises(Unreachable) as raised:
            await fetcher.get(f"http://127.0.0.1:{port}/", within_seconds=within_seconds)
    finally:
        await fetcher.close()
    return raised.value


async def test_nobody_listens_where_the_issuer_was() -> None:
    """A refused connection is an issuer that is not there: it may be asked again soon."""
    assert (await _failure(free_port())).is_gone


async def test_an_issuer_that_hangs_up_is_gone() -> None:
    """A connection that is cut before the answer, as a stopping server or its proxy cuts it, counts the same."""

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        assert (await _failure(server.sockets[0].getsockname()[1])).is_gone


async def test_an_issuer_that_does_not_answer_in_time_is_busy_not_gone() -> None:
    """Time that runs out may mean too many guards at once: these come back after the longer pause."""
    over = asyncio.Event()

    async def say_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        try:
            assert not (await _failure(server.sockets[0].getsockname()[1], within_seconds=0.2)).is_gone
        finally:
            over.set()
