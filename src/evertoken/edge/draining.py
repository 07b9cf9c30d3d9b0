"""The time between the order to stop and the stop, in which a load balancer learns that it should send nobody here."""

import asyncio
import contextlib
import logging
import signal
from collections.abc import Iterator
from types import FrameType

_log = logging.getLogger(__name__)


class Draining:
    """
    Whether this process is about to stop: /readyz says so. Requests are answered as ever meanwhile.

    Args:
        seconds: How long that takes; 0 stops at once.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.is_on = False

    @contextlib.contextmanager
    def on_sigterm(self) -> Iterator[None]:
        """
        Let SIGTERM begin to drain, and reach its former handler so much later; a second one reaches it at once.

        For the main thread of a process that is the server's own, inside its event loop.
        """
        loop = asyncio.get_running_loop()
        before = signal.getsignal(signal.SIGTERM)

        def stop(number: int, frame: FrameType | None) -> None:
            if callable(before):
                before(number, frame)

        def begin(number: int, frame: FrameType | None) -> None:
            if self.is_on or self._seconds <= 0:
                self.is_on = True
                stop(number, frame)
                return
            self.is_on = True
            # A signal's handler may come between any two steps of the loop, which must wake up for this.
            loop.call_soon_threadsafe(loop.call_later, self._seconds, stop, number, None)
            _log.info("told to stop: not ready any more, stopping in %g s", self._seconds)

        signal.signal(signal.SIGTERM, begin)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
