"""Opening a connection, through a proxy and TLS if need be: up to here not a byte of the request is sent."""

import os
import socket
import ssl
from pathlib import Path

from evertoken.client.http.addresses import Place, Proxy, Route, environment_proxy, parse_proxy, parse_url
from evertoken.client.http.deadline import Deadline, Wire, connect, start_tls
from evertoken.client.http.failures import Unusable, raised_as
from evertoken.client.http.reading import HEAD_BYTES, read_head
from evertoken.client.http.transport import NotSent
from evertoken.client.http.writing import connect_head


class Opener:
    """
    Finds the way to a URL and opens it; any number of threads may share one.

    Args:
        verify, proxy: As HttpTransport has them, and raising what it raises.
    """

    def __init__(
        self, *, verify: ssl.SSLContext | str | os.PathLike[str] | None = None, proxy: str | None = None
    ) -> None:
        # Reading the system's certificates takes 20 ms, which a command that calls nobody should not wait for.
        self._context = verify if isinstance(verify, ssl.SSLContext) else None if verify is None else _trusting(verify)
        self._asks_environment = proxy is None
        self._proxy = parse_proxy(proxy) if proxy else None

    def route(self, url: str) -> Route:
        """
        Find the way to `url`.

        Raises:
            ValueError: The URL cannot be called; see parse_url.
            NotSent: The environment names a proxy that is none.
        """
        parsed = parse_url(url)
        try:
            return Route(parsed, environment_proxy(parsed) if self._asks_environment else self._proxy)
        except ValueError as error:
            raise NotSent(f"{parsed.place}: {error}") from None

    def open(self, route: Route, deadline: Deadline) -> socket.socket:
        """
        Open a connection on which the request can be sent; it is the caller's to close.

        Raises:
            NotSent: No connection, no TLS, the proxy refused, or the time is over.
        """
        with raised_as(NotSent, route, late="no connection", deadline=deadline):
            sock = connect(route.first.host, route.first.port, deadline)
            try:
                if route.url.scheme == "https":
                    if route.proxy is not None:
                        _tunnel(sock, route.url.place, route.proxy, deadline)
                    sock = start_tls(sock, self.trust(), route.url.place.host, deadline)
                deadline.left_seconds()  # the last moment at which we can still say that nothing was sent
            except BaseException:
                sock.close()
                raise
        return sock

    def trust(self) -> ssl.SSLContext:
        """Whom TLS trusts."""
        if self._context is None:
            self._context = _trusting(None)
        return self._context


def _trusting(verify: str | os.PathLike[str] | None) -> ssl.SSLContext:
    if verify is None:
        context = ssl.create_default_context()
    elif Path(verify).is_dir():
        context = ssl.create_default_context(capath=verify)
    else:
        context = ssl.create_default_context(cafile=verify)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def _tunnel(sock: socket.socket, place: Place, proxy: Proxy, deadline: Deadline) -> None:
    """Have the proxy connect us to `place` (RFC 9110 §9.3.6)."""
    wire = Wire(sock, deadline, allowed_bytes=HEAD_BYTES)
    wire.send_all(connect_head(place, proxy))
    with read_head(wire, "CONNECT") as response:
        if not 200 <= response.status < 300:  # noqa: PLR2004
            raise Unusable(f"the proxy answered {response.status}")
