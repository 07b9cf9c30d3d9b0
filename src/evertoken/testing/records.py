"""What a fake server has seen, for tests to count. Safe to write and to read from any thread."""

import threading
from collections import Counter
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RefreshRecord:
    """
    One refresh call and what became of it.

    Args:
        outcome: "reissue", "early", "advance", "stale", "replay" or "gone" (see docs/rotation.md); "unknown" for a
            text that is no refresh token of this server; "fault" for a call that a scripted answer took.
        at: When, in seconds since the epoch by the server's clock.
        session_id: Of which session; None where that is not known.
    """

    outcome: str
    at: float
    session_id: str | None = None


class Records:
    """Counts and lists; what is handed out is a copy."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._arrived = 0
        self._refreshes: list[RefreshRecord] = []
        self._requests: Counter[tuple[str, int]] = Counter()

    @property
    def arrived(self) -> int:
        """How many refresh calls have arrived, whatever became of them."""
        return self._arrived

    @property
    def refreshes(self) -> list[RefreshRecord]:
        """What became of them, the latest last."""
        with self._lock:
            return list(self._refreshes)

    @property
    def requests(self) -> Counter[tuple[str, int]]:
        """How many requests per path and status."""
        with self._lock:
            return self._requests.copy()

    def arrive(self) -> None:
        """A refresh call has arrived."""
        with self._lock:
            self._arrived += 1

    def refreshed(self, record: RefreshRecord) -> None:
        """A refresh call has been decided."""
        with self._lock:
            self._refreshes.append(record)

    def answered(self, path: str, status: int) -> None:
        """A request has been answered, or its connection ended (status 0)."""
        with self._lock:
            self._requests[path, status] += 1
