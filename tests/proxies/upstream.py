"""The application behind the proxy: it tells what has reached it, and takes WebSockets."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3
OWN: Final = "/own/"
"""Below it the application answers with the status that the path names, and words of its own."""


@dataclass(frozen=True)
class Seen:
    """A request as it reached the application."""

    method: str
    target: str
    headers: list[tuple[str, str]] = field(repr=False)
    body: bytes = field(repr=False)

    def all(self, name: str) -> list[str]:
        """Every value of a header, read as by a framework that takes _ for -, and by PHP, which takes a dot for one."""
        wanted = name.lower()
        return [value for given, value in self.headers if _folded(given) == wanted]

    @property
    def identity(self) -> list[tuple[str, str]]:
        """Whatever looks like an identity."""
        named = [(_folded(given), value) for given, value in self.headers]
        return sorted(pair for pair in named if pair[0].startswith("x-auth"))


def _folded(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


class Upstream(ThreadingHTTPServer):
    """The application; `seen` is what has reached it."""

    daemon_threads = True

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def last(self) -> Seen:
        """The one request since `seen` was cleared."""
        (seen,) = self.seen
        return seen


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Upstream

    def answer(self) -> None:
        self.server.seen.append(Seen(self.command, self.path, list(self.headers.items()), self._body()))
        if self.headers.get("Upgrade", "").lower() == "websocket":
            self._echo_socket()
            return
        status = int(self.path.removeprefix(OWN)) if self.path.startswith(OWN) else 200
        body = json.dumps({"application": self.path}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 401:
            self.send_header("WWW-Authenticate", 'Bearer realm="application"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer  # noqa: N815

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline(), 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def _echo_socket(self) -> None:
        """Take the handshake, then send every byte back: the proxy does not look into frames."""
        accept = base64.b64encode(hashlib.sha1(self.headers["Sec-WebSocket-Key"].encode() + _GUID).digest())
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept.decode())
        self.end_headers()
        while data := self.connection.recv(4096):
            self.connection.sendall(data)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name in the class above
        """Say nothing."""


@contextmanager
def application() -> Iterator[Upstream]:
    """The application, on a free port."""
    server = Upstream()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=10)
