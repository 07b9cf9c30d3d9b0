"""
From a sign-out's answer to the refusal of that session's access token, at the three distances, under load.

The guard in the process that signed out, that of another worker on the same store, and a guard in another service. Then
the same for the last one with the feed cut and restored; then a crowd of guards before one worker.
"""

import asyncio
import contextlib
import dataclasses
import random
import socket
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench import revocation_crowd
from bench.effort import Effort, cores
from bench.load import Connection, Tally, close, connect, get, paced
from bench.refreshing import again, refresh_request, refresh_with_newest
from bench.report import Section, at_most, median, micros, percentile
from bench.revocation_servers import GUARDED, Plan, running

LOAD_CONNECTIONS = 16
REFRESHES_PER_SECOND = 300
GUARDED_PER_SECOND = 300
"""At each of the three guards."""

PROBE_PAUSE_SECONDS = 0.002
"""Between two requests of a probe: with the answer's own time, how finely a refusal is timed."""
AT_ONCE = 4
LONGEST_PAUSE_SECONDS = 0.3
"""Between two sign-outs, by chance: in step with a worker that reads the store every 0.25 s, all would take as long."""

GIVE_UP_SECONDS = 30.0
DISTANCES = {
    "in the same process": None,
    "another worker, same store": at_most(2.0, " s"),
    "a guard in another service": at_most(1.0, " s"),
}
CUTS_SECONDS = (1.0, 5.0)


class Pipe:
    """What lies between the guard elsewhere and the issuer; it can be cut."""

    def __init__(self) -> None:
        self.to_port = 0
        self._listener: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port = found.getsockname()[1]

    async def mend(self) -> None:
        """Let connections through."""
        self._listener = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    async def cut(self) -> None:
        """End all that are open, and refuse new ones."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
        for writer in self._writers:
            writer.transport.abort()
        await asyncio.sleep(0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.to_port)
        self._writers |= {writer, far_writer}
        try:
            await asyncio.gather(_pass(reader, far_writer), _pass(far_reader, writer))
        finally:
            self._writers -= {writer, far_writer}


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()


@dataclass(slots=True)
class Heard:
    """
    Refusals at one distance.

    Args:
        seconds: From the sign-out's answer, or the feed's return, to the first refusal.
        late: Requests sent after that moment that still passed.
    """

    seconds: list[float] = field(default_factory=list)
    late: int = 0


@dataclass(slots=True)
class Measured:
    """All of it."""

    quiet: dict[str, Heard] = field(default_factory=lambda: {name: Heard() for name in DISTANCES})
    loaded: dict[str, Heard] = field(default_factory=lambda: {name: Heard() for name in DISTANCES})
    cut: dict[float, Heard] = field(default_factory=lambda: {seconds: Heard() for seconds in CUTS_SECONDS})
    refreshes: list[Tally] = field(default_factory=list)
    guarded: list[Tally] = field(default_factory=list)


async def _ask(connection: Connection) -> tuple[float, bool]:
    """When the answer came, and whether it was a good one."""
    done: asyncio.Future[tuple[float, bool]] = asyncio.get_running_loop().create_future()
    connection.send(lambda _connection, _took, is_good: done.set_result((time.perf_counter(), is_good)))
    return await done


class _Probe:
    """Asks one guard with one token, again and again, until it is refused."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.passed_at: list[float] = []
        """When the requests were sent that passed."""

    async def run(self) -> float:
        """When the first refusal came."""
        give_up_at = time.perf_counter() + GIVE_UP_SECONDS
        while True:
            sent_at = time.perf_counter()
            answered_at, is_good = await _ask(self._connection)
            if not is_good:
                return answered_at
            if answered_at > give_up_at:
                raise RuntimeError("a token of an ended session passes on and on")
            self.passed_at.append(sent_at)
            await asyncio.sleep(PROBE_PAUSE_SECONDS)


class Stage:
    """The three guards by their ports, and sessions to end."""

    def __init__(self, ports: Sequence[int], pairs: Sequence[Sequence[str]], pipe: Pipe) -> None:
        self.ports, self.pipe = ports, pipe
        self._pairs = iter(pairs)

    def session(self) -> tuple[str, str]:
        """One that nobody has used: refresh token and access token."""
        refresh, access = next(self._pairs)
        return refresh, access

    @contextlib.asynccontextmanager
    async def probes(self, token: str, ports: Sequence[int]) -> AsyncIterator[list[_Probe]]:
        """One for each guard; the token has passed there once."""
        request = get(GUARDED, token)
        connections = [(await connect(port, [request], [again(request)]))[0] for port in ports]
        try:
            for connection in connections:
                if not (await _ask(connection))[1]:
                    raise RuntimeError("a good token was refused")
            yield [_Probe(connection) for connection in connections]
        finally:
            close(connections)

    async def sign_out(self, token: str) -> float:
        """When it was answered."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.ports[0])
        writer.write(get("/auth/logout", token).replace(b"GET ", b"POST ", 1))
        head = await reader.readuntil(b"\r\n\r\n")  # a 204 has nothing else
        answered_at = time.perf_counter()
        writer.close()
        if not head.startswith(b"HTTP/1.1 204"):
            raise RuntimeError("the sign-out was refused")
        return answered_at

    async def measure_distances(self, heard: dict[str, Heard]) -> None:
        """End one session, and see when each guard refuses it."""
        _, token = self.session()
        async with self.probes(token, self.ports) as probes:
            runs = [asyncio.create_task(probe.run()) for probe in probes]
            await asyncio.sleep(random.uniform(0, LONGEST_PAUSE_SECONDS))
            ended_at = await self.sign_out(token)
            for name, probe, refused_at in zip(heard, probes, await asyncio.gather(*runs), strict=True):
                heard[name].seconds.append(max(refused_at - ended_at, 0.0))
                heard[name].late += sum(sent_at > ended_at for sent_at in probe.passed_at)

    async def measure_cut(self, heard: Heard, seconds: float) -> None:
        """End one session while the feed is cut; it passes elsewhere until the feed is back, and a little longer."""
        _, token = self.session()
        async with self.probes(token, self.ports[-1:]) as (probe,):
            await self.pipe.cut()
            run = asyncio.create_task(probe.run())
            await self.sign_out(token)
            await asyncio.sleep(seconds * random.uniform(0.8, 1.2))
            mended_at = time.perf_counter()
            await self.pipe.mend()
            refused_at = await run
            heard.seconds.append(refused_at - mended_at)
            heard.late += sum(sent_at > mended_at for sent_at in probe.passed_at)


@contextlib.asynccontextmanager
async def _load(stage: Stage, measured: Measured) -> AsyncIterator[None]:
    """Refreshes at the first worker, and guarded requests everywhere, at a fixed rate."""
    pairs = [stage.session() for _ in range(LOAD_CONNECTIONS)]
    first = [refresh_request(refresh) for refresh, _ in pairs]
    refreshing = await connect(stage.ports[0], first, [refresh_with_newest(request) for request in first])
    requests = [get(GUARDED, access) for _, access in pairs]
    guarded = [await connect(port, requests, [again(request) for request in requests]) for port in stage.ports]
    stop = asyncio.Event()

    async def keep(connections: Sequence[Connection], per_second: float, tallies: list[Tally]) -> None:
        while not stop.is_set():
            tallies.append(await paced(connections, per_second=per_second, seconds=0.5))

    tasks = [asyncio.create_task(keep(refreshing, REFRESHES_PER_SECOND, measured.refreshes))]
    tasks += [asyncio.create_task(keep(each, GUARDED_PER_SECOND, measured.guarded)) for each in guarded]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)
        close([*refreshing, *(connection for each in guarded for connection in each)])


async def measure(folder: Path, effort: Effort) -> Measured:
    """Quiet, under load, and with the feed cut."""
    turns = max(1, round(effort.rounds * effort.seconds * 7))
    short, long = CUTS_SECONDS
    cuts = {short: max(1, round(effort.rounds * effort.seconds * 2)), long: round(effort.rounds * effort.seconds / 2)}
    measured, pipe = Measured(), Pipe()
    needed = 2 * turns * AT_ONCE + sum(cuts.values()) + LOAD_CONNECTIONS
    plan = Plan(str(folder), f"http://localhost:{pipe.port}", cores()[0], sessions=needed)
    with contextlib.ExitStack() as stack:
        first = await asyncio.to_thread(stack.enter_context, running(plan, "first"))
        pipe.to_port = first.port
        await pipe.mend()
        other = await asyncio.to_thread(stack.enter_context, running(dataclasses.replace(plan, sessions=0), "other"))
        away = dataclasses.replace(plan, sessions=0, secret=first.secret)
        elsewhere = await asyncio.to_thread(stack.enter_context, running(away, "elsewhere"))
        stage = Stage([first.port, other.port, elsewhere.port], first.pairs, pipe)
        for _ in range(turns):
            await asyncio.gather(*(stage.measure_distances(measured.quiet) for _ in range(AT_ONCE)))
        async with _load(stage, measured):
            for _ in range(turns):
                await asyncio.gather(*(stage.measure_distances(measured.loaded) for _ in range(AT_ONCE)))
            for seconds, count in cuts.items():
                for _ in range(count):
                    await stage.measure_cut(measured.cut[seconds], seconds)
        await pipe.cut()
        await asyncio.to_thread(stack.close)
    return measured


def report(measured: Measured) -> list[Section]:
    """The distributions."""
    refused = sum(tally.refused for tally in (*measured.refreshes, *measured.guarded))
    load = f"{REFRESHES_PER_SECOND} refreshes/s, and {GUARDED_PER_SECOND} guarded requests/s at each guard" + (
        f"; {refused} WERE REFUSED" if refused else ""
    )
    distances = Section(
        "A sign-out, until its access token is refused",
        "from the sign-out's answer to the first refusal; all servers on one core; load: " + load,
    )
    for circumstances, heard in (("quiet", measured.quiet), ("load", measured.loaded)):
        for name, goal in DISTANCES.items():
            one = heard[name]
            distances.add(
                f"{name}, {circumstances}",
                f"median {micros(median(one.seconds))}",
                value=None if goal is None else max(one.seconds),
                goal=goal,
                note=_spread(one.seconds)
                + (f"; {one.late} requests sent after the answer passed" if goal is None else ""),
            )
    outage = Section(
        "The feed cut and restored",
        "under the same load; a session ends meanwhile; from the feed's return to the refusal in the other service",
    )
    for seconds, one in measured.cut.items():
        if one.seconds:
            outage.add(f"cut for {seconds:g} s", f"median {micros(median(one.seconds))}", note=_spread(one.seconds))
    return [distances, outage]


def _spread(seconds: Sequence[float]) -> str:
    return f"p99 {micros(percentile(seconds, 99))}, max {micros(max(seconds))}, of {len(seconds)}"


async def run(folder: Path, effort: Effort) -> list[Section]:
    """Measure, and say what was found."""
    sections = report(await measure(folder, effort))
    return [*sections, revocation_crowd.report(await revocation_crowd.measure(folder, effort))]
