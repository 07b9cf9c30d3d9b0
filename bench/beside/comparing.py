"""The table: refreshes per second beside those of other libraries."""

from pathlib import Path

from bench import postgresql
from bench.beside import environment, measuring
from bench.beside.checks import AT_ONCE
from bench.beside.measuring import CONNECTIONS, Measured, Side
from bench.beside.servers import FLASK, SIMPLEJWT
from bench.effort import Effort
from bench.report import Section, at_least, median, micros, rate, ratio

_TITLE = "Refreshes over HTTP beside other libraries"
_ROLES = {SIMPLEJWT: "with rotation and blacklist", FLASK: "with rotation and a blocklist"}
GOALS = {SIMPLEJWT: 20.0, FLASK: 8.0}
BEYOND = {"SQLite": {SIMPLEJWT: 40.0, FLASK: 15.0}, "PostgreSQL": {SIMPLEJWT: 50.0, FLASK: 25.0}}
"""What is aimed at beyond the goals."""

_PROMISES = {"SQLite": "WAL, synchronous=FULL", "PostgreSQL": "synchronous_commit=on"}


async def run(folder: Path, effort: Effort) -> list[Section]:
    """Measure, and say what was found; why nothing, where the other libraries or PostgreSQL cannot be had."""
    try:
        environment.programs()
    except environment.CannotInstall as error:
        return [Section(_TITLE, f"not measured: the other libraries cannot be installed: {error}")]
    sections = []
    place = folder / "sqlite"
    place.mkdir()
    sections.append(report("SQLite", await measuring.on_sqlite(place, effort)))
    bin_folder = postgresql.programs()
    if bin_folder is None:
        sections.append(Section(f"{_TITLE}, PostgreSQL", "not measured: PostgreSQL is not installed"))
    else:
        sections.append(report("PostgreSQL", await measuring.on_postgresql(folder, bin_folder, effort)))
    return sections


def report(database: str, measured: Measured) -> Section:
    """Theirs, and ours below each."""
    beside = "the load" if database == "SQLite" else "the load and PostgreSQL"
    section = Section(
        f"{_TITLE}, {database} ({_PROMISES[database] if measured.durable else 'NOT DURABLE'})",
        f"one worker process on one core, {beside} on another, {CONNECTIONS} keep-alive connections; HS256 unless said;"
        f" {'every refresh of ours counted as ADVANCE' if measured.all_advanced else 'NOT ALL WERE ADVANCE'}",
    )
    for peer, theirs in measured.theirs.items():
        section.add(
            f"{peer.package} {_ROLES[peer]}",
            rate(median(theirs.rates())),
            note=f"{_note(theirs)}; {theirs.setting()}, best of {len(theirs.tried)};"
            f" a token presented {AT_ONCE} times at once is taken {theirs.taken_at_once} times",
        )
        for algorithm, ours in measured.ours.items():
            is_judged = algorithm == "HS256"
            times = ratio(ours.rates(), theirs.rates())
            beyond = BEYOND[database][peer]
            section.add(
                f"... evertoken, {algorithm}, {database}",
                rate(median(ours.rates())),
                value=times,
                goal=at_least(GOALS[peer]) if is_judged else None,
                note=_note(ours) + (f"; {beyond:g}x {'reached' if times >= beyond else 'aimed at'}" * is_judged),
            )
    return section


def _note(side: Side) -> str:
    cpu = micros(median([tally.cpu_each for tally in side.tallies]))
    refused = f"; {side.refused()} REFUSED" if side.refused() else ""
    return f"{cpu} CPU each; p50 {micros(side.latency(50))}, p99 {micros(side.latency(99))}{refused}"
