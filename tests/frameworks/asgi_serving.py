"""An ASGI application on a real socket with uvicorn, in this process, its lifespan included."""

import contextlib
from collections.abc import Iterator
from typing import Any

import uvicorn

from tests.support.prompt import running
from tests.support.server import free_port


@contextlib.contextmanager
def serving_asgi(app: Any, *, port: int | None = None) -> Iterator[str]:
    """Serve `app`; gives its base URL. Its lifespan has begun then, and has ended when the context is left."""
    chosen = port or free_port()
    config = uvicorn.Config(app, port=chosen, log_config=None, access_log=False, ws="none", lifespan="auto")
    with running(config, name="guarded-app"):
        yield f"http://127.0.0.1:{chosen}"
