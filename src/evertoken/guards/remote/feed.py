"""Following the revocation feed: one poll after the other, from where the last one ended."""

import asyncio
import logging
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Final
from urllib.parse import quote_plus

from evertoken.guards.remote.answers import Gets, Unreachable
from evertoken.guards.remote.documents import page_in
from evertoken.guards.remote.plan import FeedFailure, FeedTimes, Page
from evertoken.guards.remote.status import GuardEvent, GuardEventKind
from evertoken.guards.revoked import RevokedSessions
from evertoken.secret import Secret

ANSWER_MARGIN_SECONDS: Final = 5.0
"""How much longer than the wait itself an answer may take."""

PURGE_EVERY_SECONDS: Final = 60.0

_log = logging.getLogger("evertoken.guards")


class FeedFollower:
    """
    Keeps `revoked` in step with the issuer.

    Args:
        url: The feed.
        wait_seconds: How long the server may hold a poll.
        revoked: Told each ended session; its times are those of `monotonic`.
        monotonic: Returns seconds, never set back. Not the wall clock: one that jumps ahead and back again would make
            the guard forget sessions whose tokens still live.
        what_then: What the guard does while the feed is lost, for the log.
        tell: Told what happens.
    """

    def __init__(
        self,
        url: str,
        credential: tuple[str, Secret],
        *,
        wait_seconds: int,
        revoked: RevokedSessions,
        monotonic: Callable[[], float],
        what_then: str,
        tell: Callable[[GuardEvent], None],
    ) -> None:
        self._url = url
        self._client_id, self._secret = credential
        self._wait_seconds = wait_seconds
        self._revoked = revoked
        self._monotonic = monotonic
        self._what_then = what_then
        self._tell = tell
        self._purged_at = monotonic()
        self.times = FeedTimes()
        self.polls = 0
        self.failures = 0
        self.outages = 0
        self.problem: FeedFailure | None = None
        """Why the last poll failed; None when it did not."""
        self.stepped: Callable[[], None] = lambda: None
        """Called after every poll."""

    def begin_anew(self) -> None:
        """Not followed for a while: what was heard before says nothing about now. The cursor stays."""
        self.times = replace(self.times, current_at=None)

    async def follow(self, fetcher: Gets) -> None:
        """Poll until cancelled."""
        while True:
            asked_at, polled_seconds = self._monotonic(), self.times.poll_seconds(self._wait_seconds)
            answer = await self._poll(fetcher, polled_seconds)
            chance = random.random()  # noqa: S311 - spreads load
            if isinstance(answer, Page):
                self._learn(answer)
                now = self._monotonic()
                self.times = self.times.after_page(
                    answer, polled_seconds=polled_seconds, took=now - asked_at, now=now, chance=chance
                )
                self._heard()
            else:
                self.times = self.times.after_failure(answer, chance=chance)
                self._failed(answer)
            self.stepped()
            if self.times.wait:
                await asyncio.sleep(self.times.wait)

    async def _poll(self, fetcher: Gets, seconds: int) -> Page | FeedFailure:
        self.polls += 1
        parameters = {"wait": str(seconds)}
        if self.times.cursor is not None:
            parameters["after"] = self.times.cursor
        try:
            got = await fetcher.get(
                self._url,
                within_seconds=seconds + ANSWER_MARGIN_SECONDS,
                parameters=parameters,
                credential=(quote_plus(self._client_id), quote_plus(self._secret.reveal())),
            )
        except Unreachable as error:
            return FeedFailure(str(error), is_gone=error.is_gone)
        return page_in(got.status, got.headers, got.body)

    def _learn(self, page: Page) -> None:
        """Before the cursor is taken: a process forked in between asks for these again."""
        now_ms = round(self._monotonic() * 1000)
        self._revoked.kept_for_ms = max(self._revoked.kept_for_ms, page.kept_seconds * 1000)
        for session_id in page.session_ids:
            self._revoked.add(session_id, revoked_at_ms=now_ms)
        if self._monotonic() - self._purged_at >= PURGE_EVERY_SECONDS:
            self._purged_at = self._monotonic()
            self._revoked.purge(now_ms=now_ms)

    def _heard(self) -> None:
        if self.problem is not None:
            self.problem = None
            _log.info("the revocation feed is followed again")
            self._tell(GuardEvent(GuardEventKind.FEED_RESTORED))

    def _failed(self, failure: FeedFailure) -> None:
        self.failures += 1
        was_failing, self.problem = self.problem is not None, failure
        if not was_failing:  # once per outage
            self.outages += 1
            _log.warning("the revocation feed is lost (%s): %s", failure.detail, self._what_then)
            self._tell(GuardEvent(GuardEventKind.FEED_LOST, failure.detail))
