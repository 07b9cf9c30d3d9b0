"""The table: what was measured, beside what, and whether the goal was met."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound for a figure. It is printed, never asserted: a slow machine is not a fault."""

    bound: float
    at_least: bool
    unit: str = "x"

    def is_met(self, value: float) -> bool:
        """Whether the figure is on the right side."""
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        return f"{'>=' if self.at_least else '<='} {self.bound:g}{self.unit}"


def at_least(bound: float) -> Goal:
    """The ratio must not be smaller."""
    return Goal(bound, at_least=True)


def at_most(bound: float, unit: str = "x") -> Goal:
    """The ratio, or the figure in this unit, must not be larger."""
    return Goal(bound, at_least=False, unit=unit)


_VERDICTS = {True: "met", False: "NOT MET", None: ""}


@dataclass(frozen=True, slots=True)
class Line:
    """
    One line of the table.

    Args:
        value: What the goal is about: a ratio, or a figure in the goal's unit; None where there is nothing to compare.
        note: What else a reader should know.
    """

    what: str
    figure: str
    value: float | None = None
    goal: Goal | None = None
    note: str = ""

    def is_met(self) -> bool | None:
        """Whether its goal is met; None where it has none."""
        return None if self.goal is None or self.value is None else self.goal.is_met(self.value)

    def cells(self) -> tuple[str, str, str, str, str, str]:
        """What stands in the columns."""
        unit = "x" if self.goal is None else self.goal.unit
        value = "" if self.value is None else f"{self.value:.3f}{unit}"
        goal = "" if self.goal is None else str(self.goal)
        return self.what, self.figure, value, goal, _VERDICTS[self.is_met()], self.note


@dataclass(slots=True)
class Section:
    """A part of the table, with the circumstances under which it was measured."""

    title: str
    circumstances: str
    lines: list[Line] = field(default_factory=list)

    def add(
        self, what: str, figure: str, *, value: float | None = None, goal: Goal | None = None, note: str = ""
    ) -> None:
        """One more line."""
        self.lines.append(Line(what, figure, value, goal, note))


_HEAD = ("what", "measured", "ratio", "goal", "", "")


def render(sections: Sequence[Section]) -> str:
    """The whole table as text."""
    rows = [line.cells() for section in sections for line in section.lines]
    widths = [max(len(row[column]) for row in (_HEAD, *rows)) for column in range(len(_HEAD))]
    text = [_row(_HEAD, widths)]
    for section in sections:
        text += ["", f"## {section.title}", f"   {section.circumstances}"]
        text += [_row(line.cells(), widths) for line in section.lines]
    judged = [
        line for section in sections for line in section.lines if line.goal is not None and line.value is not None
    ]
    met = sum(line.goal.is_met(line.value) for line in judged if line.goal and line.value is not None)
    return "\n".join([*text, "", f"{met} of {len(judged)} goals met"])


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "  ".join((first, *others)).rstrip()


def median(values: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(values)


def ratio(tops: Sequence[float], bottoms: Sequence[float]) -> float:
    """
    The median of the ratios of rounds that ran one after the other.

    A machine that is busy for a while slows both sides of a pair: their ratio survives what their figures do not.
    """
    return median([top / bottom for top, bottom in zip(tops, bottoms, strict=True)])


def percentile(values: Sequence[float], percent: float) -> float:
    """The value that this many percent do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def rate(per_second: float) -> str:
    """Operations per second."""
    return f"{per_second:,.0f}/s"


def micros(seconds: float) -> str:
    """A short time."""
    return f"{seconds * 1e6:,.1f} us" if seconds < 1e-3 else f"{seconds * 1e3:,.2f} ms"
