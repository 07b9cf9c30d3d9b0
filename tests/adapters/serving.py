"""The servers of the suite: an API behind the fake server's sign-in, somebody else's server, and one that streams."""

import contextlib
import hashlib
import socketserver
import threading
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from http.server import BaseHTTPRequestHandler
from typing import Any, Self

from evertoken.testing import Answer, FakeServer, Gate, Hangup, Request
from evertoken.testing.listener import Listener


class Api(FakeServer):
    """
    A fake server with the routes of the suite.

    /stubborn refuses every token, /status/N answers N, /redirect?to=URL&status=N needs a token, /open?to=URL does not.

    Args:
        header: Where requests carry their access token; "Authorization" means the Bearer scheme.
    """

    def __init__(self, *, header: str = "Authorization", **settings: Any) -> None:
        super().__init__(**settings)
        self.header = header
        self.keeps_connections = True
        self.seen: list[Request] = []
        self._holding: Gate | None = None

    def hold_requests(self) -> Gate:
        """Keep requests that arrive from now on waiting, before their tokens are looked at, until released."""
        self._holding = Gate()
        return self._holding

    def let_pass(self) -> None:
        """Requests that arrive from now on do not wait; those that do, go on waiting."""
        self._holding = None

    def seen_at(self, path: str) -> list[Request]:
        """The requests to a path so far."""
        return [request for request in self.seen if request.path == path]

    def read_access_token(self, request: Request) -> str | None:
        if self._holding is not None:
            self._holding.pass_through()
        return super().read_access_token(request) if self.header == "Authorization" else request.header(self.header)

    def answer_resource(self, request: Request, subject: str) -> Answer:
        if request.path == "/stubborn":
            return Answer.json(401, {"code": "token_expired", "detail": "whatever you send"})
        if request.path == "/redirect":
            return _redirect(request)
        if request.path.startswith("/status/"):
            return Answer.json(int(request.path.rpartition("/")[2]), {"detail": "of the application"})
        parts = _parts(request)
        if parts is None:
            return super().answer_resource(request, subject)
        return Answer.json(200, {"length": sum(parts.values()), "sha256": " ".join(parts)})

    def _handle(self, request: Request) -> Answer | Hangup:
        answer = super()._handle(request)
        if self.keeps_connections or isinstance(answer, Hangup):
            return answer
        return Answer(answer.status, (*answer.headers, ("Connection", "close")), answer.body)

    def _answer(self, request: Request) -> Answer | Hangup:
        self.seen.append(request)
        return _redirect(request) if request.path == "/open" else super()._answer(request)


def _redirect(request: Request) -> Answer:
    query = request.query
    return Answer(int(query.get("status", "302")), (("Location", query["to"]),))


def _parts(request: Request) -> dict[str, int] | None:
    """The digest and length of each part of a multipart body."""
    kind = request.header("Content-Type") or ""
    if not kind.startswith("multipart/"):
        return None
    whole: Message = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + request.body)
    contents = [part.get_payload(decode=True) for part in whole.get_payload() if isinstance(part, Message)]
    return {hashlib.sha256(each).hexdigest(): len(each) for each in contents if isinstance(each, bytes)}


class Foreign:
    """Somebody else's server: /refuse answers 401, /back?to=URL redirects, all else is 200. `seen` is what came."""

    def __init__(self) -> None:
        self.seen: list[Request] = []
        self._listener = Listener(self._handle)
        self.url = self._listener.url

    def __enter__(self) -> Self:
        self._listener.__enter__()
        return self

    def __exit__(self, *how: object) -> None:
        self._listener.__exit__(*how)  # type: ignore[arg-type]

    def _handle(self, request: Request) -> Answer:
        self.seen.append(request)
        match request.path:
            case "/refuse":
                return Answer.json(401, {"code": "token_expired"}, ("WWW-Authenticate", "Bearer"))
            case "/back":
                return _redirect(request)
            case _:
                return Answer.json(200, {"from": "elsewhere"})


class Trickle(socketserver.ThreadingTCPServer):
    """
    Sends a head and the first piece of a body, and the rest only when its gate is released.

    Args:
        kind: The Content-Type.
        pieces: The body; sent chunked, or with its length where `has_length`.
        refusals: How many requests are refused with 401 first.
    """

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, kind: str, pieces: list[bytes], *, has_length: bool = False, refusals: int = 0) -> None:
        super().__init__(("127.0.0.1", 0), _Trickling)
        self.kind = kind
        self.pieces = pieces
        self.has_length = has_length
        self.refusals = refusals
        self.gate = Gate()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    @contextlib.contextmanager
    def running(self) -> Iterator["Trickle"]:
        """Serve while the context lasts."""
        thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.gate.release()
            self.shutdown()
            self.server_close()
            thread.join(5)


class _Trickling(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Trickle

    def do_GET(self) -> None:
        self.close_connection = True
        if self.server.refusals:
            self.server.refusals -= 1
            self.send_response(401)
            self.send_header("Content-Length", "0")
            self.send_header("Connection", "close")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("Content-Type", self.server.kind)
        if self.server.has_length:
            self.send_header("Content-Length", str(sum(map(len, self.server.pieces))))
        else:
            self.send_header("Transfer-Encoding", "chunked")
        self.send_header("Connection", "close")
        self.end_headers()
        first, *rest = self.server.pieces
        self._write(first)
        self.server.gate.pass_through()
        for piece in rest:
            self._write(piece)
        if not self.server.has_length:
            self.wfile.write(b"0\r\n\r\n")

    def _write(self, piece: bytes) -> None:
        self.wfile.write(piece if self.server.has_length else b"%x\r\n%s\r\n" % (len(piece), piece))

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name in the class above
        """Say nothing."""
