"""What was measured, as a table."""

import math

from bench.millions.measuring import CALLERS, EMPTY, Measured, Refreshes
from bench.millions.people import SWEPT_SHARE
from bench.report import Section, at_most, median, micros, percentile, rate


def sections(title: str, file_system: str, measured: Measured) -> list[Section]:
    """All of it."""
    head = Section(
        f"{measured.sessions:,} sessions in {title}",
        f"on {file_system}; {CALLERS} callers on one core, a server's database on another; each call is for another"
        " session, from all over the store",
    )
    _refreshes(head, measured)
    return [head, _weights(measured), _questions(measured), _sweeping(measured), _plans(measured)]


def _waits(refreshes: Refreshes) -> str:
    waits = refreshes.waits
    return (
        f"p50 {micros(percentile(waits, 50))}, p99 {micros(percentile(waits, 99))}, longest {micros(max(waits))}"
        if waits
        else ""
    )


def _refreshes(section: Section, measured: Measured) -> None:
    empty, full = median(measured.empty.rates), median(measured.full.rates)
    section.add(f"rotations, {EMPTY:,} sessions", rate(empty), note=_waits(measured.empty))
    section.add(
        f"rotations, {measured.sessions:,} sessions", rate(full), value=full / empty, note=_waits(measured.full)
    )
    section.add("from nothing to the first answer of the store", micros(measured.start_seconds))
    section.add("filled in", f"{measured.fill_seconds:.0f} s", note="past the store, not durable")
    for name, figure in measured.facts:
        section.add(name, figure)


def _weights(measured: Measured) -> Section:
    section = Section("What they weigh", "bytes for each session: after filling, and later, after all the rest")
    total = total_later = 0
    for name, weight in sorted(measured.weights.items(), key=lambda entry: -entry[1].table - entry[1].indexes):
        later = measured.weights_later[name]
        total += weight.table + weight.indexes
        total_later += later.table + later.indexes
        if weight.table + weight.indexes >= measured.sessions:
            indexes = f" and {weight.indexes / measured.sessions:.0f} in indexes" if weight.indexes else ""
            section.add(
                name,
                f"{weight.table / measured.sessions:.0f}{indexes}",
                note=f"later {later.table / measured.sessions:.0f} and {later.indexes / measured.sessions:.0f}",
            )
    section.add(
        "in all", f"{total / measured.sessions:.0f}", note=f"{total / 1e9:.2f} GB, later {total_later / 1e9:.2f} GB"
    )
    return section


def _questions(measured: Measured) -> Section:
    section = Section("What an operator asks", "the median of five, and the longest: the first finds nothing in memory")
    for name, took in measured.questions.items():
        section.add(name, _answer(median(took)), note=f"longest {_answer(max(took))}")
    return section


def _answer(seconds: float) -> str:
    return micros(seconds) if seconds < math.inf else "no answer in time"


def _sweeping(measured: Measured) -> Section:
    sweep = measured.sweep
    section = Section(
        "Sweeping while refreshes go on",
        f"{SWEPT_SHARE:.0%} have been over for more than 30 days; 16 callers without a pause meanwhile",
    )
    section.add("swept", f"{sweep.gone:,} rows", note=f"in {sweep.seconds:.0f} s: {sweep.gone / sweep.seconds:,.0f}/s")
    section.add("the longest step", micros(sweep.longest_step), value=sweep.longest_step, goal=at_most(1, " s"))
    waits = sweep.refreshes.waits
    section.add("rotations meanwhile", rate(median(sweep.refreshes.rates)), note=_waits(sweep.refreshes))
    section.add("the longest refresh meanwhile", micros(max(waits)), value=max(waits), goal=at_most(1, " s"))
    return section


def _plans(measured: Measured) -> Section:
    plans = measured.plans
    section = Section("How statements find their rows", f"{plans.looked_at} different ones were looked at")
    section.add("those that read more than a window of a table or an index", str(len(plans.walks)))
    for walk in plans.walks:
        section.add("...", "", note=walk)
    return section
