"""The server of the comparison: the test kit's, whose refreshes take a while, and which can keep a 401 back."""

import threading
from typing import Any

from evertoken.testing import FakeServer
from evertoken.testing.fake_sessions import Rotation
from evertoken.testing.listener import Answer, Request

ANSWER_AFTER_SECONDS = 0.3
"""How long the answer to a refresh is on its way, after the refresh token has been used up."""
HELD = "/held/"
LONGEST_WAIT_SECONDS = 30.0


class PeerServer(FakeServer):
    """
    Args:
        rotation: "strict", where each refresh token is good once, or "evertoken".

    `rotated` is set when a refresh has been carried out and its answer is about to be sent.
    """

    def __init__(self, *, rotation: Rotation = "strict") -> None:
        super().__init__(rotation=rotation)
        self.rotated = threading.Event()
        self._changed = threading.Condition()
        self._held: dict[str, threading.Event] = {}

    def render_tokens(self, pair: dict[str, Any]) -> Answer:
        """Let the answer take its time."""
        self.rotated.set()
        threading.Event().wait(ANSWER_AFTER_SECONDS)
        return super().render_tokens(pair)

    def read_access_token(self, request: Request) -> str | None:
        """The first request to each path below HELD waits here until it is released; a second passes."""
        if request.path.startswith(HELD):
            with self._changed:
                is_first = request.path not in self._held
                gate = self._held.setdefault(request.path, threading.Event())
                self._changed.notify_all()
            if is_first:
                gate.wait(LONGEST_WAIT_SECONDS)
        return super().read_access_token(request)

    def wait_for_held(self, count: int) -> None:
        """
        Wait until so many requests are held.

        Raises:
            TimeoutError: They are not, within 30 s.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._held) >= count, LONGEST_WAIT_SECONDS):
                raise TimeoutError(f"{len(self._held)} of {count} requests have come")

    def release(self, path: str) -> None:
        """Let the request to that path go on."""
        self._held[path].set()

    def recover(self) -> None:
        """Forget the faults that were scripted and have not been met."""
        with self._lock:
            self._script.clear()
