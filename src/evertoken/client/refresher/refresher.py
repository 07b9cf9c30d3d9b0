"""
The refresher: what to do before a request, after a refusal, and when a refresh has ended. Pure.

It is told the time and what happened, and says what to do next. It never waits, sends or locks; `client.gate` does,
and holds its own lock around every call here. The cases in conformance/refresher drive it step by step, and the
JavaScript client by the same cases.
"""

import enum
from dataclasses import dataclass
from typing import Final

from evertoken.client.refresher.holding import Holding, Moment, taken
from evertoken.client.refresher.outcomes import Ended, Failed, Outcome, Renewed

FIRST_REST_SECONDS: Final = 1.0
LONGEST_REST_SECONDS: Final = 30.0
"""How long a server that does not answer is left alone: doubled after each failure, up to this."""
LONGEST_RETRY_AFTER_SECONDS: Final = 3600.0
"""A Retry-After beyond this is taken for a mistake."""
DOUBLINGS: Final = 5
"""More make no rest longer, and after a night without a server two to the power of its failures is no float."""
UNHELPFUL_SECONDS: Final = 30.0
"""How long a refusal of a token that has only just been renewed causes no other refresh."""
NOT_SIGNED_IN: Final = "not_signed_in"


class Step(enum.Enum):
    """What to do next."""

    SEND = "send"
    """Send the request with the access token of the decision."""
    SEND_AND_RENEW = "send_and_renew"
    """Send it so, and start a refresh beside it; nobody waits for that."""
    WAIT = "wait"
    """Wait for the refresh that runs, and ask again when it has ended."""
    START_AND_WAIT = "start_and_wait"
    """Start a refresh, wait for it, and ask again when it has ended."""
    END_AND_WAIT = "end_and_wait"
    """End the session here and in the store, for the reason, without a refresh; wait for it, and ask again."""
    PASS = "pass"  # noqa: S105 - not a password
    """Give the refusal to the application: it is its own."""
    SIGNED_OUT = "signed_out"
    """Raise SignedOut with the reason."""
    UNAVAILABLE = "unavailable"
    """Raise RefreshUnavailable; the tokens are kept."""


@dataclass(frozen=True, slots=True)
class Decision:
    """A step, and what belongs to it."""

    step: Step
    holding: Holding | None = None
    reason: str = ""
    retry_after_seconds: float = 0.0


_WAIT: Final = Decision(Step.WAIT)
_START_AND_WAIT: Final = Decision(Step.START_AND_WAIT)
_PASS: Final = Decision(Step.PASS)


class Refresher:
    """
    The state of one session in one process.

    `holding` is the access token in hand, if any; `ended` why nobody is signed in, if that is known; `is_flying`
    whether a refresh is under way.
    """

    def __init__(self) -> None:
        self.holding: Holding | None = None
        self.ended: str | None = None
        self.is_flying = False
        self._generation = 0
        self._failures = 0
        self._resting_until: float | None = None
        self._refused = 0
        self._is_fetched = False
        self._unhelpful: tuple[int, float] = (0, 0.0)

    def before_sending(self, now: Moment, *, is_repeatable: bool = True) -> Decision:
        """
        A request is about to be sent.

        Whoever is signed out looks into the store first: somebody may have signed in there, in another process.

        Args:
            now: The time.
            is_repeatable: Whether it could be sent once more: its body can be repeated, and it has not been sent
                before. If not, a token that ends soon is renewed first.
        """
        holding = self.holding
        if holding is None or (holding.expires is not None and holding.expires.has_come(now)):
            return self._refresh_first(now)
        if self.is_flying and self._refused == holding.generation:
            return _WAIT  # what is being renewed because it was refused would only be refused again
        ends_soon = holding.renew if is_repeatable else holding.renew_for_good
        if ends_soon is None or not ends_soon.has_come(now) or self._rest(now) > 0:
            return Decision(Step.SEND, holding)
        if self.is_flying:
            return Decision(Step.SEND, holding) if is_repeatable else _WAIT
        return Decision(Step.SEND_AND_RENEW, holding) if is_repeatable else _START_AND_WAIT

    def after_refusal(self, now: Moment, *, generation: int, was_sent_again: bool, over: str | None = None) -> Decision:
        """
        A request was refused because of its access token.

        Args:
            now: The time.
            generation: The generation that it was sent with.
            was_sent_again: Whether that was its second time; there is no third.
            over: Why the session is over, where the answer says that it is; None where it only wants a newer token.
        """
        holding = self.holding
        if holding is None and self.ended is not None:
            return Decision(Step.SIGNED_OUT, reason=self.ended)
        is_current = holding is not None and holding.generation == generation
        if over is not None and is_current:
            self._refused = generation
            return _WAIT if self.is_flying else Decision(Step.END_AND_WAIT, reason=over)
        if was_sent_again:
            if is_current and self._is_fetched:
                # Renewing it did not help, so it is not the token's age: an audience, a role, a broken guard. One that
                # was found in the store has not been renewed by this process; its next refusal renews it.
                self._unhelpful = (generation, now.monotonic + UNHELPFUL_SECONDS)
            return _PASS
        if not is_current:
            return self.before_sending(now, is_repeatable=False)
        if self._unhelpful[0] == generation and now.monotonic < self._unhelpful[1]:
            return _PASS
        self._refused = generation
        return self._refresh_first(now)

    def after_waiting(
        self, now: Moment, outcome: Outcome, *, generation: int | None = None, is_repeatable: bool = True
    ) -> Decision:
        """
        The refresh that a request has waited for has ended.

        Args:
            now: The time.
            outcome: How it ended.
            generation: The generation that was refused, if the request had been sent before.
            is_repeatable: Whether its body could be sent twice.
        """
        holding = self.holding
        if holding is None and self.ended is not None:
            return Decision(Step.SIGNED_OUT, reason=self.ended)
        match outcome:
            case Ended():
                # Somebody has signed in again meanwhile, perhaps somebody else: not with a request of the old session.
                return Decision(Step.SIGNED_OUT, reason=outcome.reason)
            case Renewed(is_fetched=True) if holding is not None:
                # Even where answers take longer than a token lives, one refresh is made for a request, not a row.
                return Decision(Step.SEND, holding)
            case Failed():
                is_good = holding is not None and not (holding.expires is not None and holding.expires.has_come(now))
                if holding is not None and is_good and holding.generation != generation:
                    return Decision(Step.SEND, holding)
                return Decision(Step.UNAVAILABLE, retry_after_seconds=self._rest(now))
            case _:
                return self.before_sending(now, is_repeatable=is_repeatable and generation is None)

    def on_demand(self, now: Moment) -> Decision:
        """The application wants a new access token now, whatever becomes of the old one."""
        return self._refresh_first(now)

    def flight_started(self) -> None:
        """A refresh is under way; `flight_ended` follows, however it goes."""
        self.is_flying = True

    def flight_ended(self, now: Moment, outcome: Outcome, *, jitter: float) -> None:
        """
        A refresh has ended, or a sign-in or sign-out took its place.

        Args:
            now: The time.
            outcome: What came of it.
            jitter: Drawn from 0 to 1.
        """
        self.is_flying = False
        match outcome:
            case Renewed():
                self._generation += 1
                self._is_fetched = outcome.is_fetched
                self.holding = taken(
                    generation=self._generation,
                    access_token=outcome.access_token,
                    expires_at=outcome.expires_at,
                    lifetime_seconds=outcome.lifetime_seconds,
                    is_renewable=outcome.is_renewable,
                    now=now,
                    jitter=jitter,
                )
                self.ended = None
                self._failures = 0
                self._resting_until = None
            case Ended():
                # What the store says of an end that is known already is no better reason.
                if self.ended is None or outcome.is_news or self.holding is not None:
                    self.ended = outcome.reason
                self.holding = None
                self._failures = 0
                self._resting_until = None
            case Failed():
                self._failures += 1
                self._resting_until = now.monotonic + self._next_rest(outcome.retry_after_seconds, jitter)

    def _refresh_first(self, now: Moment) -> Decision:
        if self.is_flying:
            return _WAIT
        rest = self._rest(now)
        if rest <= 0:
            return _START_AND_WAIT
        if self.ended is not None:
            return Decision(Step.SIGNED_OUT, reason=self.ended)
        return Decision(Step.UNAVAILABLE, retry_after_seconds=rest)

    def _rest(self, now: Moment) -> float:
        return 0.0 if self._resting_until is None else max(0.0, self._resting_until - now.monotonic)

    def _next_rest(self, retry_after_seconds: float | None, jitter: float) -> float:
        if retry_after_seconds is not None:
            return min(retry_after_seconds, LONGEST_RETRY_AFTER_SECONDS)
        longest: float = min(LONGEST_REST_SECONDS, FIRST_REST_SECONDS * 2 ** min(self._failures - 1, DOUBLINGS))
        return longest * (0.5 + 0.5 * jitter)
