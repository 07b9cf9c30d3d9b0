"""
The standard library as an HTTP library: requests with a session's access token, and answers as they come.

`evertoken request` stands on it; a program that has an HTTP library takes that library's adapter. It speaks HTTP/1.1
on a connection per request, through the proxies of the environment, and holds no answer in memory.
"""

import http.client
import io
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import BinaryIO, Final, Self
from urllib.parse import urldefrag, urljoin

from evertoken.client.http import Call, NoAnswer
from evertoken.client.http.addresses import parse_url
from evertoken.client.http.deadline import Deadline, Wire
from evertoken.client.http.failures import Unusable, raised_as
from evertoken.client.http.opening import Opener
from evertoken.client.http.reading import HEAD_BYTES, in_plain_words, read_head, refuse_unclear, unfolded
from evertoken.client.http.writing import render
from evertoken.client.judging import LONGEST_BODY_READ, Refusal, judge, wants_body
from evertoken.client.origins import origin_of
from evertoken.client.refresher.holding import Holding
from evertoken.client.session import Session
from evertoken.errors import NotReplayable

MOST_REDIRECTS: Final = 5
HELD_BYTES: Final = 1024 * 1024
"""A body of at most this much is held in memory, so that it can be sent twice wherever it came from."""

_PART_BYTES: Final = 64 * 1024
_NO_LIMIT: Final = 1 << 62
_SAME_AGAIN: Final = (307, 308)
_REDIRECTS: Final = (301, 302, 303, *_SAME_AGAIN)
_STAY_AT_HOME: Final = frozenset({"authorization", "cookie"})


class NotFollowed(Exception):
    """A redirect leads too far, nowhere, or asks for a body that is used up. The message repeats no URL."""


class Body:
    """
    What a request carries.

    Args:
        source: Bytes, or a file that is read from where it stands. Up to 1 MiB of it is held. A longer file that can
            seek is read anew for each sending, and a longer one that cannot (a pipe) can be sent once only, in chunks.
    """

    def __init__(self, source: bytes | BinaryIO) -> None:
        self._file: BinaryIO | None = None
        self._held = source if isinstance(source, bytes) else source.read(HELD_BYTES + 1)
        self._start = 0
        self.length_bytes: int | None = len(self._held)
        if isinstance(source, bytes) or len(self._held) <= HELD_BYTES:
            return
        self._file = source
        self.length_bytes = None
        if source.seekable():
            self._start = source.tell() - len(self._held)
            self.length_bytes = source.seek(0, io.SEEK_END) - self._start
            self._held = b""

    @property
    def is_repeatable(self) -> bool:
        """Whether it can be sent twice."""
        return self.length_bytes is not None

    def parts(self) -> Iterator[bytes]:
        """
        All of it, in parts; of a file what it held when this was made.

        Raises:
            NoAnswer: It cannot be read to its end: the request must be broken off, or it would be cut short.
        """
        if self._file is None:
            yield self._held
            return
        try:
            yield from self._streamed(self._file) if self.length_bytes is None else self._read_anew(self._file)
        except OSError as error:
            raise NoAnswer(f"the request was broken off: reading its body failed: {error.strerror}") from error

    def _streamed(self, file: BinaryIO) -> Iterator[bytes]:
        held, self._held = self._held, b""
        yield held
        while part := file.read(_PART_BYTES):
            yield part

    def _read_anew(self, file: BinaryIO) -> Iterator[bytes]:
        assert self.length_bytes is not None
        file.seek(self._start)
        left = self.length_bytes
        while left:
            part = file.read(min(left, _PART_BYTES))
            if not part:
                raise NoAnswer("the request was broken off: its body became shorter while it was sent")
            left -= len(part)
            yield part


class Reply:
    """An answer whose body is still on its way; leave its context to hang up. `url` is where redirects have led."""

    def __init__(
        self, response: http.client.HTTPResponse, sock: socket.socket, idle: Deadline, url: str, where: str
    ) -> None:
        self.status = response.status
        self.reason = response.reason
        self.headers = tuple((name, unfolded(value)) for name, value in response.getheaders())
        self.url = url
        self._response = response
        self._sock = sock
        self._idle = idle
        self._where = where
        self._read_ahead: list[bytes] = []

    def header(self, name: str) -> str | None:
        """The header of this name, in any case of letters; repeated ones joined by a comma."""
        return ", ".join(value for found, value in self.headers if found.lower() == name.lower()) or None

    def parts(self) -> Iterator[bytes]:
        """
        The body as it comes, without its transfer coding.

        Raises:
            NoAnswer: It broke off, or nothing came for as long as the idle timeout.
        """
        while self._read_ahead:
            yield self._read_ahead.pop(0)
        while part := self._next_part():
            yield part

    def peek(self, at_most_bytes: int) -> bytes | None:
        """The whole body if it is no longer than that, else None; `parts` still gives all of it. Raises as `parts`."""
        taken: list[bytes] = []
        length = 0
        while length <= at_most_bytes and (part := self._next_part()):
            taken.append(part)
            length += len(part)
        self._read_ahead = taken
        return b"".join(taken) if length <= at_most_bytes else None

    def close(self) -> None:
        """Hang up; harmless when repeated."""
        self._response.close()
        self._sock.close()

    def _next_part(self) -> bytes:
        with raised_as(NoAnswer, self._where, late="nothing more came", deadline=self._idle):
            with in_plain_words():
                part = self._response.read1(_PART_BYTES)
            if not part and self._response.length:
                raise Unusable("the answer was cut short")
        return part

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@dataclass(frozen=True, slots=True)
class _Hop:
    method: str
    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: Body | None = None
    has_strayed: bool = False

    @property
    def is_repeatable(self) -> bool:
        return self.body is None or self.body.is_repeatable


class PlainClient:
    """
    Sends requests with the session's access token, and renews it without the caller noticing.

    The token goes to the session's own origins only, and no further once a redirect has led elsewhere. A request that
    was refused because of its token is sent once more; redirects are followed, at most 5.

    Args:
        session: The session; any number of clients may share it.
        connect_timeout_seconds: For proxy, connection and TLS together, at most a day. Looking up the name comes
            on top.
        idle_timeout_seconds: How long the other side may take nothing and send nothing, at most a day; the whole may
            take as long as it likes.

    Raises:
        ValueError: A timeout is longer than a day.
    """

    def __init__(
        self, session: Session, *, connect_timeout_seconds: float = 10.0, idle_timeout_seconds: float = 60.0
    ) -> None:
        self._session = session
        self._gate = session.gate
        self._dialect = session.dialect
        self._connect_timeout_seconds = connect_timeout_seconds
        self._idle = _Idle(idle_timeout_seconds)
        self._opener = Opener()

    def send(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, body: Body | None = None
    ) -> Reply:
        """
        Send a request and give its answer, whatever its status, as soon as its head is there.

        Args:
            url: Absolute; path and query percent-encoded.
            headers: In Latin-1; Host, Content-Length and their like are ours to set. One of the name that carries the
                access token is replaced where the token goes.

        Raises:
            SignedOut, RefreshUnavailable, TokenStoreRefused: There is no access token to send it with.
            NotReplayable: It was refused because of its token, and its body is used up.
            NotSent, NoAnswer: As any transport says.
            NotFollowed: The answer is a redirect that cannot be followed.
            ValueError: The URL, the method or a header cannot be sent as it is; the message repeats none of them.
        """
        hop = _Hop(method, url, dict(headers or {}), body)
        may_send_again = True
        for _ in range(MOST_REDIRECTS + 1):
            reply, was_sent_again = self._exchange(hop, may_send_again=may_send_again)
            may_send_again = may_send_again and not was_sent_again
            with _or_hang_up(reply):
                following = self._following(hop, reply)
            if following is None:
                return reply
            reply.close()
            hop = following
        raise NotFollowed(f"more than {MOST_REDIRECTS} redirects, one after the other")

    def _exchange(self, hop: _Hop, *, may_send_again: bool) -> tuple[Reply, bool]:
        """One hop, and once more if its token was refused; says whether that happened."""
        if hop.has_strayed or not self._session.home.covers(hop.url) or self._is_opted_out(hop):
            return self._once(hop, None), False
        holding = self._gate.enter(is_repeatable=hop.is_repeatable)
        reply = self._once(hop, holding)
        with _or_hang_up(reply):
            renewed = self._after(reply, holding, may_send_again=may_send_again)
        if renewed is None:
            return reply, False
        reply.close()
        if not hop.is_repeatable:
            raise NotReplayable(reply)
        reply = self._once(hop, renewed)
        with _or_hang_up(reply):
            self._after(reply, renewed, may_send_again=False)
        return reply, True

    def _is_opted_out(self, hop: _Hop) -> bool:
        return self._session.is_opted_out({name.lower(): value for name, value in hop.headers.items()})

    def _after(self, reply: Reply, holding: Holding, *, may_send_again: bool) -> Holding | None:
        """What to send the request again with, if that is to be done."""
        refusal = self._judge(reply)
        if refusal is None:
            return None
        return self._gate.refused(holding, was_sent_again=not may_send_again, over=refusal.over)

    def _judge(self, reply: Reply) -> Refusal | None:
        if reply.status not in self._dialect.judged_statuses:
            return None
        kind, length = reply.header("content-type"), reply.header("content-length")
        is_read = wants_body(self._dialect, reply.status, kind, length)
        return judge(self._dialect, reply.status, reply.peek(LONGEST_BODY_READ) if is_read else None)

    def _once(self, hop: _Hop, holding: Holding | None) -> Reply:
        headers = dict(hop.headers)
        if holding is not None:
            name = self._dialect.access_token.header
            headers = {given: value for given, value in headers.items() if given.lower() != name.lower()}
            headers[name] = self._session.header(holding)
        return self._sent(replace(hop, headers=headers))

    def _sent(self, hop: _Hop) -> Reply:
        deadline = Deadline(self._connect_timeout_seconds)
        route = self._opener.route(hop.url)
        head = render(Call(hop.method, hop.url, _with_accept(hop.headers)), route, framing=_framing(hop.body))
        sock = self._opener.open(route, deadline)
        try:
            with raised_as(NoAnswer, route, late="no answer", deadline=self._idle):
                wire = Wire(sock, self._idle, allowed_bytes=HEAD_BYTES)
                _send(wire, head, hop.body)
                response = read_head(wire, hop.method)
                refuse_unclear(response)
                wire.allowed_bytes = _NO_LIMIT
                return Reply(response, sock, self._idle, hop.url, str(route))
        except BaseException:
            sock.close()
            raise

    def _following(self, hop: _Hop, reply: Reply) -> _Hop | None:
        """Where a redirect leads, and with what (RFC 9110 §15.4); None where the answer is none."""
        location = reply.header("location")
        if reply.status not in _REDIRECTS or location is None:
            return None
        url = urldefrag(urljoin(hop.url, location)).url
        try:
            parse_url(url)
        except ValueError as error:
            raise NotFollowed(f"the answer is a redirect that cannot be followed: {error}") from None
        headers, strayed = dict(hop.headers), hop.has_strayed
        if origin_of(url) != origin_of(hop.url):
            # Another origin gets none of the caller's credentials either.
            ours = _STAY_AT_HOME | {self._dialect.access_token.header.lower()}
            headers = {name: value for name, value in headers.items() if name.lower() not in ours}
            strayed = strayed or not self._session.home.has(origin_of(url))
        if reply.status in _SAME_AGAIN or (reply.status != http.HTTPStatus.SEE_OTHER and hop.method != "POST"):
            if not hop.is_repeatable:
                raise NotFollowed("the redirect asks for the body once more, which was a stream and is used up")
            return _Hop(hop.method, url, headers, hop.body, strayed)
        headers = {name: value for name, value in headers.items() if not name.lower().startswith("content-")}
        return _Hop("HEAD" if hop.method == "HEAD" else "GET", url, headers, None, strayed)


class _Idle(Deadline):
    """Starts anew with every byte."""

    def left_seconds(self, *, shared_by: int = 1) -> float:
        return self.timeout_seconds / shared_by


@contextmanager
def _or_hang_up(reply: Reply) -> Iterator[None]:
    try:
        yield
    except BaseException:
        reply.close()
        raise


def _with_accept(headers: Mapping[str, str]) -> Mapping[str, str]:
    return headers if any(name.lower() == "accept" for name in headers) else {"Accept": "*/*", **headers}


def _framing(body: Body | None) -> Mapping[str, str] | None:
    if body is None:
        return None
    return {"Transfer-Encoding": "chunked"} if body.length_bytes is None else {"Content-Length": str(body.length_bytes)}


def _send(wire: Wire, head: bytes, body: Body | None) -> None:
    # A server that has made up its mind may hang up before it has read the body; its answer may be there all the same.
    with suppress(BrokenPipeError, ConnectionResetError):
        wire.send_all(head)
        if body is None:
            return
        for part in body.parts():
            wire.send_all(part if body.length_bytes is not None else b"%x\r\n%b\r\n" % (len(part), part))
        if body.length_bytes is None:
            wire.send_all(b"0\r\n\r\n")
