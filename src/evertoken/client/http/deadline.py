"""
One connection under one deadline: every step gets what is left of it, and no more, whatever the other side's pace.
"""

import io
import socket
import ssl
from typing import TYPE_CHECKING

from evertoken.clock import monotonic_seconds

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

LONGEST_TIMEOUT_SECONDS = 86_400  # a day; what the system's own limits are is not for a caller to find out


class TooManyBytes(Exception):
    """The other side sent more than was allowed."""


class Deadline:
    """A point in time that everything of one call has to meet."""

    def __init__(self, timeout_seconds: float) -> None:
        """
        Start the time now; at or below 0 seconds it is over from the start.

        Raises:
            ValueError: More than a day, or not a number.
        """
        if not timeout_seconds <= LONGEST_TIMEOUT_SECONDS:  # said this way round, NaN is refused too
            raise ValueError(f"timeout_seconds must be at most {LONGEST_TIMEOUT_SECONDS}")
        self.timeout_seconds = timeout_seconds
        self._over_at_seconds = monotonic_seconds() + timeout_seconds

    def left_seconds(self, *, shared_by: int = 1) -> float:
        """
        What is left, above 0; divided fairly if several attempts have to share it.

        Raises:
            TimeoutError: Nothing is left.
        """
        left_seconds = self._over_at_seconds - monotonic_seconds()
        if left_seconds <= 0:
            raise TimeoutError("the time is over")
        return left_seconds / shared_by


def connect(host: str, port: int, deadline: Deadline) -> socket.socket:
    """
    Connect to the first address of `host` that takes the connection.

    Each address gets its fair share of what is left: one that swallows packets (IPv6 that leads nowhere is the usual
    one) does not keep us from the next. Looking up the name is outside the deadline: getaddrinfo takes no timeout and
    cannot be interrupted. The resolver's own limit applies (resolv.conf: 5 s a try and two tries, if nobody set it),
    and what it took is gone from the deadline.

    Raises:
        OSError: No such name (socket.gaierror), or what the last address said; TimeoutError if the time is over.
    """
    addresses = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    failure: OSError = socket.gaierror(socket.EAI_NONAME, "the name has no address")
    try:
        for tried, (family, kind, protocol, _, address) in enumerate(addresses):
            try:
                return _connect_one(family, kind, protocol, address, deadline, shared_by=len(addresses) - tried)
            except OSError as error:
                failure = error
        raise failure
    finally:
        del failure  # its traceback holds this frame: a cycle that would keep the caller's secrets until the next gc


def _connect_one(
    family: int, kind: int, protocol: int, address: tuple[object, ...], deadline: Deadline, *, shared_by: int
) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        sock.settimeout(deadline.left_seconds(shared_by=shared_by))
        sock.connect(address)
    except BaseException:
        sock.close()
        raise
    return sock


def start_tls(sock: socket.socket, context: ssl.SSLContext, host: str, deadline: Deadline) -> ssl.SSLSocket:
    """
    Shake hands as TLS client of `host`, which the certificate must name; takes `sock` over, and closes it on failure.

    Raises:
        OSError: The handshake failed (ssl.SSLError), or the time is over (TimeoutError).
    """
    sock.getpeername()  # wrap_socket leaks a socket whose connection was reset; this says so while it is still ours
    # A connection torn down without close_notify is an error and not an end: an answer without a length would
    # otherwise be whole wherever somebody cut the line (RFC 9112 §9.8).
    tls = context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False, suppress_ragged_eofs=False)
    try:
        # The ssl module counts this from the start of the handshake, not from its last byte.
        tls.settimeout(deadline.left_seconds())
        tls.do_handshake()
    except BaseException:
        tls.close()
        raise
    return tls


class Wire(io.RawIOBase):
    """
    A socket as `http.client.HTTPResponse` wants it; each recv and each send gets what is left of the deadline.

    A plain timeout counts from the last byte: a server that drips one a second would hold us for ever. The socket
    stays the caller's to close. `allowed_bytes` may still be received, to the next 8 KiB; `ended` says that the
    other side closed its half in good order and that we have read to the end.
    """

    def __init__(self, sock: socket.socket, deadline: Deadline, *, allowed_bytes: int) -> None:
        self._sock = sock
        self._deadline = deadline
        self.allowed_bytes = allowed_bytes
        self.ended = False

    def readable(self) -> bool:
        """Say yes to io.BufferedReader."""
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Receive what there is. Raises TooManyBytes if `allowed_bytes` is used up, and OSError as `send_all` does."""
        if self.allowed_bytes <= 0:
            raise TooManyBytes
        self._sock.settimeout(self._deadline.left_seconds())
        count = self._sock.recv_into(buffer)
        self.allowed_bytes -= count
        self.ended = count == 0
        return count

    def makefile(self, _mode: str) -> io.BufferedReader:
        """All that HTTPResponse asks of a socket."""
        return io.BufferedReader(self)

    def send_all(self, data: "ReadableBuffer") -> None:
        """
        Send all of `data`.

        Raises:
            OSError: The connection failed, or the time is over (TimeoutError); a part may have been sent.
        """
        # Not sendall: over TLS it starts its timeout anew with every record.
        rest = memoryview(data)
        while rest:
            self._sock.settimeout(self._deadline.left_seconds())
            rest = rest[self._sock.send(rest) :]
