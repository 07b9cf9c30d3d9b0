"""A proxy of a few lines: it tunnels what CONNECT asks for, and refuses who does not know the password."""

import contextlib
import socket
import threading
from collections.abc import Callable

from tests.client_http.scripted import OUTER_SECONDS, Peer


def tunnel(*, authorization: str | None = None, to_port: int | None = None) -> Callable[[Peer], None]:
    """
    A step of a script that does as CONNECT says.

    Args:
        authorization: The Proxy-Authorization that must be shown; anyone may pass without it.
        to_port: Where to connect on this machine instead of where CONNECT says.
    """

    def tunnelling(peer: Peer) -> None:
        lines = peer.read_request().decode().split("\r\n")
        method, target, _ = lines[0].split(" ")
        assert method == "CONNECT"
        if authorization is not None and f"Proxy-Authorization: {authorization}" not in lines:
            peer.send(b'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\n\r\n')
            return
        port = to_port or int(target.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=OUTER_SECONDS) as onward:
            peer.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=_pump, args=(onward, peer.sock), daemon=True)
            back.start()
            _pump(peer.sock, onward)
            back.join(OUTER_SECONDS)

    return tunnelling


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)
