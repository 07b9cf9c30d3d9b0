"""One request on its way through a chaos proxy, and the book that is kept of all of them."""

import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Final

from evertoken.clock import monotonic_seconds
from evertoken.testing.fates import Fate
from evertoken.testing.listener import Answer, Hangup, Request
from evertoken.testing.transcript import Exchange, describe, presented_token
from evertoken.testing.upstream import NoUpstreamAnswer, Upstream

MAX_DUPLICATES: Final = 64
"""How many second sendings may be under way behind their client's back; beyond it no more are made."""


class Book:
    """
    What is under way and what has happened; safe to use from any thread.

    Args:
        history_length: How many exchanges are remembered.
    """

    def __init__(self, history_length: int) -> None:
        self.closing = threading.Event()
        self._changed = threading.Condition()
        self._began = monotonic_seconds()
        self._under_way = self._doubling = 0
        self._history: deque[Exchange] = deque(maxlen=history_length)
        self._signed_out: list[str] = []
        self._counts: Counter[str] = Counter()

    def open(self, request: Request, draw: Callable[[], Fate], *, is_refresh: bool) -> tuple[Exchange, Fate]:
        """A request has come; its fate is drawn in the order in which requests are numbered."""
        with self._changed:
            fate = draw()
            self._under_way += 1
            self._counts["requests"] += 1
            for name, happened in {
                "refreshes": is_refresh,
                "disturbed": not fate.is_calm,
                "requests_lost": fate.loses_request,
                "answers_lost": fate.loses_answer,
                "delayed": fate.request_delay > 0 or fate.answer_delay > 0,
            }.items():
                if happened:
                    self._counts[name] += 1
            exchange = Exchange(
                self._counts["requests"],
                monotonic_seconds() - self._began,
                request.method,
                request.path,
                presented_token(request),
                str(fate),
            )
            self._history.append(exchange)
            return exchange, fate

    def close(self, *, is_duplicate: bool = False) -> None:
        """A request, or a second sending, is over."""
        with self._changed:
            self._under_way -= 1
            self._doubling -= is_duplicate
            self._changed.notify_all()

    def may_double(self) -> bool:
        """Take one of the places for second sendings, if there is one."""
        with self._changed:
            if self._doubling >= MAX_DUPLICATES:
                return False
            self._doubling += 1
            self._under_way += 1
            return True

    def settle(self, timeout_seconds: float) -> int:
        """Wait until nothing is under way; how much still is."""
        with self._changed:
            self._changed.wait_for(lambda: self._under_way == 0, timeout_seconds)
            return self._under_way

    def tell(self, exchange: Exchange, what: str, *, counted: str | None = None) -> None:
        """Write down what became of a request."""
        with self._changed:
            exchange.happened.append(what)
            if counted is not None:
                self._counts[counted] += 1

    def sign_out(self, exchange: Exchange) -> None:
        """Write down that the server has refused for good."""
        with self._changed:
            exchange.happened.append("SIGNED OUT")
            self._counts["signed_out"] += 1
            self._signed_out.append(str(exchange))

    @property
    def history(self) -> list[str]:
        """A line for each exchange that is remembered."""
        with self._changed:
            return [str(exchange) for exchange in self._history]

    @property
    def signed_out(self) -> list[str]:
        """A line for each definite refusal."""
        with self._changed:
            return list(self._signed_out)

    @property
    def counts(self) -> Counter[str]:
        """How much of what has happened."""
        with self._changed:
            return self._counts.copy()


class Journey:
    """
    A request's way to the server and its answer's way back.

    Args:
        deadline: By the monotonic clock, in seconds; nothing of it happens later.
        signs_out: Whether an answer to it is a definite refusal.
        is_plain: Its answer has to be read, so it must not be compressed.
    """

    def __init__(
        self,
        book: Book,
        upstream: Upstream,
        request: Request,
        exchange: Exchange,
        *,
        deadline: float,
        signs_out: Callable[[Answer], bool],
        is_plain: bool,
    ) -> None:
        self._book = book
        self._upstream = upstream
        self._request = request
        self._exchange = exchange
        self._deadline = deadline
        self._signs_out = signs_out
        self._is_plain = is_plain

    def run(self, fate: Fate) -> Answer | Hangup:
        """Let its fate happen to it, and give what its client gets."""
        if fate.loses_request:
            self._tell("no answer")
            return Hangup.CLOSE
        if not self._wait(fate.request_delay):
            return Hangup.CLOSE
        answer = self._send("")
        if fate.duplicate_delay is not None:
            if fate.gives_second:
                answer = self._send_again(fate.duplicate_delay)
            elif self._book.may_double():
                threading.Thread(
                    target=self._double, args=(fate.duplicate_delay,), name="evertoken-duplicate", daemon=True
                ).start()
        if answer is None:
            return Hangup.CLOSE
        if fate.loses_answer:
            self._tell("answer lost")
            return Hangup.CLOSE
        return answer if self._wait(fate.answer_delay) else Hangup.CLOSE

    def _double(self, delay: float) -> None:
        """The second sending, behind the back of its client."""
        try:
            self._send_again(delay)
        finally:
            self._book.close(is_duplicate=True)

    def _send_again(self, delay: float) -> Answer | None:
        if not self._wait(delay):
            return None
        self._book.tell(self._exchange, "sent again", counted="duplicated")
        return self._send("the second: ")

    def _send(self, which: str) -> Answer | None:
        try:
            answer = self._upstream.send(self._request, deadline=self._deadline, plain=self._is_plain)
        except NoUpstreamAnswer as error:
            self._book.tell(self._exchange, f"{which}the server gave no answer ({error})", counted="unanswered")
            return None
        self._tell(f"{which}{describe(answer)}")
        if self._signs_out(answer):
            self._book.sign_out(self._exchange)
        return answer

    def _wait(self, seconds: float) -> bool:
        """Let time pass, in reality; whether there is any left."""
        left = self._deadline - monotonic_seconds()
        if seconds > 0:
            self._book.closing.wait(min(seconds, max(left, 0.0)))
        if not self._book.closing.is_set() and monotonic_seconds() < self._deadline:
            return True
        self._tell("dropped at the end of its time")
        return False

    def _tell(self, what: str) -> None:
        self._book.tell(self._exchange, what)
