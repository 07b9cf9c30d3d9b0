"""Refreshes while a hundred people at once sign in, beside the same refreshes in quiet."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from bench.effort import Effort, cores
from bench.load import Closed, Tally, close, connect, paced, post
from bench.processes import ServerProcess, running
from bench.refreshing import again, refreshing_connections
from bench.report import Section, at_most, median, micros, percentile, rate, ratio
from bench.serve import PASSWORD, Plan

REFRESHES_PER_SECOND = 400
CONNECTIONS = 16
SIGN_INS_AT_ONCE = 100


@dataclass(slots=True)
class Measured:
    """One server's rounds."""

    quiet: list[Tally] = field(default_factory=list)
    flooded: list[Tally] = field(default_factory=list)
    sign_ins: list[Tally] = field(default_factory=list)


async def measure(folder: Path, effort: Effort) -> dict[str, Measured]:
    """First with the server on one core of its own, then with both cores to share with the load."""
    measured = {}
    for name, core in (("server on one core", cores()[0]), ("server on any core", None)):
        place = folder / name.replace(" ", "-")
        place.mkdir()
        plan = Plan(str(place), core=core, sessions=CONNECTIONS, users=SIGN_INS_AT_ONCE)
        with running(plan) as server:
            measured[name] = await _alternate(server, effort)
    return measured


async def _alternate(server: ServerProcess, effort: Effort) -> Measured:
    measured = Measured()
    refreshing = await refreshing_connections(server, server.told.refresh_tokens)
    await paced(refreshing, per_second=REFRESHES_PER_SECOND, seconds=effort.flood_seconds / 4)
    for _ in range(effort.flood_rounds):
        measured.quiet.append(await paced(refreshing, per_second=REFRESHES_PER_SECOND, seconds=effort.flood_seconds))
        async with _flood(server, measured):
            measured.flooded.append(
                await paced(refreshing, per_second=REFRESHES_PER_SECOND, seconds=effort.flood_seconds)
            )
    close(refreshing)
    return measured


@contextlib.asynccontextmanager
async def _flood(server: ServerProcess, measured: Measured) -> AsyncIterator[None]:
    """Sign in without end, each connection as its own user, until the block is over and the last are answered."""
    requests = [
        post("/auth/login", f'{{"username":"user{number}","password":"{PASSWORD}"}}'.encode())
        for number in range(SIGN_INS_AT_ONCE)
    ]
    connections = await connect(server.told.port, requests, [again(request) for request in requests])
    load = Closed(connections, server.cpu_seconds)
    flooding = asyncio.create_task(load.run())
    await asyncio.sleep(0.3)  # the queue in front of the hashing threads fills
    try:
        yield
    finally:
        load.stop()
        measured.sign_ins.append(await flooding)
        close(connections)


async def run(folder: Path, effort: Effort) -> list[Section]:
    """Measure, and say what was found."""
    return [report(await measure(folder, effort))]


def report(measured: dict[str, Measured]) -> Section:
    """Both p99s, and how many signed in."""
    section = Section(
        "Refreshes during a flood of sign-ins",
        f"{REFRESHES_PER_SECOND} refreshes/s over {CONNECTIONS} connections, ES256, durable;"
        f" {SIGN_INS_AT_ONCE} sign-ins at once without end, argon2id with the default parameters",
    )
    for name, each in measured.items():
        refused = sum(tally.refused for tally in (*each.quiet, *each.flooded, *each.sign_ins))
        quiet, flooded = ([percentile(t.latencies, 99) for t in side] for side in (each.quiet, each.flooded))
        middle = [median(tally.latencies) for tally in each.quiet]
        middle_flooded = [median(tally.latencies) for tally in each.flooded]
        section.add(f"refresh p99, quiet, {name}", micros(median(quiet)), note=f"p50 {micros(median(middle))}")
        section.add(
            f"refresh p99, flooded, {name}",
            micros(median(flooded)),
            value=ratio(flooded, quiet),
            goal=at_most(2),
            note=f"p50 {micros(median(middle_flooded))}; {rate(median([t.per_second for t in each.sign_ins]))} sign-ins"
            + (f"; {refused} REFUSED" if refused else ""),
        )
    return section
