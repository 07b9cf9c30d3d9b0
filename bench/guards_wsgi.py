"""WSGI applications on the server that the ASGI ones run on: called at once in its event loop, without a thread."""

import io
import sys
from collections.abc import Callable, Iterable
from typing import Any

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Inline:
    """
    One WSGI application as an ASGI application, for GETs.

    A server for WSGI hands each request to a thread or a process. Here nothing is handed over, so an application costs
    less than it would behind gunicorn, and every framework is measured on the same server: the difference between two
    of them is their own.
    """

    def __init__(self, app: WsgiApp) -> None:
        self._app = app

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        """Answer one request (PEP 3333)."""
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], _error: Any = None) -> None:
            started.append((status, headers))

        answer = self._app(_environ(scope), start_response)
        body = b"".join(answer)
        close = getattr(answer, "close", None)
        if close is not None:
            close()
        status, headers = started[-1]
        await send(
            {
                "type": "http.response.start",
                "status": int(status[:3]),
                "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
            }
        )
        await send({"type": "http.response.body", "body": body})


def _environ(scope: Any) -> dict[str, Any]:
    environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"],
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        environ["HTTP_" + name.decode("latin-1").upper().replace("-", "_")] = value.decode("latin-1")
    return environ
