"""What holds for the refresher whatever happens, and in whatever order: random stories against simple promises."""

from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from evertoken.client.refresher.holding import MARGIN_SECONDS, MARGIN_SHARE, Moment
from evertoken.client.refresher.outcomes import Ended, Failed, Outcome, Renewed
from evertoken.client.refresher.refresher import (
    LONGEST_REST_SECONDS,
    LONGEST_RETRY_AFTER_SECONDS,
    Decision,
    Refresher,
    Step,
)

SENDING: Final = (Step.SEND, Step.SEND_AND_RENEW)
ROUNDING_SECONDS: Final = 1e-6
STARTING: Final = (Step.START_AND_WAIT, Step.SEND_AND_RENEW, Step.END_AND_WAIT)

_lifetimes = st.none() | st.sampled_from((1.0, 5.0, 15.0, 100.0, 1800.0)) | st.floats(0.1, 1e6)
_jitters = st.floats(0, 1)
_differences = st.sampled_from((0.0, -2000.0)) | st.floats(-2000, 2000)
_renewals = st.tuples(st.just("renewed"), _lifetimes, _differences, st.booleans(), st.booleans())
_failures = st.tuples(st.just("failed"), st.none() | st.floats(0, 1e9))
_ends = st.tuples(st.just("ended"), st.sampled_from(("replayed", "signed_out", "expired")), st.booleans())
_events = st.one_of(
    st.tuples(st.just("pass"), st.floats(-5000, 5000), st.floats(0, 2000)),
    st.tuples(st.just("pass"), st.floats(0, 3), st.floats(0, 3)),
    st.tuples(st.just("near"), st.floats(0, 3)),
    st.tuples(st.just("request"), st.booleans()),
    st.tuples(st.just("answer"), st.integers(0, 9), st.sampled_from(("refused", "over", "fine"))),
    st.tuples(st.just("wish")),
    st.tuples(st.just("land"), _renewals | _failures | _ends, _jitters, st.booleans()),
    st.tuples(st.just("wake")),
    st.tuples(st.just("overtake"), _renewals | _ends, _jitters),
    st.tuples(st.just("give_up"), st.integers(0, 9)),
)


@dataclass
class _Request:
    is_repeatable: bool
    flight: int = 0
    """The flight that it waits for."""
    generation: int | None = None
    """With which it was sent last; for a wish, the one that will not do."""
    sent: int = 0
    is_wish: bool = False
    told: Outcome | None = None
    """How the flight ended that it has just waited for."""


@dataclass
class _World:
    """A gate without threads: it does what the refresher says, and holds it to its promises."""

    refresher: Refresher = field(default_factory=Refresher)
    wall: float = 1e6
    monotonic: float = 0.0
    flights: int = 0
    flying: int | None = None
    """The number of the flight that counts."""
    newest: int = 0
    expires_at: Moment | None = None
    renew_for_good_at: Moment | None = None
    ended: str | None = None
    outcomes: dict[int, Outcome] = field(default_factory=dict)
    waiting: list[_Request] = field(default_factory=list)
    sent: list[_Request] = field(default_factory=list)
    late: list[int] = field(default_factory=list)
    """Flights that have ended, but nobody has been woken yet."""
    longest_rest: float = 0.0
    rests_until: float = 0.0
    """When the rest is over at the latest."""

    @property
    def now(self) -> Moment:
        return Moment(self.wall, self.monotonic)

    def play(self, event: tuple[Any, ...]) -> None:
        match event:
            case ("pass", wall, monotonic):
                self.wall += wall
                self.monotonic += monotonic
            case ("near", margins) if self.expires_at is not None and self.renew_for_good_at is not None:
                margin = (self.expires_at.monotonic - self.renew_for_good_at.monotonic) / 2
                left = max(0.0, self.expires_at.monotonic - margins * margin - self.monotonic)
                self.wall += left
                self.monotonic += left
            case ("request", is_repeatable):
                request = _Request(is_repeatable)
                self.follow(request, self.refresher.before_sending(self.now, is_repeatable=is_repeatable))
            case ("answer", which, kind) if self.sent:
                self.answer(self.sent.pop(which % len(self.sent)), kind)
            case ("wish",):
                held = self.refresher.holding
                wish = _Request(is_repeatable=True, generation=held.generation if held else 0, is_wish=True)
                self.follow(wish, self.refresher.on_demand(self.now))
            case ("land", what, jitter, is_late) if self.flying is not None:
                number, self.flying = self.flying, None
                self.outcomes[number] = self.apply(what, jitter)
                self.late.append(number)
                if not is_late:
                    self.play(("wake",))
            case ("wake",):
                while self.late:
                    self.wake(self.late.pop(0))
            case ("overtake", what, jitter):
                overtaken, self.flying = self.flying, None
                self.apply(what, jitter)
                if overtaken is not None:
                    # It lands some time with something, and nobody applies that.
                    self.outcomes[overtaken] = Failed("overtaken")
                    self.wake(overtaken)
            case ("give_up", which) if self.waiting:
                request = self.waiting.pop(which % len(self.waiting))
                self.tell(request, Failed("took too long"))

    def apply(self, what: tuple[Any, ...], jitter: float) -> Outcome:
        outcome: Outcome
        match what:
            case ("renewed", lifetime, off, is_renewable, is_fetched):
                self.newest += 1
                self.ended = None
                self.longest_rest = self.rests_until = 0.0
                expires_at = None if lifetime is None else self.wall + lifetime + off
                outcome = Renewed(
                    f"a{self.newest}", expires_at, lifetime, is_renewable=is_renewable, is_fetched=is_fetched
                )
                self.expires_at = self.renew_for_good_at = None
                if lifetime is not None and expires_at is not None:
                    self.expires_at = self.now.later(min(lifetime, expires_at - self.wall))
                    if is_renewable:
                        margin = min(MARGIN_SECONDS, lifetime * MARGIN_SHARE)
                        self.renew_for_good_at = self.expires_at.later(-2 * margin)
            case ("failed", retry_after):
                outcome = Failed("", retry_after)
                self.longest_rest = LONGEST_REST_SECONDS
                if retry_after is not None:
                    self.longest_rest = min(retry_after, LONGEST_RETRY_AFTER_SECONDS)
                self.rests_until = self.monotonic + self.longest_rest
            case (_, reason, is_news):
                outcome = Ended(reason, is_news)
                self.ended = reason if is_news or self.ended is None else self.ended
                self.longest_rest = self.rests_until = 0.0
        self.refresher.flight_ended(self.now, outcome, jitter=jitter)
        return outcome

    def answer(self, request: _Request, kind: str) -> None:
        if kind == "fine":
            return
        assert request.generation is not None
        decision = self.refresher.after_refusal(
            self.now,
            generation=request.generation,
            was_sent_again=request.sent == 2,
            over="revoked" if kind == "over" else None,
        )
        assert request.sent < 2 or decision.step not in SENDING, "sent a third time"
        self.follow(request, decision)

    def wake(self, number: int) -> None:
        woken = [request for request in self.waiting if request.flight == number]
        self.waiting = [request for request in self.waiting if request.flight != number]
        for request in woken:
            self.tell(request, self.outcomes[number])

    def tell(self, request: _Request, outcome: Outcome) -> None:
        request.told = outcome
        decision = self.refresher.after_waiting(
            self.now, outcome, generation=request.generation, is_repeatable=request.is_repeatable
        )
        if isinstance(outcome, Renewed) and outcome.is_fetched and self.ended is None:
            assert decision.step is Step.SEND, "a row of refreshes for one request"
        self.follow(request, decision)
        request.told = None

    def follow(self, request: _Request, decision: Decision) -> None:
        """Do what was decided, once it is clear that it may be."""
        step = decision.step
        if step in STARTING:
            assert self.flying is None, "two refreshes at a time"
            assert (step is Step.END_AND_WAIT) == bool(decision.reason), "a session ends for a reason"
            self.flights += 1
            self.flying = self.flights
            self.refresher.flight_started()
        match step:
            case Step.SEND | Step.SEND_AND_RENEW:
                # One that was told at its second sending that the session is over has waited only to learn whether
                # it is: an adapter gives the answer to the application, whatever token there is by now.
                if request.sent < 2:
                    self.check(request, decision)
                    self.send(request, decision)
            case Step.WAIT | Step.START_AND_WAIT | Step.END_AND_WAIT:
                assert decision.holding is None
                assert self.flying is not None, "a wait for nothing"
                request.flight = self.flying
                self.waiting.append(request)
            case Step.SIGNED_OUT:
                # Or it is that of the session whose end it has waited for, whoever has signed in since.
                own = request.told.reason if isinstance(request.told, Ended) and self.ended is None else self.ended
                assert decision.reason == own, "a reason that is not the session's"
                assert not isinstance(request.told, Renewed) or self.ended is not None
            case Step.UNAVAILABLE:
                assert self.ended is None, "a sign-out is told as an outage"
                assert 0 <= decision.retry_after_seconds <= self.longest_rest + ROUNDING_SECONDS, (
                    "a rest beyond its caps"
                )
            case Step.PASS:
                assert request.sent, "what was never sent cannot have been refused"
        assert self.refresher.is_flying == (self.flying is not None)

    def check(self, request: _Request, decision: Decision) -> None:
        """That it may be sent with this token."""
        holding = decision.holding
        assert holding is not None
        assert self.ended is None, "sent after the end"
        assert holding.generation == self.newest, "sent with an older token"
        assert holding.access_token == f"a{self.newest}"
        assert holding.generation != request.generation, "sent again with the token that was refused"
        if isinstance(request.told, Renewed) and request.told.is_fetched:
            return  # however old it is
        assert self.expires_at is None or not self.expires_at.has_come(self.now), "sent with an expired token"
        is_last = not request.is_repeatable or request.generation is not None
        if is_last and self.renew_for_good_at is not None and self.renew_for_good_at.has_come(self.now):
            is_known_to_fail = isinstance(request.told, Failed) or self.monotonic < self.rests_until
            assert is_known_to_fail, "sent for the last time with a token that may end on the way"

    def send(self, request: _Request, decision: Decision) -> None:
        if request.is_wish:
            return  # it has what it wanted
        assert decision.holding is not None
        request.generation = decision.holding.generation
        request.sent += 1
        self.sent.append(request)


@settings(max_examples=400, deadline=None)
@given(st.lists(_events, min_size=15, max_size=60))
def test_the_refresher_keeps_its_promises_whatever_happens(events: list[tuple[Any, ...]]) -> None:
    """
    In any story: one refresh at a time, no expired or older token, nothing after the end, no wait for nothing.
    """
    world = _World()
    for event in events:
        world.play(event)


@settings(max_examples=200, deadline=None)
@given(st.lists(_events, max_size=40))
def test_nobody_is_left_waiting_when_the_last_refresh_has_ended(events: list[tuple[Any, ...]]) -> None:
    """
    However a story goes, once its refresh has failed everybody who waited has been told.
    """
    world = _World()
    for event in events:
        world.play(event)
    world.play(("wake",))
    world.play(("land", ("failed", 10.0), 0.5, False))
    assert not world.waiting


@settings(max_examples=200, deadline=None)
@given(st.lists(_events, max_size=40), st.floats(1, 1e5))
def test_a_sign_in_mends_every_story(events: list[tuple[Any, ...]], lifetime: float) -> None:
    """
    Whatever has happened before, after a sign-in the next request is sent with its token.
    """
    world = _World()
    for event in events:
        world.play(event)
    world.play(("overtake", ("renewed", lifetime, 0.0, True, True), 0.5))
    decision = world.refresher.before_sending(world.now)
    assert decision.step is Step.SEND
    assert decision.holding is not None and decision.holding.generation == world.newest


@settings(max_examples=200, deadline=None)
@given(st.floats(0.01, 1e8), st.floats(0, 1), st.floats(0, 1e9), st.floats(0, 1e6))
def test_a_token_is_renewed_late_in_its_life(lifetime: float, jitter: float, wall: float, monotonic: float) -> None:
    """
    A token is renewed in the last fifth of its life and the last minute of it, not in the very last moment, and for
    a request that is sent for the last time twice as long before its end.
    """
    refresher = Refresher()
    now = Moment(wall, monotonic)
    refresher.flight_ended(now, Renewed("a1", wall + lifetime, lifetime), jitter=jitter)
    holding = refresher.holding
    assert holding is not None and holding.renew is not None and holding.expires is not None
    assert holding.renew_for_good is not None
    margin = holding.expires.monotonic - holding.renew.monotonic
    rounding = 1e-6 * (1 + lifetime)
    assert margin <= min(60.0, lifetime * 0.2) + rounding
    assert margin >= min(60.0, lifetime * 0.2) * 0.75 - rounding
    for_good = holding.expires.monotonic - holding.renew_for_good.monotonic
    assert abs(for_good - 2 * min(60.0, lifetime * 0.2)) <= rounding
