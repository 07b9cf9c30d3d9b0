"""HTTP/1.1 on a free loopback port, a thread per connection: what the fake server and the chaos proxy stand on."""

import contextlib
import enum
import json
import socket
import socketserver
import struct
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.client import responses
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qsl

BACKLOG: Final = 4096
"""How many connections may wait to be accepted; the kernel may allow fewer."""

MAX_CONNECTIONS: Final = 4096
"""How many connections are served at once; more wait. From half of it on, an answer ends its connection."""

CLOSING_SECONDS: Final = 5.0
"""How long the end waits for exchanges that are under way; their connections have been cut by then."""

MAX_BODY_BYTES: Final = 64 * 1024 * 1024
"""The largest body; the connection of a larger one is closed."""

_BODILESS: Final = frozenset({204, 304})


@dataclass(frozen=True, slots=True)
class Request:
    """
    A request, whole.

    Args:
        target: Path and query as they were sent.
        headers: In order, as they were sent.
        body: Without transfer coding.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def path(self) -> str:
        """The target without its query, not decoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> dict[str, str]:
        """The parameters of the query, decoded; of one that is repeated the last."""
        return dict(parse_qsl(self.target.partition("?")[2], keep_blank_values=True))

    def header(self, name: str) -> str | None:
        """The first header of this name, in any case of letters, or None."""
        return next(iter(self.headers_named(name)), None)

    def headers_named(self, name: str) -> list[str]:
        """Every header of this name, in order."""
        wanted = name.lower()
        return [value for found, value in self.headers if found.lower() == wanted]


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, whole; Content-Length, Date and Connection are added on the way out."""

    status: int
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes = field(default=b"", repr=False)

    @classmethod
    def json(
        cls, status: int, members: Any, *headers: tuple[str, str], media_type: str = "application/json"
    ) -> "Answer":
        """An answer in JSON that no cache keeps."""
        body = json.dumps(members, separators=(",", ":"), ensure_ascii=False).encode()
        return cls(status, (("Content-Type", media_type), ("Cache-Control", "no-store"), *headers), body)

    def header(self, name: str) -> str | None:
        """The first header of this name, in any case of letters, or None."""
        wanted = name.lower()
        return next((value for found, value in self.headers if found.lower() == wanted), None)


class Hangup(enum.Enum):
    """How a connection ends that gets no answer."""

    CLOSE = "close"
    """In good order, without a byte."""
    RESET = "reset"
    """With a TCP reset."""


Handle = Callable[[Request], Answer | Hangup]


class Listener:
    """
    Serves `handle` at `.url` while its context lasts; `handle` is called in many threads at once.

    Raises:
        Exception: At the end of the context, the first one that `handle` raised (its caller was answered 500).
    """

    def __init__(self, handle: Handle) -> None:
        self._server = _Server(handle)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="evertoken-testing", daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._server.stop()
        self._thread.join(CLOSING_SECONDS)
        if self._server.error is None:
            return
        if error is None:
            raise self._server.error
        error.add_note(f"The code of the test's server had failed before: {self._server.error!r}")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = BACKLOG

    def __init__(self, handle: Handle) -> None:
        self.handle_exchange = handle
        self.error: Exception | None = None
        self.closing = threading.Event()
        self._changed = threading.Condition()
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Connection)

    def server_bind(self) -> None:
        """As HTTPServer has it, but asks no name server for the name of this machine."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    @property
    def is_crowded(self) -> bool:
        return len(self._open) > MAX_CONNECTIONS // 2

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._changed:
            self._changed.wait_for(lambda: len(self._open) < MAX_CONNECTIONS or self.closing.is_set())
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with contextlib.suppress(OSError):  # the other side was quicker
            if request.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, len(_ABORT)) != _ABORT:
                request.shutdown(socket.SHUT_WR)
        request.close()
        with self._changed:
            self._open.discard(request)
            self._changed.notify_all()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that breaks is everyday life here; anything else is told at the end."""
        del request, client_address
        error = sys.exception()
        if isinstance(error, Exception) and not isinstance(error, OSError | ValueError):
            self.error = self.error or error

    def stop(self) -> None:
        self.closing.set()
        with self._changed:
            self._changed.notify_all()
        self.shutdown()
        self.server_close()
        with self._changed:
            for connection in self._open:
                with contextlib.suppress(OSError):  # closed already
                    connection.shutdown(socket.SHUT_RDWR)
            self._changed.wait_for(lambda: not self._open, timeout=CLOSING_SECONDS)


_ABORT: Final = struct.pack("ii", 1, 0)


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        if not self.raw_requestline or self.server.closing.is_set():
            self.close_connection = True
            return
        if not self.parse_request():  # it has answered
            self.close_connection = True
            return
        request = Request(self.command, self.path, tuple(self.headers.items()), self._read_body())
        try:
            answer = self.server.handle_exchange(request)
        except Exception as error:  # noqa: BLE001 - told at the end of the context
            self.server.error = self.server.error or error
            answer = Answer(500, body=b"the code of this test's server failed: see the end of the test")
        if self.server.closing.is_set():
            answer = Hangup.CLOSE
        if isinstance(answer, Answer):
            self._write(answer)
            return
        self.close_connection = True
        if answer is Hangup.RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)

    def _read_body(self) -> bytes:
        """
        The body, by Transfer-Encoding or Content-Length.

        Raises:
            ConnectionError: It ended before it was whole, or is larger than 64 MiB.
        """
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self._read(int(self.headers.get("Content-Length", 0)))
        parts, arrived = [], 0
        while size := int(self.rfile.readline(4096).partition(b";")[0], 16):
            arrived += size
            parts.append(self._read(size, arrived))
            self._read(2)
        while self.rfile.readline(65537).strip():
            pass  # trailers
        return b"".join(parts)

    def _read(self, size: int, arrived: int = 0) -> bytes:
        if max(size, arrived) > MAX_BODY_BYTES:
            raise ConnectionError("the body is too large")
        data = self.rfile.read(size)
        if len(data) < size:
            raise ConnectionError("the body ended before its end")
        return data

    def _write(self, answer: Answer) -> None:
        """Head and body in one write, so that neither waits for the other's acknowledgement."""
        self.close_connection = self.close_connection or self.server.is_crowded
        phrase = responses.get(answer.status, "Other")
        lines = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{name}: {value}" for name, value in answer.headers)]
        if answer.header("Date") is None:
            lines.append(f"Date: {self.date_time_string()}")
        if answer.status not in _BODILESS and answer.header("Content-Length") is None:
            lines.append(f"Content-Length: {len(answer.body)}")
        if self.close_connection:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        body = b"" if self.command == "HEAD" or answer.status in _BODILESS else answer.body
        self.wfile.write(head + body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the class above
        """Say nothing: a test's output is its own."""
