"""
Ten thousand guards that follow one server: what they cost while they wait, when they are told, and when they come back.

They are long polls on raw sockets of this process, as a guard makes them, each with the cursor of its last answer; what
a guard does besides is on its own machine.
"""

import asyncio
import base64
import itertools
import random
import re
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from bench.effort import Effort, cores
from bench.load import Connection, close, connect, get
from bench.refreshing import again
from bench.report import Section, median, micros, percentile
from bench.revocation_servers import CLIENT, GUARDED, Plan, Ready, running
from evertoken.guards.remote.feed import ANSWER_MARGIN_SECONDS
from evertoken.guards.remote.plan import LONGEST_GONE_SECONDS, back_off_seconds, gone_seconds

PER_TOKEN: Final = 10
"""Guards for each token that `Effort` names: 10,000 in a full run."""

OTHER_FILES: Final = 500
"""Open files that are left to everything else."""

CONNECTING_AT_ONCE: Final = 250
WAIT_SECONDS: Final = 30
QUIET_SECONDS: Final = 0.7
"""What the server is left alone before something is measured; longer than its pause between two wake-ups."""

PROBE_PAUSE_SECONDS: Final = 0.005
GIVE_UP_SECONDS: Final = 20.0
TURNS: Final = 3
GATHERING_SECONDS: Final = 8.0
"""Within it the crowd gathers; on a machine that is slow or busy it stays smaller."""

TELLING_SECONDS: Final = 8.0
"""No further sign-out begins after it."""

_HEAD_END: Final = b"\r\n\r\n"
_LENGTH: Final = re.compile(rb"content-length: (\d+)")
_CURSOR: Final = b'"cursor":"'


@dataclass(slots=True)
class Told:
    """
    One sign-out, told to all.

    Args:
        seconds: From the sign-out's answer to each one's hearing of it.
        cpu_seconds: What it took the server, their next polls included.
        probe_seconds: How long other requests took meanwhile.
    """

    seconds: list[float] = field(default_factory=list)
    cpu_seconds: float = 0.0
    probe_seconds: list[float] = field(default_factory=list)


@dataclass(slots=True)
class Back:
    """
    All connections were cut at one moment, and the server is there again.

    Args:
        seconds: From then until each has had its answer.
        failed: Polls that had none within a guard's patience, or a refusal.
        missing: Guards that were not back within `GIVE_UP_SECONDS`.
        cpu_seconds: What it took the server.
    """

    seconds: list[float] = field(default_factory=list)
    failed: int = 0
    missing: int = 0
    cpu_seconds: float = 0.0


@dataclass(slots=True)
class Crowd:
    """All of it."""

    wanted: int
    is_limited: bool
    size: int = 0
    held_bytes: int = 0
    waiting_cpu: float = 0.0
    told: list[Told] = field(default_factory=list)
    back: Back = field(default_factory=Back)
    refused: int = 0


class Poll(asyncio.Protocol):
    """One guard's connection. `heard` is told of each complete answer, and whether it was a good one."""

    def __init__(self, credential: bytes, heard: Callable[["Poll", bool], None], cursor: bytes = b"") -> None:
        self._credential = credential
        self._heard = heard
        self._received = b""
        self.cursor = cursor
        self.asked_at = 0.0
        self._answered: asyncio.Future[bool] | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.transport = None
        if self._answered is not None and not self._answered.done():
            self._answered.set_result(False)

    async def answer(self, wait: int) -> bool:
        """Ask, and say whether there was a good answer."""
        self._answered = asyncio.get_running_loop().create_future()
        self.ask(wait)
        try:
            return await self._answered
        finally:
            self._answered = None

    def ask(self, wait: int) -> None:
        """The next poll, from where the last answer ended."""
        after = b"&after=" + self.cursor if self.cursor else b""
        assert self.transport is not None
        self.asked_at = time.perf_counter()
        self.transport.write(
            b"GET /auth/revocations?wait=%d%b HTTP/1.1\r\nHost: x\r\nAuthorization: Basic %b\r\n\r\n"
            % (wait, after, self._credential)
        )

    def data_received(self, data: bytes) -> None:
        self._received += data
        head = self._received.find(_HEAD_END)
        if head < 0:
            return
        length = _LENGTH.search(self._received, 0, head)
        if length is None or len(self._received) < head + len(_HEAD_END) + int(length[1]):
            return
        answer, self._received = self._received, b""
        is_good = answer.startswith(b"HTTP/1.1 200")
        if is_good:
            at = answer.index(_CURSOR, head) + len(_CURSOR)
            self.cursor = answer[at : answer.index(b'"', at)]
        if self._answered is None:
            self._heard(self, is_good)
        elif not self._answered.done():
            self._answered.set_result(is_good)


def size_of(effort: Effort) -> tuple[int, bool]:
    """How many sockets there may be, and whether the limit of open files made them fewer; raises the soft limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = effort.tokens * PER_TOKEN
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard - OTHER_FILES)
    return allowed, allowed < wanted


class Stage:
    """A crowd before one server."""

    def __init__(self, server: Ready) -> None:
        self._server = server
        self._credential = base64.b64encode(f"{CLIENT}:{server.secret}".encode())
        self._left = 0
        self._all_heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._then: Callable[[Poll], None] = lambda _poll: None
        self._seconds: list[float] = []
        self._since: Callable[[Poll], float] = lambda poll: poll.asked_at
        self.refused = 0
        self.polls: list[Poll] = []

    def cpu_seconds(self) -> float:
        """That the server has used."""
        return time.clock_gettime(~self._server.pid << 3 | 2)

    def resident_bytes(self) -> int:
        """The server's memory."""
        status = Path(f"/proc/{self._server.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) * 1024

    def _heard(self, poll: Poll, is_good: bool) -> None:
        self.refused += not is_good
        self._seconds.append(time.perf_counter() - self._since(poll))
        self._then(poll)
        self._left -= 1
        if self._left == 0 and not self._all_heard.done():
            self._all_heard.set_result(None)

    def expect(self, then: Callable[[Poll], None], *, since: Callable[[Poll], float]) -> None:
        """Count from now on: each answer's seconds since what `since` says; `then` is what a guard does next."""
        self._left, self._then, self._since, self._seconds = len(self.polls), then, since, []
        self._all_heard = asyncio.get_running_loop().create_future()

    async def all_heard(self) -> list[float]:
        """Their seconds, once each has had an answer."""
        try:
            async with asyncio.timeout(GIVE_UP_SECONDS):
                await self._all_heard
        except TimeoutError:
            raise RuntimeError(f"{self._left} of {len(self.polls)} polls have had no answer") from None
        return self._seconds

    async def connect(self, cursor: bytes = b"") -> Poll:
        """One more connection."""
        loop = asyncio.get_running_loop()
        _, poll = await loop.create_connection(
            lambda: Poll(self._credential, self._heard, cursor), "127.0.0.1", self._server.port
        )
        return poll

    async def gather(self, wanted: int) -> None:
        """As many as come within the time learn what is known, and wait for the next."""
        give_up_at = time.perf_counter() + GATHERING_SECONDS
        while len(self.polls) < wanted and time.perf_counter() < give_up_at:
            count = min(CONNECTING_AT_ONCE, wanted - len(self.polls))
            self.polls += await asyncio.gather(*(self._one_more() for _ in range(count)))

    async def _one_more(self) -> Poll:
        poll = await self.connect()
        if not await poll.answer(0):
            raise RuntimeError("a poll was refused")
        poll.ask(WAIT_SECONDS)
        return poll

    async def tell(self, token: str) -> Told:
        """End one session, and see when each has heard of it; each polls again at once."""
        (probe,) = await connect(self._server.port, [get(GUARDED, token)], [again(get(GUARDED, token))])
        told = Told()
        cpu = self.cpu_seconds()
        probing = asyncio.create_task(_probe(probe, told.probe_seconds))
        reader, writer = await asyncio.open_connection("127.0.0.1", self._server.port)
        ended_at = time.perf_counter()
        self.expect(lambda poll: poll.ask(WAIT_SECONDS), since=lambda _poll: ended_at)
        writer.write(get("/auth/logout", token).replace(b"GET ", b"POST ", 1))
        if not (await reader.readuntil(_HEAD_END)).startswith(b"HTTP/1.1 204"):
            raise RuntimeError("the sign-out was refused")
        ended_at = time.perf_counter()
        told.seconds = [max(each, 0.0) for each in await self.all_heard()]
        await asyncio.sleep(QUIET_SECONDS)
        probing.cancel()
        told.cpu_seconds = self.cpu_seconds() - cpu
        writer.close()
        close([probe])
        return told

    async def come_back(self) -> Back:
        """Cut all at once, and let each come back as a guard does."""
        cursors = [poll.cursor for poll in self.polls]
        self.hang_up()
        await asyncio.sleep(QUIET_SECONDS)
        back, cpu, began = Back(), self.cpu_seconds(), time.perf_counter()

        async def one(cursor: bytes) -> None:
            wait = gone_seconds(2, chance=random.random())
            for failures in itertools.count(1):
                await asyncio.sleep(wait)
                try:
                    async with asyncio.timeout(ANSWER_MARGIN_SECONDS):
                        poll = await self.connect(cursor)
                        self.polls.append(poll)
                        if await poll.answer(0):
                            back.seconds.append(time.perf_counter() - began)
                            return
                except (OSError, TimeoutError):
                    pass
                back.failed += 1
                wait = back_off_seconds(failures, chance=random.random())

        coming = [asyncio.create_task(one(cursor)) for cursor in cursors]
        _, missing = await asyncio.wait(coming, timeout=GIVE_UP_SECONDS)
        for task in missing:
            task.cancel()
        back.missing = len(missing)
        back.cpu_seconds = self.cpu_seconds() - cpu
        return back

    def hang_up(self) -> None:
        """Cut every connection."""
        for poll in self.polls:
            if poll.transport is not None:
                poll.transport.abort()
        self.polls = []


async def _probe(connection: Connection, seconds: list[float]) -> None:
    """Another user's requests: how long each takes."""
    while True:
        done: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        connection.send(lambda _connection, took, _is_good, it=done: it.done() or it.set_result(took))  # type: ignore[misc]
        seconds.append(await done)
        await asyncio.sleep(PROBE_PAUSE_SECONDS)


async def measure(folder: Path, effort: Effort) -> Crowd:
    """Let them gather, tell them of sign-outs, cut them all and let them come back."""
    wanted, is_limited = size_of(effort)
    crowd = Crowd(wanted, is_limited)
    place = folder / "crowd"
    place.mkdir()
    plan = Plan(str(place), "http://localhost:1", cores()[0], sessions=TURNS)
    with running(plan, "crowd") as server:
        stage = Stage(server)
        before = stage.resident_bytes()
        await stage.gather(wanted)
        crowd.size = len(stage.polls)
        await asyncio.sleep(QUIET_SECONDS)
        crowd.held_bytes = stage.resident_bytes() - before
        cpu, began = stage.cpu_seconds(), time.perf_counter()
        await asyncio.sleep(2 * QUIET_SECONDS)
        crowd.waiting_cpu = (stage.cpu_seconds() - cpu) / (time.perf_counter() - began)
        stop_at = time.perf_counter() + TELLING_SECONDS
        for number, (_, token) in enumerate(server.pairs[:TURNS]):
            if number and time.perf_counter() > stop_at:
                break
            crowd.told.append(await stage.tell(token))
        crowd.back = await stage.come_back()
        crowd.refused = stage.refused
        stage.hang_up()
    return crowd


def report(crowd: Crowd) -> Section:
    """What one server and its crowd cost."""
    limited = "; no more files may be open (ulimit -n)" if crowd.is_limited else ""
    if crowd.size < crowd.wanted:
        limited += (
            f"; {crowd.wanted:,} would not have come within {GATHERING_SECONDS:g} s: the machine is slow, or busy"
        )
    refused = f"; {crowd.refused} POLLS WERE REFUSED" if crowd.refused else ""
    section = Section(
        f"{crowd.size:,} guards that follow one worker",
        "long polls over loopback; the server on one core, all its guards together on another" + limited + refused,
    )
    section.add(
        "memory while they wait",
        f"{crowd.held_bytes / 1e6:,.0f} MB",
        note=f"{crowd.held_bytes / crowd.size / 1e3:.1f} KB each; {crowd.waiting_cpu:.1%} of a core",
    )
    seconds = [each for told in crowd.told for each in told.seconds]
    probes = [each for told in crowd.told for each in told.probe_seconds]
    section.add(
        "one sign-out, heard by all",
        f"median {micros(median(seconds))}",
        note=f"p99 {micros(percentile(seconds, 99))}, last {micros(max(seconds))}, of {len(crowd.told)} sign-outs",
    )
    section.add(
        "the server's CPU for it",
        micros(median([told.cpu_seconds for told in crowd.told])),
        note="their next polls included",
    )
    section.add(
        "another user's request meanwhile",
        f"median {micros(median(probes))}",
        note=f"p99 {micros(percentile(probes, 99))}, max {micros(max(probes))}",
    )
    back, missing = crowd.back, f"; {crowd.back.missing} WERE NOT BACK" if crowd.back.missing else ""
    section.add(
        "all cut, and back",
        f"median {micros(median(back.seconds))}",
        note=f"from the server's return to the answer, each asking after {LONGEST_GONE_SECONDS:g} s at most; last"
        f" {micros(max(back.seconds))}; {back.failed} polls tried again{missing};"
        f" {micros(back.cpu_seconds)} of the server's CPU",
    )
    return section
