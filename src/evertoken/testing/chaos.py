"""
A bad network between a client and its server, for tests: it loses, doubles, delays and reorders, and watches whether
anybody is signed out by it.
"""

import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from types import TracebackType
from typing import Final, Self

from evertoken.clock import monotonic_seconds
from evertoken.testing.fates import CALM, Fate, Odds, draw
from evertoken.testing.journey import Book, Journey
from evertoken.testing.listener import CLOSING_SECONDS, Answer, Hangup, Listener, Request
from evertoken.testing.transcript import read_json
from evertoken.testing.upstream import Upstream

UNTOUCHED_SECONDS: Final = 300.0
"""How long a request that `only` leaves alone may take; the bound is for the others."""

_SIGN_OUT_CODE: Final = "session_over"
_REFRESH_PATHS: Final = ("/auth/refresh", "/oauth/token")


def is_refresh_call(request: Request) -> bool:
    """Whether this is evertoken's refresh call, or that of an OAuth 2 server."""
    return request.method == "POST" and request.path.endswith(_REFRESH_PATHS)


def is_definite_refusal(answer: Answer) -> bool:
    """
    Whether this answer to a refresh signs somebody out: 401 `session_over`, or OAuth's 400 `invalid_grant`.

    Not where the reason is `signed_out`: somebody asked for that, and a late duplicate of a refresh hears of it.
    """
    body = read_json(answer)
    if answer.status == 401:  # noqa: PLR2004 - Unauthorized
        return body.get("code") == _SIGN_OUT_CODE and body.get("reason") != "signed_out"
    return answer.status == 400 and body.get("error") == "invalid_grant"  # noqa: PLR2004 - Bad Request


class ChaosProxy:
    """
    An HTTP/1.1 reverse proxy on loopback that does to requests what networks do. Point your client at `.url`.

    A request that is lost or whose answer is lost finds its connection closed without a byte. A duplicate reaches
    the server after the first has been answered. Bodies and answers are passed on whole, of at most 64 MiB, so this
    is nothing for streams. What it does to other calls than refreshes reaches your application too: doubled orders
    are doubled; see `only`. Redirects to the server's own address lead past it.

    Args:
        target_url: The server.
        lose_requests, lose_answers, duplicate: Probabilities, 0 to 1.
        delay_seconds: Least and most by which a request, its answer and its duplicate are each held back; overtaken
            messages come of it.
        only: Leaves alone every path that this pattern does not find, or that this callable says no to.
        bound_seconds: No request and no duplicate is sent on, and no answer handed out, later than this after the
            request came. It must be shorter than the server's overlap (60 s by default), which is the longest that
            evertoken forgives; a server that works on a request beyond it cannot be recalled.
        seed: Repeats the draws of another run; `.seed` has it. Threads still meet as they like.
        is_refresh: Which requests are refreshes.
        is_sign_out: Which answers to them are definite.
        history_length: How many requests the transcript goes back.

    Raises:
        ValueError: A setting is out of its range; three of the longest delays do not fit into the bound.
    """

    def __init__(
        self,
        target_url: str,
        *,
        lose_requests: float = 0.0,
        lose_answers: float = 0.0,
        duplicate: float = 0.0,
        delay_seconds: tuple[float, float] = (0.0, 0.0),
        only: str | re.Pattern[str] | Callable[[str], bool] | None = None,
        bound_seconds: float = 50.0,
        seed: int | None = None,
        is_refresh: Callable[[Request], bool] = is_refresh_call,
        is_sign_out: Callable[[Answer], bool] = is_definite_refusal,
        history_length: int = 200,
    ) -> None:
        self.seed = random.SystemRandom().randrange(2**32) if seed is None else seed
        self.bound_seconds = bound_seconds
        self._chance = random.Random(self.seed)  # noqa: S311 - to be repeated, not to be secret
        self._odds = Odds()
        self.change(
            lose_requests=lose_requests, lose_answers=lose_answers, duplicate=duplicate, delay_seconds=delay_seconds
        )
        self._upstream = Upstream(target_url)
        self._touches = only if callable(only) else _finder(only)
        self._is_refresh = is_refresh
        self._is_sign_out = is_sign_out
        self._book = Book(history_length)
        self._listener = Listener(self._handle)
        self.url = self._listener.url

    def __enter__(self) -> Self:
        self._listener.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """What is held back is dropped, and so never sent."""
        self._book.closing.set()
        self._listener.__exit__(kind, error, traceback)
        self._book.settle(CLOSING_SECONDS)

    # ---- what a test does ----

    def change(
        self,
        *,
        lose_requests: float | None = None,
        lose_answers: float | None = None,
        duplicate: float | None = None,
        delay_seconds: tuple[float, float] | None = None,
    ) -> None:
        """
        Change settings for the requests that come from now on; what is not named stays.

        Raises:
            ValueError: as for the settings above; nothing has changed then.
        """
        named = {
            "lose_requests": lose_requests,
            "lose_answers": lose_answers,
            "duplicate": duplicate,
            "delay_seconds": delay_seconds,
        }
        odds = Odds(**{**asdict(self._odds), **{name: value for name, value in named.items() if value is not None}})
        if 3 * odds.delay_seconds[1] >= self.bound_seconds:
            raise ValueError(
                f"three delays of {odds.delay_seconds[1]} s (request, duplicate, answer) "
                f"do not fit into a life of {self.bound_seconds} s"
            )
        self._odds = odds

    def calm(self) -> None:
        """Let everything through from now on. What is in the air keeps its fate; see `settle`."""
        self.change(lose_requests=0.0, lose_answers=0.0, duplicate=0.0, delay_seconds=(0.0, 0.0))

    def settle(self, timeout_seconds: float | None = None) -> None:
        """
        Block this thread until nothing is in the air, duplicates included.

        Do so before you move the clock of a server: what is in the air would age with it, beyond any bound.

        Args:
            timeout_seconds: The bound and 5 s more, without it.

        Raises:
            TimeoutError: Something still is.
        """
        left = self._book.settle(self.bound_seconds + 5.0 if timeout_seconds is None else timeout_seconds)
        if left:
            raise TimeoutError(f"{left} exchanges are still under way")

    # ---- what a test sees ----

    @property
    def history(self) -> list[str]:
        """The last requests and their fates, one line each, without secrets."""
        return self._book.history

    @property
    def signed_out(self) -> list[str]:
        """The definite refusals that were seen, one line each; also those whose answer was then lost."""
        return self._book.signed_out

    @property
    def counts(self) -> Counter[str]:
        """
        How many `requests` came, how many of them were `refreshes`, and how many had which fate: `disturbed` in any
        way, `requests_lost`, `answers_lost`, `duplicated`, `delayed`, `unanswered` by the server; and `signed_out`.
        """
        return self._book.counts

    def assert_nobody_signed_out(self) -> None:
        """
        Fail with the transcript if a refresh has been refused for good. It does not wait; see `settle`.

        Raises:
            AssertionError: Somebody was signed out.
        """
        __tracebackhide__ = True
        refused = self.signed_out
        if refused:
            raise AssertionError(
                "\n".join((f"signed out by the network (chaos seed {self.seed}):", *refused, self.transcript()))
            )

    def transcript(self) -> str:
        """The counts and the history as one text."""
        counts = ", ".join(f"{name} {count}" for name, count in sorted(self.counts.items()))
        return "\n".join((f"chaos seed {self.seed}: {counts or 'no request'}", *self.history))

    # ---- what it does ----

    def _handle(self, request: Request) -> Answer | Hangup:
        came = monotonic_seconds()
        is_touched, is_refresh = self._touches(request.path), self._is_refresh(request)
        exchange, fate = self._book.open(request, self._draw if is_touched else _leave_alone, is_refresh=is_refresh)
        try:
            return Journey(
                self._book,
                self._upstream,
                request,
                exchange,
                deadline=came + (self.bound_seconds if is_touched else UNTOUCHED_SECONDS),
                signs_out=self._is_sign_out if is_refresh else _never,
                is_plain=is_refresh,
            ).run(fate)
        finally:
            self._book.close()

    def _draw(self) -> Fate:
        return draw(self._odds, self._chance)


def _leave_alone() -> Fate:
    return CALM


def _never(answer: Answer) -> bool:
    del answer
    return False


def _finder(pattern: str | re.Pattern[str] | None) -> Callable[[str], bool]:
    """Whether a path has the pattern in it; every path has none."""
    compiled = re.compile(pattern or "")
    return lambda path: compiled.search(path) is not None
