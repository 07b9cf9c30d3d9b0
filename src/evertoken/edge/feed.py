"""
The revocations that this process knows, as guards elsewhere read them, and who waits for the next.

Entries come from the store only, by `Background`, so that every worker tells the same in the same order. A cursor is a
number of the store's; an entry may carry a later number than its own (that of the last of its batch), so it may be told
twice when a guard goes from one worker to another, and never not at all.
"""

import asyncio
from array import array
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from evertoken.clock import Clock, monotonic_seconds
from evertoken.errors import Overloaded, StoreUnavailable
from evertoken.wire.answers import encode
from evertoken.wire.revocations import RevocationsAnswer, RevokedSession, render_cursor

PAGE: Final = 5_000
"""Entries of one answer, 300 KB; what the store gave in one batch stays together, so it may be 15,000."""

MAX_WAITING: Final = 20_000
"""Long polls at once. Whoever comes then is sent away with Retry-After."""

CURRENT_FOR_SECONDS: Final = 10.0
"""How long after it was last read the store counts as followed."""

WAKE_PAUSE_SECONDS: Final = 0.01
WAKE_PAUSE_PER_WAITER_SECONDS: Final = 0.00005
LONGEST_WAKE_PAUSE_SECONDS: Final = 0.5
"""
Between two wake-ups: ten thousand guards that are told of every sign-out by itself would take all of a core. The first
after a pause is told at once.
"""

_WOKEN_AT_ONCE: Final = 200
"""Guards woken in one turn of the event loop; other requests get their turn in between."""

_CACHED_PAGES: Final = 16


class RevocationFeed:
    """
    Sessions revoked within the last access lifetime, in the order of the store. For one event loop.

    About 130 bytes each, most of it the id, which the guard in this process shares.

    Args:
        kept_ms: How long after a revocation an access token of that session may still live.
        clock: Returns the time in milliseconds.
        monotonic: Returns seconds, never set back.
    """

    def __init__(self, *, kept_ms: int, clock: Clock, monotonic: Callable[[], float] = monotonic_seconds) -> None:
        self._kept_ms = kept_ms
        self._clock = clock
        self._monotonic = monotonic
        self._ids: list[str] = []
        self._at_ms = array("q")
        self._cursors = array("q")
        self._last = self._told = 0
        self._pages: dict[int | None, bytes] = {}
        self._waiting: dict[asyncio.Future[None], None] = {}
        self._to_wake: deque[asyncio.Future[None]] = deque()
        self._wake_timer: asyncio.TimerHandle | None = None
        self._woke_at = float("-inf")
        self._crowd = 0
        self._followed_at = float("-inf")
        self.encoded = 0
        """Answers that were encoded; the others were sent as they lay there."""

    def __len__(self) -> int:
        return len(self._ids)

    @property
    def waiting(self) -> int:
        """Long polls under way."""
        return len(self._waiting) + len(self._to_wake)

    # ---- what the follower of the store tells ----

    def learn(self, sessions: Sequence[tuple[str, int]], cursor: int) -> None:
        """
        Take a batch as the store gave it.

        Args:
            sessions: Session ids with the time of their end in milliseconds.
            cursor: Where the batch ends.
        """
        if not sessions:
            return
        self._forget()
        for session_id, at_ms in sessions:
            self._ids.append(session_id)
            self._at_ms.append(at_ms)
            self._cursors.append(cursor)
        self._last = max(self._last, cursor)
        self._pages.clear()
        self._schedule_wake()

    def followed(self) -> None:
        """The store has been read to its end."""
        self._followed_at = self._monotonic()

    # ---- what a route asks ----

    def page(self, after: int | None) -> bytes:
        """
        The JSON of `RevocationsAnswer` for what came after a cursor; everything that is kept where there is none.

        Raises:
            StoreUnavailable: The store has not been read for `CURRENT_FOR_SECONDS`: what is known here may be old.
        """
        if self._monotonic() - self._followed_at > CURRENT_FOR_SECONDS:
            raise StoreUnavailable("the store has not been followed for a while")
        cached = self._pages.get(after)
        if cached is None:
            if len(self._pages) >= _CACHED_PAGES:
                del self._pages[next(iter(self._pages))]
            cached = self._pages[after] = self._encoded_page(after)
        return cached

    def has_news(self, after: int | None) -> bool:
        """Whether `page` has something to say that does not have to wait for the next wake-up."""
        return after is None or after < self._told or self._is_foreign(after)

    async def wait(self, seconds: float, *, hand_over: Callable[[Callable[[], None]], None] = lambda _: None) -> None:
        """
        Return once there is news or the time is up.

        Args:
            hand_over: Given the way to end this wait at once.

        Raises:
            Overloaded: Too many wait already.
        """
        if self.waiting >= MAX_WAITING:
            raise Overloaded("too many guards wait for revocations", retry_after_seconds=5)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting[future] = None
        timer = loop.call_later(seconds, _set, future)
        hand_over(lambda: _set(future))
        try:
            await future
        finally:
            timer.cancel()
            self._waiting.pop(future, None)

    # ---- how ----

    def _is_foreign(self, after: int) -> bool:
        """
        Whether this cursor cannot be one of this store: it lies ahead of the clock, which the numbers follow.

        A store that was replaced by a backup while the clock was set back goes on below it, so waiting for something
        beyond it could miss what is revoked meanwhile.
        """
        return after > max(self._last, self._clock() * 1000 + 999)

    def _encoded_page(self, after: int | None) -> bytes:
        self.encoded += 1
        is_whole = after is None or self._is_foreign(after)
        begin = 0 if after is None or is_whole else bisect_right(self._cursors, after)
        end = min(begin + PAGE, len(self._ids))
        if end < len(self._ids):  # not in the middle of a batch: its entries have one cursor
            end = bisect_right(self._cursors, self._cursors[end - 1])
        is_complete = end == len(self._ids)
        where_it_was = self._last if after is None or is_whole else after
        return encode(
            RevocationsAnswer(
                revoked=[
                    RevokedSession(session_id=session_id, at=at_ms // 1000)
                    for session_id, at_ms in zip(self._ids[begin:end], self._at_ms[begin:end], strict=True)
                ],
                cursor=render_cursor(self._cursors[end - 1] if begin < end else where_it_was),
                complete=is_complete,
                snapshot=is_whole or (begin == 0 and end > 0),
                kept_seconds=-(-self._kept_ms // 1000),
            )
        )

    def _forget(self) -> None:
        """Drop what no living token can belong to, once that is worth the move."""
        before_ms = self._clock() - self._kept_ms
        gone = 0
        while gone < len(self._ids) and self._at_ms[gone] < before_ms:
            gone += 1
        if gone == len(self._ids) or gone >= max(1024, len(self._ids) // 2):
            del self._ids[:gone], self._at_ms[:gone], self._cursors[:gone]

    def _schedule_wake(self) -> None:
        if self._wake_timer is not None:
            return
        # Those who were told last are about to wait again: during a burst nobody seems to wait.
        crowd = max(len(self._waiting), self._crowd)
        pause = min(WAKE_PAUSE_SECONDS + WAKE_PAUSE_PER_WAITER_SECONDS * crowd, LONGEST_WAKE_PAUSE_SECONDS)
        left = self._woke_at + pause - self._monotonic()
        if left <= 0:
            self._wake()
        else:
            self._wake_timer = asyncio.get_running_loop().call_later(left, self._wake)

    def _wake(self) -> None:
        if self._wake_timer is not None:
            self._wake_timer.cancel()
            self._wake_timer = None
        self._woke_at = self._monotonic()
        self._told = self._last
        self._crowd = len(self._waiting)
        was_waking = bool(self._to_wake)
        self._to_wake.extend(self._waiting)
        self._waiting.clear()
        if not was_waking:
            self._wake_some()

    def _wake_some(self) -> None:
        for _ in range(min(_WOKEN_AT_ONCE, len(self._to_wake))):
            _set(self._to_wake.popleft())
        if self._to_wake:
            asyncio.get_running_loop().call_soon(self._wake_some)


def _set(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
