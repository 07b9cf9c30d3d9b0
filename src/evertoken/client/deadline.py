"""
One connection and one answer under one deadline: every step gets what is left of it, and no more.

The rule of this file: nothing that the other side sends, and no pace at which it sends it, costs more than the
deadline and a bounded amount of memory.
"""

import http.client
import io
import re
import socket
import ssl
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from email.errors import MissingHeaderBodySeparatorDefect
from typing import TYPE_CHECKING, cast

from evertoken.client.transport import Answer
from evertoken.clock import monotonic_seconds

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

LONGEST_TIMEOUT_SECONDS = 86_400  # a day; what the system's own limits are is not for a caller to find out
HEAD_BYTES = 65_536  # status line and headers, those of the interim answers included
_INTERIM_ANSWERS = 16  # 102 and 103 that may come before the answer; real servers send one or two
_FOLD = re.compile(r"[\r\n]+[ \t]*")  # RFC 9112 §5.2: a folded line is read as one space
_LENGTH = re.compile(r"[0-9]{1,18}")


class TooManyBytes(Exception):
    """The other side sent more than was allowed."""


class Unusable(Exception):
    """What came back is no answer; the text says why in plain words, and repeats nothing of it."""


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


def reason(error: OSError, *, late: str, deadline: Deadline) -> str:
    """Why a socket raised `error`, in words a user can act on; `late` says what did not happen in time: "no answer"."""
    match error:
        case TimeoutError(errno=None):  # ours, or that of a socket under our deadline; the system's has a number
            return f"{late} within {deadline.timeout_seconds:g} s"
        case ssl.SSLCertVerificationError():
            return f"certificate verify failed: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {(error.reason or 'connection closed').lower().replace('_', ' ')}"
        case socket.gaierror():
            return f"looking up the name failed: {error.strerror}"
        case _:
            return (error.strerror or type(error).__name__).lower()


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


def read_status(wire: Wire, method: str) -> int:
    """Read the head of an answer and return its status, 200 or above (or 101). Raises what read_answer does."""
    with _in_plain_words(), _response(wire, method) as response:
        _read_head(response, wire)
        return response.status


def read_answer(wire: Wire, method: str, *, max_answer_bytes: int) -> Answer:
    """
    Read the answer to a request made with `method`.

    Raises:
        Unusable: It is no HTTP, its body is longer than `max_answer_bytes`, or it is not whole.
        OSError: The connection failed, or the time is over (TimeoutError).
    """
    with _in_plain_words(), _response(wire, method) as response:
        _read_head(response, wire)
        if response.status == http.HTTPStatus.SWITCHING_PROTOCOLS:
            raise Unusable("the answer is not HTTP")
        body = _read_body(response, wire, max_answer_bytes)
    headers: dict[str, str] = {}
    for name, raw in response.headers.items():
        value = _FOLD.sub(" ", raw).strip()
        headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
    coding = headers.get("content-encoding", "identity").lower()
    if body and coding != "identity":
        body = _unpack(body, coding, max_answer_bytes)
        del headers["content-encoding"]  # so that nobody unpacks it twice
        headers.pop("content-length", None)
    return Answer(response.status, headers, body)


def _response(wire: Wire, method: str) -> http.client.HTTPResponse:
    return http.client.HTTPResponse(cast("socket.socket", wire), method=method)


def _read_head(response: http.client.HTTPResponse, wire: Wire) -> None:
    """Read up to the body of the answer, past the interim ones (RFC 9110 §15.2)."""
    for _ in range(_INTERIM_ANSWERS):
        response.begin()  # skips any number of 100s itself: HEAD_BYTES bounds them
        # http.client takes the end of the connection for the end of the headers (RFC 9112 §8 does not), and drops
        # what follows a line that is none.
        if wire.ended:
            raise Unusable("the answer was cut short")
        if any(isinstance(defect, MissingHeaderBodySeparatorDefect) for defect in response.headers.defects):
            raise Unusable("the answer is not HTTP")
        if response.status >= http.HTTPStatus.OK or response.status == http.HTTPStatus.SWITCHING_PROTOCOLS:
            return
        response.headers = response.msg = None  # type: ignore[assignment] # begin() then reads the next head
    raise Unusable("only interim answers (1xx) came")


def _read_body(response: http.client.HTTPResponse, wire: Wire, max_answer_bytes: int) -> bytes:
    # RFC 9112 §6.3 calls these unrecoverable, where http.client would read to the end.
    lengths = set(response.headers.get_all("content-length", []))
    if "transfer-encoding" in response.headers:
        known = response.chunked
    else:
        known = not lengths or (len(lengths) == 1 and _LENGTH.fullmatch(lengths.pop()) is not None)
    if not known:
        raise Unusable("the answer does not say plainly how long it is")
    if response.length is not None and response.length > max_answer_bytes:
        raise _too_long("the answer", max_answer_bytes)
    wire.allowed_bytes = 8 * max_answer_bytes + HEAD_BYTES  # a chunk of one byte has five more around it
    body = bytearray()
    try:
        # By the piece: http.client keeps a list of the chunks, and a byte that is a chunk of its own weighs a hundred.
        while piece := response.read(io.DEFAULT_BUFFER_SIZE):
            body += piece
            if len(body) > max_answer_bytes:
                raise TooManyBytes  # noqa: TRY301 - as if the wire had said so
    except TooManyBytes:
        raise _too_long("the answer", max_answer_bytes) from None
    if response.length:
        raise Unusable("the answer was cut short")
    return bytes(body)


def _unpack(body: bytes, coding: str, max_answer_bytes: int) -> bytes:
    """Unpack a gzip that we asked not to get; never more than one byte beyond what is allowed."""
    if coding not in {"gzip", "x-gzip"}:
        raise Unusable("the answer is compressed in a way that was not asked for")
    unpacker = zlib.decompressobj(wbits=31)  # gzip, with its checksum
    try:
        unpacked = unpacker.decompress(body, max_answer_bytes + 1)
    except zlib.error:
        raise Unusable("the answer says it is gzip, and is not") from None
    if len(unpacked) > max_answer_bytes:
        raise _too_long("the answer", max_answer_bytes)
    if not unpacker.eof:
        raise Unusable("the answer was cut short")
    return unpacked


@contextmanager
def _in_plain_words() -> Iterator[None]:
    """Turn what http.client says into a few words of ours: its exceptions carry what the server sent."""
    try:
        yield
    except http.client.RemoteDisconnected:
        raise Unusable("the connection was closed without an answer") from None
    except http.client.IncompleteRead:
        raise Unusable("the answer was cut short") from None
    except (http.client.LineTooLong, TooManyBytes):
        raise _too_long("the head of the answer", HEAD_BYTES) from None
    except (http.client.HTTPException, ValueError):
        raise Unusable("the answer is not HTTP") from None


def _too_long(what: str, limit: int) -> Unusable:
    return Unusable(f"{what} has more than " + (f"{limit // 1024} KiB" if limit % 1024 == 0 else f"{limit} bytes"))
