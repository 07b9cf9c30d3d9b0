"""
The gate that every request of a session goes through: one for all threads, tasks, event loops and HTTP libraries.

Its lock is held for microseconds, around decisions only, never while anything is sent, read or waited for.
"""

import logging
import os
import random
import threading
import weakref
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from math import ceil
from typing import cast

from evertoken.client.flight import Flight
from evertoken.client.refresher.holding import Holding, Moment
from evertoken.client.refresher.outcomes import Ended, Failed, Outcome, Renewed
from evertoken.client.refresher.plan import SIGNED_IN_ANEW, Own, is_another, renewed
from evertoken.client.refresher.record import Record
from evertoken.client.refresher.refresher import Decision, Refresher, Step
from evertoken.client.refreshing import Surroundings, end, refresh, replace_stored
from evertoken.errors import RefreshUnavailable, SignedOut

log = logging.getLogger("evertoken.client")

SLACK_SECONDS = 5.0
"""How much longer than a refresh may take a request waits for it: a name server may be slow, and cannot be hurried."""

Question = Callable[[Moment], Decision]


class Gate:
    """
    Hands out access tokens, and sees to it that one refresh runs when one is needed.

    Args:
        around: What a refresh needs of the world.
        on_end: Called with the reason when a session has ended, once for each, outside all locks.
    """

    def __init__(self, around: Surroundings, *, on_end: Callable[[str], None]) -> None:
        self.around = around
        self.refresher = Refresher()
        self._clock = around.clock
        self._on_end = on_end
        self._own = Own()
        self._last_failed = _TOO_LONG
        self._first_of_user = 0
        self._flight: Flight[Outcome] | None = None
        self._mutex = threading.Lock()
        self._replacing = threading.Lock()
        _gates.add(self)

    @property
    def own(self) -> Own:
        """Which session this process believes in."""
        return self._own

    def enter(self, *, is_repeatable: bool = True) -> Holding:
        """
        The access token to send a request with; waits for a refresh if there must be one first.

        Args:
            is_repeatable: Whether the request's body could be sent a second time.

        Raises:
            SignedOut: Nobody is signed in.
            RefreshUnavailable: There is none now; the tokens are kept.
            TokenStoreRefused: The token store has to be mended by a person.
        """
        holding = (self._at_once() if is_repeatable else None) or self._follow(self._entry(is_repeatable=is_repeatable))
        assert holding is not None
        return holding

    async def enter_async(self, *, is_repeatable: bool = True) -> Holding:
        """`enter`, for a task."""
        holding = self._at_once() if is_repeatable else None
        if holding is None:
            holding = await self._follow_async(self._entry(is_repeatable=is_repeatable))
        assert holding is not None
        return holding

    def refused(self, holding: Holding, *, was_sent_again: bool = False, over: str | None = None) -> Holding | None:
        """
        A request that was sent with `holding` was refused because of it.

        Args:
            holding: What it was sent with.
            was_sent_again: Whether that was its second time.
            over: Why the session is over, where the answer said so.

        Returns:
            What to send it again with; None: the refusal is the application's.

        Raises:
            As `enter`.
        """
        return self._follow(self._refusal(holding, was_sent_again, over))

    async def refused_async(
        self, holding: Holding, *, was_sent_again: bool = False, over: str | None = None
    ) -> Holding | None:
        """`refused`, for a task."""
        return await self._follow_async(self._refusal(holding, was_sent_again, over))

    def keep(self, new: Record) -> Record | None:
        """
        Put a new sign-in of this process in the place of whatever stands in the store; gives what stood there.

        No refresh lands in between: it would take the new session for somebody else's.

        Raises:
            TokenStoreRefused, TokenStoreUnavailable: Nothing was written.
        """
        with self._replacing:
            old = replace_stored(self.around, new)
            self.took_over(renewed(new, is_fetched=True))
        return old

    def renew(self) -> None:
        """
        A new access token, now.

        Raises:
            As `enter`.
        """
        self._follow(self._wish())

    async def renew_async(self) -> None:
        """`renew`, for a task."""
        await self._follow_async(self._wish())

    def took_over(self, outcome: Renewed | Ended) -> None:
        """A sign-in or sign-out of this process is in the store: whatever flies is overtaken by it."""
        with self._mutex:
            was_signed_in = self._own.is_signed_in
            self._flight = None
            self._apply(outcome)
        if isinstance(outcome, Ended) and was_signed_in:
            self._on_end(outcome.reason)

    def forget_parent(self) -> None:
        """This is a forked child: the flight, and whoever held the lock, stayed behind."""
        self._mutex = threading.Lock()
        self._replacing = threading.Lock()
        self._flight = None
        self.refresher.is_flying = False

    def _entry(self, *, is_repeatable: bool) -> "_Asked":
        return _Asked(
            lambda now: self.refresher.before_sending(now, is_repeatable=is_repeatable), is_repeatable=is_repeatable
        )

    def _refusal(self, holding: Holding, was_sent_again: bool, over: str | None) -> "_Asked":
        return _Asked(
            lambda now: self.refresher.after_refusal(
                now, generation=holding.generation, was_sent_again=was_sent_again, over=over
            ),
            refused=holding.generation,
        )

    def _wish(self) -> "_Asked":
        holding = self.refresher.holding
        return _Asked(self.refresher.on_demand, refused=holding.generation if holding else 0, wants_new=True)

    def _at_once(self) -> Holding | None:
        """The access token, if a request that can be repeated may be sent without any waiting. Takes no lock."""
        refresher = self.refresher
        holding = refresher.holding
        if holding is None or refresher.is_flying:
            return None
        until = holding.renew or holding.expires  # what cannot be renewed is good to its end, and no longer
        if until is None:
            return holding
        wall, monotonic = self._clock()
        return holding if wall < until.wall and monotonic < until.monotonic else None

    def _follow(self, asked: "_Asked") -> Holding | None:
        steps = self._steps(asked)
        try:
            flight, timeout_seconds = next(steps)
            while True:
                try:
                    outcome = flight.wait(timeout_seconds)
                except TimeoutError:
                    outcome = _TOO_LONG
                flight, timeout_seconds = steps.send(outcome)
        except StopIteration as done:
            return cast("Holding | None", done.value)

    async def _follow_async(self, asked: "_Asked") -> Holding | None:
        steps = self._steps(asked)
        try:
            flight, timeout_seconds = next(steps)
            while True:
                try:
                    outcome = await flight.wait_async(timeout_seconds)
                except TimeoutError:
                    outcome = _TOO_LONG
                flight, timeout_seconds = steps.send(outcome)
        except StopIteration as done:
            return cast("Holding | None", done.value)

    def _steps(self, asked: "_Asked") -> Generator[tuple[Flight[Outcome], float], Outcome, Holding | None]:
        """What to wait for, one after the other and for how long, until there is something to go on with."""
        before, first_of_user = self._own, self._first_of_user
        decision, flight = self._decide(asked.question, wants_new=asked.wants_new)
        outcome: Outcome | None = None
        give_up_at: float | None = None
        while flight is not None:
            now = self.around.now().monotonic
            give_up_at = give_up_at or now + self.around.timeout_seconds + SLACK_SECONDS
            outcome = yield flight, max(0.0, give_up_at - now)
            decision, flight = self._decide(self._next(asked, outcome))
        if decision.holding is not None and self._asks_for_another(asked, before, first_of_user):
            raise SignedOut(SIGNED_IN_ANEW)
        return self._conclude(decision, outcome)

    def _asks_for_another(self, asked: "_Asked", before: Own, first_of_user: int) -> bool:
        """Whether somebody else has signed in here since the request was made: it is not sent as his."""
        if asked.wants_new:
            return False  # no request hangs on it
        if asked.refused:
            return asked.refused < self._first_of_user
        return before.is_signed_in and first_of_user != self._first_of_user

    def _next(self, asked: "_Asked", outcome: Outcome) -> Question:
        return lambda now: self.refresher.after_waiting(
            now, outcome, generation=asked.refused, is_repeatable=asked.is_repeatable
        )

    def _decide(self, question: Question, *, wants_new: bool = False) -> tuple[Decision, Flight[Outcome] | None]:
        """Ask the refresher, start what it wants started, and say what to wait for."""
        with self._mutex:
            decision = question(self.around.now())
            match decision.step:
                case Step.START_AND_WAIT | Step.SEND_AND_RENEW | Step.END_AND_WAIT:
                    flight = self._start(decision.reason, wants_new=wants_new)
                    return decision, None if decision.step is Step.SEND_AND_RENEW else flight
                case Step.WAIT:
                    return decision, self._flight
                case _:
                    return decision, None

    def _start(self, over: str, *, wants_new: bool) -> Flight[Outcome]:
        own = replace(self._own, wants_new=wants_new)
        flight: Flight[Outcome] = Flight()
        self._flight = flight
        self.refresher.flight_started()
        flight.start(lambda: self._fly(flight, own, over), name="evertoken-refresh", afterwards=self._tell)
        return flight

    def _fly(self, flight: Flight[Outcome], own: Own, over: str) -> Outcome:
        outcome: Outcome = Failed("the refresh broke off by a fault of the client: see its log")
        try:
            outcome = end(self.around, own, over) if over else refresh(self.around, own)
        except Exception:
            # Whoever waits must be told, whatever happened; a fault of ours signs nobody out.
            log.exception("%s: a fault in the refresh", self.around.server)
        with self._replacing, self._mutex:
            if self._flight is flight:
                self._flight = None
                self._apply(outcome)
                if isinstance(outcome, Ended) and own.is_signed_in:
                    outcome = replace(outcome, is_news=True)
            elif isinstance(outcome, Ended):
                outcome = Failed("a sign-in or sign-out of this program has overtaken the refresh")
        return outcome

    def _apply(self, outcome: Outcome) -> None:
        self.refresher.flight_ended(self.around.now(), outcome, jitter=random.random())  # noqa: S311 - no secret
        match outcome:
            case Failed():
                self._last_failed = outcome
            case Renewed():
                if self._own.is_known and is_another(outcome, self._own) and self.refresher.holding is not None:
                    self._first_of_user = self.refresher.holding.generation
                self._own = Own(outcome.session_id, outcome.account, outcome.access_token, is_signed_in=True)
            case Ended():
                # The token is remembered, so that it is not taken up again from a store that still holds it.
                self._own = replace(self._own, is_signed_in=False)

    def _tell(self, outcome: Outcome) -> None:
        match outcome:
            case Renewed():
                log.debug(
                    "%s: a new access token, %s", self.around.server, "fetched" if outcome.is_fetched else "found"
                )
            case Failed():
                log.warning("%s: no refresh: %s", self.around.server, outcome.why)
            case Ended() if outcome.is_news:
                log.info("%s: signed out: %s", self.around.server, outcome.reason)
                self._on_end(outcome.reason)

    def _conclude(self, decision: Decision, outcome: Outcome | None) -> Holding | None:
        match decision.step:
            case Step.SIGNED_OUT:
                raise SignedOut(decision.reason)
            case Step.UNAVAILABLE:
                failed = outcome if isinstance(outcome, Failed) else self._last_failed
                if failed.error is not None:
                    raise failed.error
                raise RefreshUnavailable(
                    f"no valid access token now, and no new one: {failed.why}; the session is kept",
                    retry_after_seconds=max(1, ceil(decision.retry_after_seconds)),
                )
            case _:
                return decision.holding


@dataclass(frozen=True, slots=True)
class _Asked:
    """
    What somebody wants of the gate.

    Args:
        question: Put to the refresher first.
        refused: The generation that was refused, or will not do; None where nothing was sent yet.
        is_repeatable: Whether the request's body could be sent twice.
        wants_new: Whether nothing but a new token will do.
    """

    question: Question
    refused: int | None = None
    is_repeatable: bool = True
    wants_new: bool = False


_TOO_LONG = Failed("the refresh has not ended in time")
_gates: "weakref.WeakSet[Gate]" = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for gate in tuple(_gates):
        gate.forget_parent()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
