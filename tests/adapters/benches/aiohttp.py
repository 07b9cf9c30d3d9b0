"""aiohttp."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from evertoken.client import Session
from evertoken.client.aiohttp import SilentAuth
from tests.adapters.benches.bench import PATIENCE_SECONDS, Ask, AsyncBench, Reply
from tests.adapters.material import FORM, MEMBERS, OFFSET, Material


class AiohttpBench(AsyncBench):
    """`ClientSession`."""

    refuses = AsyncBench.refuses | {"multipart with an unseekable file"}

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
                return {"data": _multipart(material.content)}
            case "multipart with a file":
                return {"data": _multipart(material.file())}
            case "multipart with an unseekable file":
                return {"data": _multipart(material.unseekable())}
            case "file":
                return {"data": material.file()}
            case "file from an offset":
                return {"data": material.file(OFFSET)}
            case "unseekable file":
                return {"data": material.unseekable()}
            case "async generator":
                return {"data": material.async_generator()}
            case _:
                return None

    def status_of(self, response: Any) -> int:
        return int(response.status)

    @contextlib.asynccontextmanager
    async def opened(self, session: Session, connections: int | None) -> AsyncIterator[Any]:
        # Requests have 5 s to get a connection of a small pool.
        timeout = aiohttp.ClientTimeout(total=PATIENCE_SECONDS, connect=5.0 if connections else None)
        connector = aiohttp.TCPConnector(limit=connections or 0)
        auth = SilentAuth(session)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, middlewares=(auth,)) as native:
            yield native

    async def exchange(self, native: Any, ask: Ask) -> Reply:
        opted = {"middlewares": ()} if ask.opt_out else {}
        async with native.request(ask.method, ask.url, allow_redirects=ask.follow, **opted, **ask.body) as response:
            kind = response.headers.get("Content-Type", "")
            if ask.on_chunk is None:
                content = await response.read()
                return Reply(
                    response.status, content, await response.json(content_type=None) if "json" in kind else None
                )
            pieces = []
            async for piece in response.content.iter_any():
                ask.on_chunk(piece)
                pieces.append(piece)
            return Reply.of(response.status, b"".join(pieces), kind)


def _multipart(content: Any) -> aiohttp.FormData:
    form = aiohttp.FormData()
    form.add_field("file", content, filename="a.bin", content_type="application/octet-stream")
    return form
