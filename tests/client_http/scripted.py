"""A TCP server that plays a script of bytes to everyone who connects, and the means to wait for a call."""

import contextlib
import itertools
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TypeVar

from evertoken.client.http import Answer, Call, HttpTransport, NotSent

OUTER_SECONDS = 60
"""A call that has not ended by then hangs. No test says how fast one is."""

SHORT_SECONDS = 0.25
"""The timeout of a call that is meant to run into it."""

T = TypeVar("T")


class Peer:
    """One connection of the server, as a step of the script sees it."""

    def __init__(self, sock: socket.socket, stopped: threading.Event) -> None:
        self.sock = sock
        self.stopped = stopped
        self.request = b""
        self.sent_bytes = 0

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)
        self.sent_bytes += len(data)

    def read_request(self) -> bytes:
        """Read one request: its head, and the body that Content-Length announces."""
        while b"\r\n\r\n" not in self.request and (received := self.sock.recv(65_536)):
            self.request += received
        head, _, body = self.request.partition(b"\r\n\r\n")
        lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        while lengths and len(body) < int(lengths[0]) and (received := self.sock.recv(65_536)):
            self.request += received
            body += received
        return self.request


Step = bytes | Callable[[Peer], None]


def read(peer: Peer) -> None:
    """Wait for the request."""
    peer.read_request()


def hold(peer: Peer) -> None:
    """Say nothing more, and keep the connection, until the client has gone."""
    with contextlib.suppress(OSError):
        while not peer.stopped.is_set() and peer.sock.recv(65_536):
            pass


def drip(data: bytes) -> Step:
    """Send `data` over and over, one byte every 20 ms, until the client has gone."""

    def dripping(peer: Peer) -> None:
        for byte in itertools.cycle(data):
            if peer.stopped.wait(0.02):
                return
            peer.send(bytes([byte]))

    return dripping


def flood(data: bytes, *, at_most_bytes: int) -> Step:
    """Send `data` over and over, as fast as it goes."""

    def flooding(peer: Peer) -> None:
        while not peer.stopped.is_set() and peer.sent_bytes < at_most_bytes:
            peer.send(data)

    return flooding


def reset(peer: Peer) -> None:
    """Break the connection off with a RST."""
    peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.sock.close()


def close_tls(peer: Peer) -> None:
    """End TLS in good order, with close_notify."""
    assert isinstance(peer.sock, ssl.SSLSocket)
    with contextlib.suppress(OSError):
        peer.sock.unwrap()


def answer(body: bytes = b"{}", *, status: str = "200 OK", headers: str = "") -> bytes:
    """A whole answer with Content-Length."""
    return f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body


@dataclass
class ScriptedServer:
    """Plays its script to every connection, each in a thread of its own."""

    script: tuple[Step, ...]
    listening: socket.socket
    port: int
    tls: ssl.SSLContext | None
    peers: list[Peer] = field(default_factory=list)
    stopped: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Of this server, as a client on this machine calls it; in TLS by the name of the certificate."""
        host = "[::1]" if self.listening.family is socket.AF_INET6 else "127.0.0.1"
        return f"http://{host}:{self.port}/token" if self.tls is None else f"https://localhost:{self.port}/token"

    @property
    def requests(self) -> list[bytes]:
        """What was received, one for each connection that sent anything."""
        return [peer.request for peer in self.peers if peer.request]

    def accept(self) -> None:
        while True:
            try:
                sock, _ = self.listening.accept()
            except OSError:
                return
            thread = threading.Thread(target=self.play, args=(sock,), daemon=True)
            self.threads.append(thread)
            thread.start()

    def play(self, sock: socket.socket) -> None:
        # The client goes away in the middle of most scripts: that is what they are for.
        sock.settimeout(OUTER_SECONDS)
        with contextlib.suppress(OSError):
            if self.tls is not None:
                sock = self.tls.wrap_socket(sock, server_side=True)
            peer = Peer(sock, self.stopped)
            self.peers.append(peer)
            for step in self.script:
                if isinstance(step, bytes):
                    peer.send(step)
                else:
                    step(peer)
        sock.close()


@contextlib.contextmanager
def serving(*script: Step, tls: ssl.SSLContext | None = None, ipv6: bool = False) -> Iterator[ScriptedServer]:
    """Run a scripted server on a free port of this machine."""
    family, host = (socket.AF_INET6, "::1") if ipv6 else (socket.AF_INET, "127.0.0.1")
    with socket.create_server((host, 0), family=family, backlog=64) as listening:
        # Small, so that a body soon meets a server that does not read it.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        server = ScriptedServer(script, listening, int(listening.getsockname()[1]), tls)
        accepting = threading.Thread(target=server.accept, daemon=True)
        accepting.start()
        try:
            yield server
        finally:
            server.stopped.set()
            listening.shutdown(socket.SHUT_RDWR)  # ends accept(); close alone does not
            for thread in [accepting, *server.threads]:
                thread.join(OUTER_SECONDS)
                assert not thread.is_alive(), "the scripted server hangs"


def ended(work: Callable[[], T]) -> T:
    """Run `work` in a thread and give its outcome; one that hangs fails the test and does not hang it."""
    future: Future[T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # noqa: BLE001 - it is raised again where the outcome is asked for
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future.result(timeout=OUTER_SECONDS)


def send(transport: HttpTransport, call: Call | str, *, timeout_seconds: float = 30) -> Answer:
    """Make the call (a URL alone is a GET) and wait until it has ended."""
    made = Call("GET", call) if isinstance(call, str) else call
    return ended(lambda: transport(made, timeout_seconds=timeout_seconds))


def send_in_short(transport: HttpTransport, call: Call | str) -> Answer:
    """Make the call in a short time, or in more if a busy machine took all of that before anything was sent."""
    for timeout_seconds in (SHORT_SECONDS, 4 * SHORT_SECONDS):
        with contextlib.suppress(NotSent):
            return send(transport, call, timeout_seconds=timeout_seconds)
    return send(transport, call, timeout_seconds=16 * SHORT_SECONDS)
