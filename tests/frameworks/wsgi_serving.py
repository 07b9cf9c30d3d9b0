"""A WSGI application on a real socket, in this process: the standard library's server, a thread for each request."""

import contextlib
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

WsgiApp = Callable[..., Iterable[bytes]]


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = False
    block_on_close = True  # its threads have ended once it is closed
    request_queue_size = 64


class _Handler(WSGIRequestHandler):
    timeout = 10  # for a client that says nothing

    def address_string(self) -> str:
        """Without asking a name server."""
        return str(self.client_address[0])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - so named there
        """Nothing: a test says what it saw."""


@contextlib.contextmanager
def serving_wsgi(app: WsgiApp) -> Iterator[str]:
    """Serve `app`; gives its base URL."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.set_app(app)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, name="wsgi-app")
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=20)
        assert not thread.is_alive()
