"""What a test lets the fake server do wrong, and where it makes it wait."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

from evertoken.testing.listener import Answer, Hangup

LONGEST_WAIT_SECONDS: Final = 60.0
"""No fault and no gate keeps a call for longer, so that a test that forgot it ends."""

_LOOK_SECONDS: Final = 0.05
_CODES: Final = {429: "rate_limited", 500: "internal", 503: "unavailable"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """
    One refresh call that goes wrong. What is not said goes right: `Fault(delay_until=event)` is only late.

    Args:
        status: Answered without looking at the call, with a problem of this status unless `body` is given.
        body: Answered without looking at the call; status 200 unless `status` is given.
        headers: More headers of that answer; Content-Type is application/json unless given here.
        retry_after: Its Retry-After header, in seconds or as an HTTP date.
        delay_until: The call waits for this event first, for at most 60 s.
        hang: The call gets no answer while the server runs, for at most 60 s; then its connection is closed.
        reset: The connection is reset; the call has not been looked at.
        lose_answer: The call is handled as ever; then the connection is closed without a byte.
    """

    status: int | None = None
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    retry_after: float | str | None = None
    delay_until: threading.Event | None = None
    hang: bool = False
    reset: bool = False
    lose_answer: bool = False

    def instead(self, closing: threading.Event) -> Answer | Hangup | None:
        """
        Wait as long as is said here, then give what stands in the place of handling the call; None to handle it.

        Args:
            closing: Set when the server ends; no wait outlives it.
        """
        if self.delay_until is not None:
            # Nothing waits for two events at once; the server's end has to be looked for.
            for _ in range(round(LONGEST_WAIT_SECONDS / _LOOK_SECONDS)):
                if self.delay_until.wait(_LOOK_SECONDS) or closing.is_set():
                    break
        if self.hang:
            closing.wait(LONGEST_WAIT_SECONDS)
            return Hangup.CLOSE
        if self.reset:
            return Hangup.RESET
        if self.status is None and self.body is None:
            return None
        more = tuple(self.headers.items())
        if self.retry_after is not None:
            more = (*more, ("Retry-After", f"{self.retry_after}"))
        status = 200 if self.status is None else self.status
        if self.body is None:
            return Answer.json(status, _problem(status), *more, media_type="application/problem+json")
        if not any(name.lower() == "content-type" for name, _ in more):
            more = (("Content-Type", "application/json"), *more)
        return Answer(status, more, self.body)


class Gate:
    """
    Keeps refresh calls waiting inside the server until it is released, or for 60 s.

    Leaving its context releases it.
    """

    def __init__(self) -> None:
        self._released = threading.Event()
        self._changed = threading.Condition()
        self._arrived = 0

    @property
    def arrived(self) -> int:
        """How many calls have come here so far."""
        return self._arrived

    def wait_for_arrival(self, timeout: float = 10.0, *, count: int = 1) -> None:
        """
        Block this thread until `count` calls have come here in all.

        Args:
            timeout: In seconds.

        Raises:
            TimeoutError: Fewer came.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: self._arrived >= count, timeout):
                raise TimeoutError(f"{self._arrived} of {count} refresh calls arrived within {timeout} s")

    def release(self) -> None:
        """Let all go on, and whoever comes later pass."""
        self._released.set()

    def pass_through(self) -> None:
        """For the server: be counted, and wait."""
        with self._changed:
            self._arrived += 1
            self._changed.notify_all()
        self._released.wait(LONGEST_WAIT_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.release()


def _problem(status: int) -> dict[str, Any]:
    code = _CODES.get(status, "fault")
    return {
        "type": f"urn:evertoken:problem:{code}",
        "title": "A fault that the test asked for",
        "status": status,
        "detail": "Scripted by the test.",
        "code": code,
    }
