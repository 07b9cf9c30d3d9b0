"""Counting for the operator's overview, step by step, so that no refresh waits for it."""

import asyncio
import heapq
from collections.abc import Mapping
from typing import Final

from evertoken.clock import monotonic_seconds
from evertoken.edge.services import Services
from evertoken.edge.settings import milliseconds
from evertoken.sessions.model import EventKind
from evertoken.sessions.operating import UserTally
from evertoken.sessions.rotation import Reason
from evertoken.wire.operator_answers import (
    AccessTokenCounts,
    HourAnswer,
    Overview,
    SessionCounts,
    UserCounts,
    UserWithSessions,
)

HOURS: Final = 24
TOP_USERS: Final = 10

COUNTS_A_TENTH_OF_THE_TIME: Final = 10
QUICK_SECONDS: Final = 0.25
"""An overview that took longer is given to others too, for ten times as long as it took."""

_HOUR_MS: Final = 3_600_000
_USERS_PER_STEP: Final = 1_000


class Overviews:
    """Makes overviews; one at a time, whoever else asks meanwhile is given the same."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._making: asyncio.Task[Overview] | None = None
        self._last: Overview | None = None
        self._good_until = 0.0
        self._changes = 0

    async def overview(self) -> Overview:
        """
        The present one, or a recent one where counting takes long.

        Raises:
            StoreUnavailable: the store could not be read.
        """
        if self._last is not None and monotonic_seconds() < self._good_until:
            return self._last
        if self._making is None or self._making.done():
            self._making = asyncio.create_task(self._make())
        return await asyncio.shield(self._making)  # a caller who leaves takes it from nobody else

    def forget(self) -> None:
        """An operator has changed something, and wants to see it."""
        self._last = self._making = None
        self._changes += 1

    async def _make(self) -> Overview:
        began, changes = monotonic_seconds(), self._changes
        made = await self._counted()
        took = monotonic_seconds() - began
        if took > QUICK_SECONDS and changes == self._changes:
            self._last = made
            self._good_until = began + took * (1 + COUNTS_A_TENTH_OF_THE_TIME)
        return made

    async def _counted(self) -> Overview:
        services = self._services
        now_ms = services.clock()
        lifetime_ms = milliseconds(services.settings.access_lifetime)
        count = _Counting()
        last: str | None = None
        while page := await services.store.tally_users(
            fresh_after_ms=now_ms - lifetime_ms, after=last, limit=_USERS_PER_STEP
        ):
            count.add(page)
            last = page[-1].user_id
        lately = await services.store.happened(from_ms=now_ms - lifetime_ms + 1, until_ms=now_ms + _HOUR_MS)
        ended = await services.store.ended_sessions()
        expired = {Reason.EXPIRED_IDLE: count.expired_idle, Reason.EXPIRED_MAX_AGE: count.expired_max_age}
        return Overview(
            at=now_ms // 1000,
            users=await self._users(),
            sessions=SessionCounts(live=count.live, ended=_named(ended | {r: n for r, n in expired.items() if n})),
            access_tokens=AccessTokenCounts(
                sessions=count.fresh,
                users=count.users_with_fresh,
                lifetime_seconds=lifetime_ms / 1000 if lifetime_ms % 1000 else lifetime_ms // 1000,
                revoked=sum(lately.ended.values()),
            ),
            top_users=[
                UserWithSessions(
                    user_id=tally.user_id, username=tally.username, live_sessions=tally.live, access_tokens=tally.fresh
                )
                for tally in count.top()
            ],
            hours=await self._hours(now_ms),
            refreshes_since_start=services.metrics.refreshes(),
        )

    async def _users(self) -> UserCounts | None:
        if self._services.settings.user_directory:
            return None
        total, disabled = await self._services.store.count_users()
        return UserCounts(total=total, disabled=disabled)

    async def _hours(self, now_ms: int) -> list[HourAnswer]:
        this_hour_ms = now_ms - now_ms % _HOUR_MS
        return [await self._hour(this_hour_ms - back * _HOUR_MS) for back in reversed(range(HOURS))]

    async def _hour(self, from_ms: int) -> HourAnswer:
        happened = await self._services.store.happened(from_ms=from_ms, until_ms=from_ms + _HOUR_MS)

        def count(kind: EventKind) -> int:
            return happened.events.get(kind.value, 0)

        return HourAnswer(
            since=from_ms // 1000,
            sign_ins=count(EventKind.SIGN_IN),
            sign_ins_failed=count(EventKind.SIGN_IN_FAILED),
            rate_limited=count(EventKind.RATE_LIMITED),
            early=count(EventKind.EARLY),
            stale=count(EventKind.STALE),
            heal=count(EventKind.HEAL),
            replay=count(EventKind.REPLAY),
            ended=_named(happened.ended),
        )


class _Counting:
    """Sums over all users, and those who have the most; what it keeps does not grow with the users."""

    def __init__(self) -> None:
        self.live = self.expired_idle = self.expired_max_age = self.fresh = self.users_with_fresh = 0
        self._top: list[tuple[int, int, str, UserTally]] = []

    def add(self, page: list[UserTally]) -> None:
        for tally in page:
            self.live += tally.live
            self.expired_idle += tally.expired_idle
            self.expired_max_age += tally.expired_max_age
            self.fresh += tally.fresh
            self.users_with_fresh += tally.fresh > 0
        entries = [(tally.live, tally.fresh, tally.user_id, tally) for tally in page if tally.live]
        self._top = heapq.nlargest(TOP_USERS, [*self._top, *entries])

    def top(self) -> list[UserTally]:
        return [entry[-1] for entry in self._top]


def _named(counts: Mapping[Reason, int]) -> dict[str, int]:
    return {reason.value: count for reason, count in counts.items()}
