"""uvicorn's HTTP protocol with bounds: how large a request's head may be, and how long a request may take to arrive."""

import asyncio

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from evertoken.wire.problems import MEDIA_TYPE, ProblemAnswer

MAX_HEAD_BYTES = 32 * 1024
"""Request line and headers together. The largest token we take has 8 KiB."""

REQUEST_MUST_ARRIVE_WITHIN_SECONDS = 10.0
"""From the first byte to the last; also how long a new connection may say nothing."""

_TOO_LARGE = ProblemAnswer(431, "too_large", "The request line and headers may hold at most 32 KiB.")
_TOO_SLOW = ProblemAnswer(408, "timeout", "The request did not arrive within 10 seconds.")
_UNREADABLE = ProblemAnswer(400, "invalid_request", "This is not HTTP/1.1.")


class BoundedHttpProtocol(HttpToolsProtocol):
    """
    Refuses heads without end and requests that trickle in.

    A request that arrives in one piece, as nearly all do, sets no timer.
    """

    _timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = True
    _is_arriving = False
    _refusal: ProblemAnswer | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._set_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._refusal is not None or self.transport.is_closing():
            return
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(_TOO_LARGE)
        elif not self._is_arriving:
            self._clear_timer()
        elif self._timer is None:
            self._set_timer()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_arriving = True

    def on_headers_complete(self) -> None:
        head = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        self._in_head = False
        self._head_bytes = 0
        if head > MAX_HEAD_BYTES:
            self._refusal = _TOO_LARGE
            raise ValueError("the head is too large")  # stops the parser, which then calls send_400_response
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_head = True
        self._is_arriving = False

    def send_400_response(self, msg: str) -> None:
        del msg
        self._refuse(self._refusal or _UNREADABLE)

    def _set_timer(self) -> None:
        self._timer = self.loop.call_later(REQUEST_MUST_ARRIVE_WITHIN_SECONDS, self._too_slow)

    def _clear_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        self._timer = None
        if self._is_arriving:
            self._refuse(_TOO_SLOW)
        else:
            self.transport.close()

    def _refuse(self, problem: ProblemAnswer) -> None:
        """Answer unless an answer is under way, and close."""
        self._refusal = problem
        cycle: RequestResponseCycle | None = self.cycle  # None until the first head has been read
        if cycle is None or cycle.response_complete or not cycle.response_started:
            body = problem.body()
            head = b"content-type: %b\r\ncontent-length: %d\r\ncache-control: no-store\r\nconnection: close\r\n\r\n" % (
                MEDIA_TYPE.encode(),
                len(body),
            )
            self.transport.write(STATUS_LINE[problem.status] + head + body)
            if cycle is not None:
                cycle.disconnected = True
                cycle.message_event.set()
        self.transport.close()
