"""The same refreshes on each of the servers in turn, on SQLite and on PostgreSQL."""

import contextlib
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from bench import postgresql, processes
from bench.beside import environment
from bench.beside.checks import check, taken_at_once
from bench.beside.servers import PEERS, SIMPLEJWT, Peer, PeerServer, Setting, prepare, running
from bench.effort import Effort, cores
from bench.load import Closed, NextRequest, Tally, close, connect
from bench.refreshing import refreshing_connections
from bench.report import percentile
from bench.serve import Plan

CONNECTIONS = 64
OURS = ("HS256", "ES256")
_CHECKED = CONNECTIONS
"""The number of the user with whom the servers are checked; those before it refresh."""

_REFRESH = b'"refresh":"'

SETTINGS = {
    peer: [Setting(server, threads, is_atomic=peer is SIMPLEJWT) for server, threads in usual]
    for peer in PEERS
    for usual in ([("granian", 1), ("gunicorn", 1), ("gunicorn", 4), ("granian", 4)],)
}
"""What is tried of each before it is measured; the best goes on. In one process each, as ours."""
SETTINGS[SIMPLEJWT].append(Setting("granian", 1, is_atomic=False))


@dataclass(slots=True)
class Side:
    """What was measured of one server, round by round."""

    tallies: list[Tally] = field(default_factory=list)
    tried: dict[Setting, float] = field(default_factory=dict)
    taken_at_once: int = 1

    def setting(self) -> Setting:
        """The best of those that were tried."""
        return max(self.tried, key=self.tried.__getitem__)

    def rates(self) -> list[float]:
        """Refreshes per second."""
        return [tally.per_second for tally in self.tallies]

    def latency(self, percent: float) -> float:
        """Of all rounds together."""
        return percentile([took for tally in self.tallies for took in tally.latencies], percent)

    def refused(self) -> int:
        """Must be none."""
        return sum(tally.refused for tally in self.tallies)


@dataclass(slots=True)
class Measured:
    """All servers on one database."""

    ours: dict[str, Side] = field(default_factory=lambda: {algorithm: Side() for algorithm in OURS})
    theirs: dict[Peer, Side] = field(default_factory=lambda: {peer: Side() for peer in PEERS})
    all_advanced: bool = True
    durable: bool = True


def _with_newest(peer: Peer) -> NextRequest:
    """Presents the token that the last answer brought."""

    def following(answer: bytes) -> bytes:
        at = answer.index(_REFRESH) + len(_REFRESH)
        return peer.request(answer[at : answer.index(b'"', at)].decode())

    return following


async def _load_of(server: PeerServer, stack: contextlib.ExitStack, how_many: int) -> Closed:
    """So many who are signed in; warm."""
    requests = [server.peer.request(server.sign_in(user)) for user in range(how_many)]
    connections = await connect(server.port, requests, [_with_newest(server.peer)] * how_many)
    stack.callback(close, connections)
    load = Closed(connections, server.cpu_seconds)
    await load.run(requests=2 * how_many)
    return load


def _how_many(effort: Effort) -> int:
    """Fewer where the figures say nothing: their servers need a second for each round of sixty-four."""
    return CONNECTIONS if effort.rounds > 1 else CONNECTIONS // 8


async def _try_settings(
    programs: Path, peer: Peer, database: str, folder: Path, effort: Effort
) -> dict[Setting, float]:
    """What each of its usual settings answers a second; of the first alone where there is one round only."""
    tried: dict[Setting, float] = {}
    for setting in SETTINGS[peer] if effort.rounds > 1 else SETTINGS[peer][:1]:
        with contextlib.ExitStack() as stack:
            server = stack.enter_context(running(programs, peer, setting, database, folder / f"{peer.module}.log"))
            check(server, _CHECKED)
            tally = await (await _load_of(server, stack, _how_many(effort))).run(seconds=effort.seconds)
            tried[setting] = 0.0 if tally.refused else tally.per_second
    return tried


async def _measure(programs: Path, folder: Path, databases: dict[str, str], effort: Effort) -> Measured:
    """
    Alternate between all servers.

    Args:
        databases: The address of each one's database, by the name of its application; ours is "", where a file will do.
    """
    measured = Measured()
    for peer, side in measured.theirs.items():
        prepare(programs, peer, databases[peer.module], CONNECTIONS + 1)
        side.tried = await _try_settings(programs, peer, databases[peer.module], folder, effort)
    with contextlib.ExitStack() as stack:
        loads: list[tuple[Side, Closed]] = []
        ours: list[processes.ServerProcess] = []
        for algorithm, side in measured.ours.items():
            plan = Plan(
                str(folder),
                core=cores()[0],
                algorithm=algorithm,
                sessions=_how_many(effort),
                store=databases[algorithm],
            )
            server = stack.enter_context(processes.running(plan))
            measured.durable &= server.told.synchronous == 2
            connections = await refreshing_connections(server, server.told.refresh_tokens)
            stack.callback(close, connections)
            load = Closed(connections, server.cpu_seconds)
            await load.run(requests=2 * _how_many(effort))  # the first refresh of a session is a REISSUE
            loads.append((side, load))
            ours.append(server)
        for peer, side in measured.theirs.items():
            log = folder / f"{peer.module}.log"
            their = stack.enter_context(running(programs, peer, side.setting(), databases[peer.module], log))
            side.taken_at_once = taken_at_once(their, _CHECKED)
            loads.append((side, await _load_of(their, stack, _how_many(effort))))
        before = [server.refreshes() for server in ours]
        for _ in range(effort.rounds):
            for side, load in loads:
                side.tallies.append(await load.run(seconds=effort.seconds))
        for server, known, side in zip(ours, before, measured.ours.values(), strict=True):
            after = server.refreshes()
            answers = sum(tally.answers for tally in side.tallies)
            counted = {name: count - known.get(name, 0) for name, count in after.items() if count != known.get(name)}
            measured.all_advanced &= counted == {"advance": answers}
    return measured


async def on_sqlite(folder: Path, effort: Effort) -> Measured:
    """Each with a file of its own."""
    files = {peer.module: f"sqlite:///{folder}/{peer.module}.db" for peer in PEERS}
    return await _measure(environment.programs(), folder, {**files, **dict.fromkeys(OURS, "")}, effort)


async def on_postgresql(folder: Path, bin_folder: Path, effort: Effort) -> Measured:
    """Each with a database of its own on one server, beside the load."""
    place = folder / "postgresql"
    place.mkdir()
    with postgresql.running(place, bin_folder) as server:  # on the core that we are on now
        connection = await asyncpg.connect(server.url)
        databases: dict[str, str] = {}
        for name in (*(peer.module for peer in PEERS), *OURS):
            await connection.execute(f'CREATE DATABASE "{name}"')
            databases[name] = server.url.rpartition("/")[0] + f"/{name}"
        await connection.close()
        return await _measure(environment.programs(), folder, databases, effort)
