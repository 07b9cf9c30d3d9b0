"""httpx2 and httpx, with and without asyncio."""

import contextlib
import itertools
from collections.abc import AsyncIterator, Iterator
from typing import Any

from evertoken.client import Session
from tests.adapters.benches.bench import PATIENCE_SECONDS, Ask, AsyncBench, Bench, Reply, SyncBench
from tests.adapters.material import FORM, MEMBERS, OFFSET, Material

CLIENTS = 4
"""Requests go to these in turn: a pool takes time by the square of its connections. They share one session."""


class _Family(Bench):
    """
    What both have in common.

    Args:
        library: The module httpx2 or httpx.
        auth: The adapter's class.
        shares_connections: As in `Bench`.
    """

    refuses = Bench.refuses | {"multipart with an unseekable file"}

    def __init__(self, library: Any, auth: Any, *, shares_connections: bool = True) -> None:
        self.library = library
        self.auth = auth
        self.shares_connections = shares_connections

    def settings(self, session: Session, connections: int | None) -> dict[str, Any]:
        """The client's arguments: as many connections as asked."""
        limits = self.library.Limits(max_connections=connections, max_keepalive_connections=20)
        timeout = self.library.Timeout(PATIENCE_SECONDS, pool=PATIENCE_SECONDS if connections is None else 5.0)
        return {"auth": self.auth(session), "limits": limits, "timeout": timeout, "trust_env": False, "verify": False}

    def body(self, kind: str, material: Material) -> dict[str, Any] | None:  # noqa: PLR0912 - a table
        match kind:
            case "empty":
                return {}
            case "bytes":
                return {"content": material.content}
            case "text":
                return {"content": material.text}
            case "json":
                return {"json": MEMBERS}
            case "form":
                return {"data": FORM}
            case "multipart in memory":
                return {"files": {"file": ("a.bin", material.content)}}
            case "multipart with a file":
                return {"files": {"file": ("a.bin", material.file())}}
            case "multipart with an unseekable file":
                return {"files": {"file": ("a.bin", material.unseekable())}}
            case "async generator" if self.is_async:
                return {"content": material.async_generator()}
            case _ if self.is_async or kind == "async generator":
                return None
            case "file":
                return {"content": material.file()}
            case "file from an offset":
                # httpx 0.28 counts the whole file, whatever has been read of it, unless it is told.
                length = str(len(material.content) - OFFSET)
                return {"content": material.file(OFFSET), "headers": {"Content-Length": length}}
            case "unseekable file":
                return {"content": material.unseekable()}
            case "list of chunks":
                return {"content": material.chunks()}
            case "generator":
                return {"content": material.generator()}
            case _:
                return {"content": material.progress_bar()}

    def arguments(self, ask: Ask) -> dict[str, Any]:
        """The arguments of a request."""
        opted = {"auth": None} if ask.opt_out else {}
        return {"method": ask.method, "url": ask.url, "follow_redirects": ask.follow, **opted, **ask.body}


class HttpxBench(_Family, SyncBench):
    """`Client`."""

    @contextlib.contextmanager
    def opened(self, session: Session, connections: int | None) -> Iterator[Any]:
        with contextlib.ExitStack() as stack:
            yield itertools.cycle([
                stack.enter_context(self.library.Client(**self.settings(session, connections)))
                for _ in range(CLIENTS if connections is None else 1)
            ])  # fmt: skip

    def exchange(self, native: Any, ask: Ask) -> Reply:
        native = next(native)
        if ask.on_chunk is None:
            response = native.request(**self.arguments(ask))
            kind = response.headers.get("content-type", "")
            return Reply(response.status_code, response.content, response.json() if "json" in kind else None)
        with native.stream(**self.arguments(ask)) as response:
            pieces = []
            for piece in response.iter_bytes():
                ask.on_chunk(piece)
                pieces.append(piece)
            return Reply.of(response.status_code, b"".join(pieces), response.headers.get("content-type"))


class HttpxAsyncBench(_Family, AsyncBench):
    """`AsyncClient`."""

    @contextlib.asynccontextmanager
    async def opened(self, session: Session, connections: int | None) -> AsyncIterator[Any]:
        async with contextlib.AsyncExitStack() as stack:
            yield itertools.cycle([
                await stack.enter_async_context(self.library.AsyncClient(**self.settings(session, connections)))
                for _ in range(CLIENTS if connections is None else 1)
            ])  # fmt: skip

    async def exchange(self, native: Any, ask: Ask) -> Reply:
        native = next(native)
        if ask.on_chunk is None:
            response = await native.request(**self.arguments(ask))
            kind = response.headers.get("content-type", "")
            return Reply(response.status_code, response.content, response.json() if "json" in kind else None)
        async with native.stream(**self.arguments(ask)) as response:
            pieces = []
            async for piece in response.aiter_bytes():
                ask.on_chunk(piece)
                pieces.append(piece)
            return Reply.of(response.status_code, b"".join(pieces), response.headers.get("content-type"))
