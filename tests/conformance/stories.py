"""Plays the stories of conformance/refresher to a refresher: ours, or one that was changed a little."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

from evertoken.client.refresher import holding, refresher
from evertoken.client.refresher.outcomes import Ended, Failed, Outcome, Renewed

from .loading import BadCase, Members, cases, files, read

NUMBER: Final = (int, float)
STEPS_WITH: Final = {
    "send": ("generation",),
    "send_and_renew": ("generation",),
    "wait": (),
    "start_and_wait": (),
    "end_and_wait": ("reason",),
    "pass": (),
    "signed_out": ("reason",),
    "unavailable": ("retry_after_seconds",),
}
STARTING: Final = ("start_and_wait", "send_and_renew", "end_and_wait")
CLOSE_ENOUGH_SECONDS: Final = 1e-6


class Core(NamedTuple):
    """The modules under test."""

    refresher: ModuleType = refresher
    holding: ModuleType = holding


OURS: Final = Core()


@dataclass(frozen=True)
class Event:
    """One step of a story, as the file has it."""

    kind: str
    wall: float
    monotonic: float
    times: int
    arguments: dict[str, Any] = field(default_factory=dict)
    expected: dict[str, Any] | None = None


@dataclass(frozen=True)
class Story:
    """One case."""

    name: str
    file: str
    events: tuple[Event, ...]


def play(story: Story, core: Core = OURS) -> None:
    """
    Play a story.

    Raises:
        AssertionError: The refresher decides otherwise.
    """
    subject = core.refresher.Refresher()
    tokens: list[str] = []
    for number, event in enumerate(story.events, 1):
        now = core.holding.Moment(event.wall, event.monotonic)
        for _ in range(event.times):
            where = f"{story.name}, step {number}, {event.kind} at {now}"
            decision = _tell(subject, now, event)
            if event.kind == "flight_ended" and isinstance(outcome := event.arguments["outcome"], Renewed):
                tokens.append(outcome.access_token)
            if event.expected is not None:
                _compare(decision, event.expected, tokens, where)


def _tell(subject: Any, now: Any, event: Event) -> Any:
    match event.kind:
        case "flight_started":
            return subject.flight_started()
        case "after_waiting":
            arguments = {name: event.arguments[name] for name in ("generation", "is_repeatable")}
            return subject.after_waiting(now, event.arguments["outcome"], **arguments)
        case _:
            return getattr(subject, event.kind)(now, **event.arguments)


def _compare(decision: Any, expected: dict[str, Any], tokens: list[str], where: str) -> None:
    found = {"step": decision.step.value}
    if decision.holding is not None:
        found["generation"] = decision.holding.generation
        assert decision.holding.access_token == tokens[decision.holding.generation - 1], where
    if decision.reason:
        found["reason"] = decision.reason
    rest = found["step"] == "unavailable"
    if rest:
        off = abs(decision.retry_after_seconds - expected.get("retry_after_seconds", -1))
        found["retry_after_seconds"] = (
            expected.get("retry_after_seconds") if off < CLOSE_ENOUGH_SECONDS else decision.retry_after_seconds
        )
    else:
        assert decision.retry_after_seconds == 0, where
    assert found == expected, where


@cache
def stories() -> tuple[Story, ...]:
    """All of them."""
    return tuple(story for path in files("refresher") for story in read_stories(path))


def read_stories(path: Path) -> Iterator[Story]:
    """The stories of one file."""
    with read(path) as file:
        for name, case in cases(file):
            with case:
                yield Story(name, path.name, tuple(_events(case)))


def _events(case: Members) -> Iterator[Event]:
    wall = monotonic = 0.0
    before: Event | None = None
    for value in case.take("steps", list):
        with Members(value, case.where) as step:
            if step.has("at"):
                wall, monotonic = moment(step)
            event = _event(step, wall, monotonic)
        if event.kind == "flight_started" and (
            before is None or before.expected is None or before.expected["step"] not in STARTING or before.times != 1
        ):
            raise BadCase(f"{case.where}: a refresh starts that nobody has asked for")
        yield event
        before = event


def moment(step: Members) -> tuple[float, float]:
    """Both clocks, or one number for both."""
    at = step.take("at", (*NUMBER, dict))
    if not isinstance(at, dict):
        return at, at
    with Members(at, step.where) as clocks:
        return clocks.take("wall", NUMBER), clocks.take("monotonic", NUMBER)


def _event(step: Members, wall: float, monotonic: float) -> Event:
    kind = step.take("event", str)
    times = step.take("times", int, 1)
    arguments: dict[str, Any] = {}
    match kind:
        case "before_sending":
            arguments["is_repeatable"] = step.take("is_repeatable", bool, default=True)
        case "after_refusal":
            arguments["generation"] = step.take("generation", int)
            arguments["was_sent_again"] = step.take("was_sent_again", bool, default=False)
            arguments["over"] = step.take("over", str, None)
        case "after_waiting":
            arguments["outcome"] = _outcome(step.inner("outcome"))
            arguments["generation"] = step.take("generation", int, None)
            arguments["is_repeatable"] = step.take("is_repeatable", bool, default=True)
        case "flight_ended":
            arguments["outcome"] = _outcome(step.inner("outcome"))
            arguments["jitter"] = step.take("jitter", NUMBER, 0.0)
        case "flight_started" | "on_demand":
            pass
        case _:
            raise BadCase(f"{step.where}: does not know the event {kind!r}")
    decides = kind not in {"flight_started", "flight_ended"}
    return Event(kind, wall, monotonic, times, arguments, _expected(step.inner("expect")) if decides else None)


def _expected(expect: Members) -> dict[str, Any]:
    step = expect.take("step", str)
    if step not in STEPS_WITH:
        raise BadCase(f"{expect.where}: does not know the step {step!r}")
    kinds: dict[str, type | tuple[type, ...]] = {"generation": int, "reason": str, "retry_after_seconds": NUMBER}
    members = {name: expect.take(name, kinds[name]) for name in STEPS_WITH[step]}
    expect.end()
    return {"step": step, **members}


def _outcome(members: Members) -> Outcome:
    kind = members.only(("renewed", "failed", "ended"))
    with members.inner(kind) as inner:
        match kind:
            case "renewed":
                return Renewed(
                    inner.take("access_token", str),
                    inner.take("expires_at", NUMBER, None),
                    inner.take("lifetime_seconds", NUMBER, None),
                    is_renewable=inner.take("is_renewable", bool, default=True),
                    is_fetched=inner.take("is_fetched", bool, default=False),
                )
            case "failed":
                return Failed("", inner.take("retry_after_seconds", NUMBER, None))
            case _:
                return Ended(inner.take("reason", str), is_news=inner.take("is_news", bool, default=False))
