"""
Reading an answer.

The rule of this file: nothing that the other side sends costs more than the deadline and a bounded amount of memory.
"""

import http.client
import io
import re
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from email.errors import MissingHeaderBodySeparatorDefect
from typing import cast

from evertoken.client.http.deadline import TooManyBytes, Wire
from evertoken.client.http.failures import Unusable
from evertoken.client.http.transport import Answer

HEAD_BYTES = 65_536  # status line and headers, those of the interim answers included
_INTERIM_ANSWERS = 16  # 102 and 103 that may come before the answer; real servers send one or two
_FOLD = re.compile(r"[\r\n]+[ \t]*")  # RFC 9112 §5.2: a folded line is read as one space
_LENGTH = re.compile(r"[0-9]{1,18}")


def read_head(wire: Wire, method: str) -> http.client.HTTPResponse:
    """
    Read up to the body of the answer to a request made with `method`, past the interim answers (RFC 9110 §15.2).

    Its status is 200 or above, or 101. It is the caller's to close.

    Raises:
        Unusable: It is no HTTP, or not whole.
        OSError: The connection failed, or the time is over (TimeoutError).
    """
    response = http.client.HTTPResponse(cast("socket.socket", wire), method=method)
    try:
        with in_plain_words():
            _read_head(response, wire)
    except BaseException:
        response.close()
        raise
    return response


def read_answer(wire: Wire, method: str, *, max_answer_bytes: int) -> Answer:
    """
    Read the answer to a request made with `method`.

    Raises:
        Unusable: It is no HTTP, its body is longer than `max_answer_bytes`, or it is not whole.
        OSError: The connection failed, or the time is over (TimeoutError).
    """
    with read_head(wire, method) as response, in_plain_words():
        refuse_unclear(response)
        body = _read_body(response, wire, max_answer_bytes)
    headers: dict[str, str] = {}
    for name, raw in response.headers.items():
        value = unfolded(raw)
        headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
    coding = headers.get("content-encoding", "identity").lower()
    if body and coding != "identity":
        body = _unpack(body, coding, max_answer_bytes)
        del headers["content-encoding"]  # so that nobody unpacks it twice
        headers.pop("content-length", None)
    return Answer(response.status, headers, body)


def refuse_unclear(response: http.client.HTTPResponse) -> None:
    """
    See that the body has an end that can be told; a length that is said twice or not in digits is none.

    Raises:
        Unusable: It has none. RFC 9112 §6.3 calls that unrecoverable, where http.client would read to the end.
    """
    if response.status == http.HTTPStatus.SWITCHING_PROTOCOLS:
        raise Unusable("the answer is not HTTP")
    lengths = set(response.headers.get_all("content-length", []))
    if "transfer-encoding" in response.headers:
        is_clear = bool(response.chunked)
    else:
        is_clear = not lengths or (len(lengths) == 1 and _LENGTH.fullmatch(lengths.pop()) is not None)
    if not is_clear:
        raise Unusable("the answer does not say plainly how long it is")


def unfolded(value: str) -> str:
    """The value of a header on one line."""
    return _FOLD.sub(" ", value).strip()


@contextmanager
def in_plain_words() -> Iterator[None]:
    """Turn what http.client says into Unusable, in a few words: its exceptions carry what the server sent."""
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


def _read_head(response: http.client.HTTPResponse, wire: Wire) -> None:
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


def _too_long(what: str, limit: int) -> Unusable:
    return Unusable(f"{what} has more than " + (f"{limit // 1024} KiB" if limit % 1024 == 0 else f"{limit} bytes"))
