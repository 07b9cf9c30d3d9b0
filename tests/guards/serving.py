"""Any ASGI application on a real socket, in this process."""

import contextlib
from collections.abc import Iterator
from typing import Any

import uvicorn

from tests.support.prompt import running
from tests.support.server import free_port


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve `app`; gives its base URL."""
    port = free_port()
    config = uvicorn.Config(app, port=port, log_config=None, access_log=False, ws="none", lifespan="off")
    with running(config, name="guarded-app"):
        yield f"http://127.0.0.1:{port}"
