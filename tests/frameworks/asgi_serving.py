"""An ASGI application on a real socket with uvicorn, in this process, its lifespan included."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import uvicorn

from tests.support.server import free_port


@contextlib.contextmanager
def serving_asgi(app: Any, *, port: int | None = None) -> Iterator[str]:
    """Serve `app`; gives its base URL. Its lifespan has begun then, and has ended when the context is left."""
    chosen = port or free_port()
    config = uvicorn.Config(app, port=chosen, log_config=None, access_log=False, ws="none", lifespan="auto")
    server = uvicorn.Server(config)
    started: Future[bool] = Future()

    async def serve() -> None:
        task = asyncio.create_task(server.serve())
        while not server.started and not task.done():
            await asyncio.sleep(0.005)
        started.set_result(server.started)
        await task

    def body() -> None:
        try:
            asyncio.run(serve())
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    thread = threading.Thread(target=body, name="guarded-app")
    thread.start()
    try:
        assert started.result(timeout=20), "the application did not start: is the port taken, or its lifespan broken?"
        yield f"http://127.0.0.1:{chosen}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        assert not thread.is_alive()
