"""requests, and niquests with and without asyncio."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

from evertoken.client import Session
from tests.adapters.benches.bench import PATIENCE_SECONDS, Ask, AsyncBench, Bench, Reply, SyncBench
from tests.adapters.material import FORM, MEMBERS, OFFSET, Material


class _Family(Bench):
    """
    What they have in common.

    Args:
        library: The module requests or niquests.
        auth: The adapter's class.
        no_auth: What opts a request out.
    """

    def __init__(self, library: Any, auth: Any, no_auth: Any) -> None:
        self.library = library
        self.auth = auth
        self.no_auth = no_auth

    def body(self, kind: str, material: Material) -> dict[str, Any] | None:  # noqa: PLR0912 - a table
        match kind:
            case "empty":
                return {}
            case "bytes":
                return {"data": material.content}
            case "text":
                return {"data": material.text}
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
            case "file":
                return {"data": material.file()}
            case "file from an offset":
                return {"data": material.file(OFFSET)}
            case "unseekable file":
                return {"data": material.unseekable()}
            case "list of chunks":
                return None  # taken for a form
            case "generator":
                return {"data": material.generator()}
            case "async generator":
                return {"data": material.async_generator()} if self.is_async else None
            case _:
                return {"data": material.progress_bar()}

    def arguments(self, ask: Ask) -> dict[str, Any]:
        """The arguments of a request."""
        opted = {"auth": self.no_auth} if ask.opt_out else {}
        return {
            "method": ask.method,
            "url": ask.url,
            "allow_redirects": ask.follow,
            "stream": ask.on_chunk is not None,
            "timeout": PATIENCE_SECONDS,
            **opted,
            **ask.body,
        }


class RequestsBench(_Family, SyncBench):
    """`Session` of requests."""

    @contextlib.contextmanager
    def opened(self, session: Session, connections: int | None) -> Iterator[Any]:
        with self.library.Session() as native:
            self.pool(native, connections)
            native.trust_env = False
            native.auth = self.auth(session)
            yield native

    def pool(self, native: Any, connections: int | None) -> None:
        """As many connections as asked; where they are few, one waits for another."""
        adapter = self.library.adapters.HTTPAdapter(
            pool_maxsize=connections or 1000, pool_block=connections is not None
        )
        if connections is not None:
            adapter.poolmanager.pool_classes_by_scheme = {"http": _bounded(adapter)}
        native.mount("http://", adapter)

    def exchange(self, native: Any, ask: Ask) -> Reply:
        response = native.request(**self.arguments(ask))
        kind = response.headers.get("content-type", "")
        if ask.on_chunk is None:
            return Reply(response.status_code, response.content, response.json() if "json" in kind else None)
        with response:
            pieces = []
            for piece in response.iter_content(1024):
                ask.on_chunk(piece)
                pieces.append(piece)
            return Reply.of(response.status_code, b"".join(pieces), kind)


def _bounded(adapter: Any) -> Any:
    """Pools that raise where requests would wait for a connection for ever."""
    pool = adapter.poolmanager.pool_classes_by_scheme["http"]

    def get(self: Any, timeout: float | None = None) -> Any:
        del timeout
        return pool._get_conn(self, timeout=5.0)

    return type("Bounded", (pool,), {"_get_conn": get})


class NiquestsBench(RequestsBench):
    """`Session` of niquests."""

    @contextlib.contextmanager
    def opened(self, session: Session, connections: int | None) -> Iterator[Any]:
        with self.library.Session(pool_connections=connections or 1000, pool_maxsize=connections or 1000) as native:
            native.trust_env = False
            native.auth = self.auth(session)
            yield native

    def exchange(self, native: Any, ask: Ask) -> Reply:
        response = native.request(**self.arguments(ask))
        kind = response.headers.get("content-type", "")
        if ask.on_chunk is None:
            return Reply(response.status_code, response.content or b"", response.json() if "json" in kind else None)
        with response:
            pieces = []
            for piece in response.iter_content(-1):
                ask.on_chunk(piece)
                pieces.append(piece)
            return Reply.of(response.status_code, b"".join(pieces), kind)


class NiquestsAsyncBench(_Family, AsyncBench):
    """`AsyncSession` of niquests."""

    @contextlib.asynccontextmanager
    async def opened(self, session: Session, connections: int | None) -> AsyncIterator[Any]:
        size = connections or 1000
        async with self.library.AsyncSession(pool_connections=size, pool_maxsize=size) as native:
            native.trust_env = False
            native.auth = self.auth(session)
            yield native

    async def exchange(self, native: Any, ask: Ask) -> Reply:
        response = await native.request(**self.arguments(ask))
        kind = response.headers.get("content-type", "")
        if ask.on_chunk is None:
            return Reply(response.status_code, response.content or b"", response.json() if "json" in kind else None)
        async with response:
            pieces = []
            async for piece in await response.iter_content(-1):
                ask.on_chunk(piece)
                pieces.append(piece)
            return Reply.of(response.status_code, b"".join(pieces), kind)
