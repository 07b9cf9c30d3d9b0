"""Any ASGI application on a real socket, in this process."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import uvicorn

from tests.support.server import free_port


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve `app`; gives its base URL."""
    port = free_port()
    config = uvicorn.Config(app, port=port, log_config=None, access_log=False, ws="none", lifespan="off")
    server = uvicorn.Server(config)
    started: Future[None] = Future()

    async def serve() -> None:
        task = asyncio.create_task(server.serve())
        while not server.started and not task.done():
            await asyncio.sleep(0.005)
        started.set_result(None)
        await task

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="guarded-app")
    thread.start()
    try:
        started.result(timeout=20)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive()
