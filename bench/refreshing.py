"""Refreshes over HTTP beside a POST that does nothing, on the same server, connections and size of request."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.effort import Effort, cores
from bench.load import Closed, Connection, NextRequest, Tally, close, connect, post
from bench.processes import ServerProcess, running
from bench.report import Section, at_least, median, micros, percentile, rate, ratio
from bench.serve import NOTHING, Plan

CONNECTIONS = 64
GOALS = {"ES256": 0.15, "HS256": 0.3}
SYNCHRONOUS_FULL = 2

_TOKEN = b'"refresh_token":"'
_TOKEN_CHARACTERS = 132


def refresh_request(token: str) -> bytes:
    """The request that presents this refresh token."""
    return post("/auth/refresh", b'{"refresh_token":"' + token.encode() + b'"}')


def refresh_with_newest(first: bytes) -> NextRequest:
    """Presents the token that the last answer brought."""
    head = first[: first.rindex(b'"etr_') + 1]

    def following(answer: bytes) -> bytes:
        at = answer.index(_TOKEN) + len(_TOKEN)
        return head + answer[at : at + _TOKEN_CHARACTERS] + b'"}'

    return following


def again(request: bytes) -> NextRequest:
    """Sends the same once more."""
    return lambda _: request


async def refreshing_connections(server: ServerProcess, tokens: Sequence[str]) -> list[Connection]:
    """One for each session."""
    requests = [refresh_request(token) for token in tokens]
    return await connect(server.told.port, requests, [refresh_with_newest(request) for request in requests])


@dataclass(slots=True)
class Measured:
    """What one algorithm's rounds gave."""

    refreshes: list[Tally] = field(default_factory=list)
    nothings: list[Tally] = field(default_factory=list)
    outcomes: dict[str, float] = field(default_factory=dict)
    synchronous: int = 0

    def all_advanced(self) -> bool:
        """Whether the server counted an ADVANCE for every refresh that we counted."""
        return self.outcomes == {"advance": sum(tally.answers for tally in self.refreshes)}


async def measure(folder: Path, effort: Effort) -> dict[str, Measured]:
    """Alternate: a POST that does nothing, a refresh, for each algorithm in turn."""
    core, _ = cores()
    measured = {algorithm: Measured() for algorithm in GOALS}
    with contextlib.ExitStack() as stack:
        loads: dict[str, tuple[Closed, Closed]] = {}
        servers: dict[str, ServerProcess] = {}
        for algorithm in GOALS:
            plan = Plan(str(folder), core=core, algorithm=algorithm, sessions=CONNECTIONS)
            server = servers[algorithm] = stack.enter_context(running(plan))
            measured[algorithm].synchronous = server.told.synchronous
            refreshing = await refreshing_connections(server, server.told.refresh_tokens)
            nothing = post(NOTHING, refresh_request(server.told.refresh_tokens[0]).partition(b"\r\n\r\n")[2])
            idle = await connect(server.told.port, [nothing] * CONNECTIONS, [again(nothing)] * CONNECTIONS)
            stack.callback(close, [*refreshing, *idle])
            loads[algorithm] = Closed(idle, server.cpu_seconds), Closed(refreshing, server.cpu_seconds)
            for load in loads[algorithm]:  # warm; and the first refresh of a session is a REISSUE
                await load.run(requests=CONNECTIONS)
                await load.run(seconds=effort.seconds / 3)
        before = {algorithm: server.refreshes() for algorithm, server in servers.items()}
        for _ in range(effort.rounds):
            for algorithm, (nothings, refreshes) in loads.items():
                measured[algorithm].nothings.append(await nothings.run(seconds=effort.seconds))
                measured[algorithm].refreshes.append(await refreshes.run(seconds=effort.seconds))
        for algorithm, server in servers.items():
            after = server.refreshes()
            known = before[algorithm]
            measured[algorithm].outcomes = {
                name: count - known.get(name, 0) for name, count in after.items() if count != known.get(name, 0)
            }
    return measured


def report(measured: dict[str, Measured]) -> Section:
    """Rates by the wall clock, and the CPU behind them."""
    durable = all(each.synchronous == SYNCHRONOUS_FULL for each in measured.values())
    advanced = all(each.all_advanced() for each in measured.values())
    section = Section(
        "Refreshes over HTTP",
        f"uvicorn on one core, the load on another, {CONNECTIONS} keep-alive connections;"
        f" SQLite {'synchronous=FULL' if durable else 'NOT DURABLE'};"
        f" {'every refresh counted as ADVANCE' if advanced else 'NOT ALL WERE ADVANCE'}",
    )
    for algorithm, each in measured.items():
        refused = sum(tally.refused for tally in (*each.refreshes, *each.nothings))
        rates = [tally.per_second for tally in each.refreshes]
        nothing_rates = [tally.per_second for tally in each.nothings]
        cpu = median([tally.cpu_each for tally in each.refreshes])
        nothing_cpu = median([tally.cpu_each for tally in each.nothings])
        latencies = [took for tally in each.refreshes for took in tally.latencies]
        section.add(
            f"POST that does nothing ({algorithm} server)",
            rate(median(nothing_rates)),
            note=f"{micros(nothing_cpu)} CPU each",
        )
        section.add(
            f"refresh, ADVANCE, {algorithm}",
            rate(median(rates)),
            value=ratio(rates, nothing_rates),
            goal=at_least(GOALS[algorithm]),
            note=f"{micros(cpu)} CPU each; p50 {micros(percentile(latencies, 50))},"
            f" p99 {micros(percentile(latencies, 99))}{f'; {refused} REFUSED' if refused else ''}",
        )
    return section
