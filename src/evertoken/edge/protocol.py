"""uvicorn's HTTP protocol with bounds: how large a request's head may be, and how long a request may take to arrive."""

import asyncio
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from evertoken.wire.problems import MEDIA_TYPE, ProblemAnswer

MAX_HEAD_BYTES = 32 * 1024
"""Everything of a request but its body: request line, headers, chunk sizes, trailers. Our largest token has 8 KiB."""

REQUEST_MUST_ARRIVE_WITHIN_SECONDS = 10.0
"""From the first byte to the last; also how long a new connection may say nothing."""

LET_GO = "evertoken.let_go"
"""
A route that answers late puts a callable under this key into the scope. It is called when the caller has gone, and when
the server begins to stop, for that waits for answers. Where that was before, `NOT_TO_WAIT` is there.
"""
NOT_TO_WAIT = "evertoken.not_to_wait"

_TOO_LARGE = ProblemAnswer(431, "too_large", "All of a request but its body may hold at most 32 KiB.")
_TOO_SLOW = ProblemAnswer(408, "timeout", "The request did not arrive within 10 seconds.")
_UPGRADE_WITH_BODY = ProblemAnswer(400, "invalid_request", "Send no Upgrade header along with a body.")
_UNREADABLE = ProblemAnswer(400, "invalid_request", "This is not HTTP/1.1.")


class BoundedHttpProtocol(HttpToolsProtocol):
    """
    Refuses heads without end and requests that trickle in.

    A request that arrives in one piece, as nearly all do, sets no timer.
    """

    _timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _is_head_complete = False
    _is_arriving = False
    _refusal: ProblemAnswer | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._set_timer()

    def shutdown(self) -> None:
        """The server stops: it waits for answers that are under way, so whoever answers late should do so now."""
        super().shutdown()
        self._let_go()

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_timer()
        super().connection_lost(exc)
        self._let_go()

    def _let_go(self) -> None:
        cycle: RequestResponseCycle | None = self.cycle  # None until the first head has been read
        if cycle is not None and not cycle.response_complete:
            scope = cast("dict[str, Any]", cycle.scope)
            scope[NOT_TO_WAIT] = True
            let_go = scope.get(LET_GO)
            if let_go is not None:
                let_go()

    def data_received(self, data: bytes) -> None:
        self._head_bytes += len(data)  # on_body takes off again what is body
        super().data_received(data)
        if self._refusal is not None or self.transport.is_closing():
            return
        if self._head_bytes > MAX_HEAD_BYTES:
            self._refuse(_TOO_LARGE)
        elif self._is_arriving or self._is_idle():
            if self._timer is None:
                self._set_timer()
        else:
            self._clear_timer()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_arriving = True
        self._is_head_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        # A trailer is no header (RFC 9110 §6.5.1). Merged into them, it could bring along a forged address: a proxy
        # overwrites X-Forwarded-For among the headers, not behind the body.
        if not self._is_head_complete:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        head = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        self._is_head_complete = True
        if head > MAX_HEAD_BYTES:
            self._refusal = _TOO_LARGE
        elif self.parser.should_upgrade() and self._announces_body():
            # The parser takes what follows for another protocol's and not for a body; behind a proxy that passes on
            # Upgrade, whoever wrote the body could so slip in a request and shift everybody's answers by one.
            self._refusal = _UPGRADE_WITH_BODY
        if self._refusal is not None:
            raise ValueError("refused")  # stops the parser, which then calls send_400_response
        super().on_headers_complete()

    def _announces_body(self) -> bool:
        return any(
            name == b"transfer-encoding" or (name == b"content-length" and value.strip(b"0"))
            for name, value in self.headers
        )

    def on_body(self, body: bytes) -> None:
        self._head_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._head_bytes = 0
        self._is_arriving = False

    def _is_idle(self) -> bool:
        """Whether nobody owes the other anything. Empty lines between requests do not count as one."""
        cycle: RequestResponseCycle | None = self.cycle  # None until the first head has been read
        return cycle is None or cycle.response_complete

    def _unsupported_upgrade_warning(self) -> None:
        """Whoever offers another protocol is answered in this one; a stranger's header is worth no line in our log."""

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
