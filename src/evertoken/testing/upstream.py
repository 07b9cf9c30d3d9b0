"""Sends one request to the server behind a proxy, whole, on a connection of its own, and reads the whole answer."""

import http.client
from typing import Final
from urllib.parse import urlsplit

from evertoken.clock import monotonic_seconds
from evertoken.testing.listener import MAX_BODY_BYTES, Answer, Request

_HOP_BY_HOP: Final = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_READ_BYTES: Final = 64 * 1024


class NoUpstreamAnswer(Exception):
    """The server could not be reached, or gave no whole answer in time."""


class Upstream:
    """
    The server behind the proxy.

    Args:
        url: Scheme, host, port and, if there is one, the path that goes before every path.

    Raises:
        ValueError: `url` is not http or https.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not the URL of a server: http or https, host, port")
        self._is_https = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port
        self._prefix = parts.path.rstrip("/")

    def send(self, request: Request, *, deadline: float, plain: bool = False) -> Answer:
        """
        Send a request and give its answer.

        Args:
            deadline: By the monotonic clock, in seconds; the connection is closed then.
            plain: Ask for an answer without compression.

        Raises:
            NoUpstreamAnswer: There is no whole answer, or it has more than 64 MiB.
        """
        made = http.client.HTTPSConnection if self._is_https else http.client.HTTPConnection
        connection = made(self._host, self._port)
        try:
            connection.timeout = _left(deadline)
            return self._exchange(connection, request, deadline=deadline, plain=plain)
        except (OSError, http.client.HTTPException) as error:
            raise NoUpstreamAnswer(type(error).__name__) from error
        finally:
            connection.close()

    def _exchange(
        self, connection: http.client.HTTPConnection, request: Request, *, deadline: float, plain: bool
    ) -> Answer:
        connection.connect()
        opened = connection.sock
        opened.settimeout(_left(deadline))
        connection.putrequest(request.method, self._prefix + request.target, skip_accept_encoding=True, skip_host=True)
        connection.putheader("Host", self._host if self._port is None else f"{self._host}:{self._port}")
        for name, value in request.headers:
            if name.lower() not in _HOP_BY_HOP and name.lower() != "host" and not _is_compression(name, plain=plain):
                connection.putheader(name, value)
        if request.body or request.method not in ("GET", "HEAD", "DELETE", "OPTIONS"):
            connection.putheader("Content-Length", str(len(request.body)))
        connection.putheader("Connection", "close")
        connection.endheaders(request.body or None)
        response = connection.getresponse()
        body = bytearray()
        while True:
            opened.settimeout(_left(deadline))
            part = response.read1(_READ_BYTES)
            if not part:
                break
            body += part
            if len(body) > MAX_BODY_BYTES:
                raise NoUpstreamAnswer("TooLarge")
        if response.length:
            raise NoUpstreamAnswer("IncompleteRead")
        headers = tuple((name, value) for name, value in response.getheaders() if name.lower() not in _HOP_BY_HOP)
        length = response.getheader("Content-Length")
        if request.method == "HEAD" and length is not None:
            headers = (*headers, ("Content-Length", length))
        return Answer(response.status, headers, bytes(body))


def _is_compression(name: str, *, plain: bool) -> bool:
    return plain and name.lower() == "accept-encoding"


def _left(deadline: float) -> float:
    left = deadline - monotonic_seconds()
    if left <= 0:
        raise TimeoutError("the life of this exchange is over")
    return left
