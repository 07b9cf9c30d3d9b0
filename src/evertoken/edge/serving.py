"""How uvicorn is set up."""

from typing import Any

import uvicorn

from evertoken.edge.protocol import BoundedHttpProtocol
from evertoken.edge.settings import Settings

KEEP_ALIVE_SECONDS = 30
STOP_WITHIN_SECONDS = 10


def uvicorn_config(app: Any, settings: Settings, *, factory: bool = False, workers: int = 1) -> uvicorn.Config:
    """
    uvicorn as we run it: uvloop, httptools with bounds, no access log (it writes whole URLs), no guesses about proxies.

    Args:
        app: The application, or the name of its factory where several processes make their own.
    """
    return uvicorn.Config(
        app,
        factory=factory,
        workers=workers,
        host=settings.host,
        port=settings.port,
        loop="uvloop",
        http=BoundedHttpProtocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,  # trusted_proxies does this, by the rightmost address that is not ours
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=STOP_WITHIN_SECONDS,
    )
