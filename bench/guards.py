"""A guarded GET beside the same GET unguarded: CPU of the server process per request."""

from dataclasses import dataclass, field
from pathlib import Path

from bench.effort import Effort, cores
from bench.load import Closed, Tally, close, connect, get
from bench.processes import ServerProcess, running
from bench.report import Section, at_most, median, micros, rate, ratio
from bench.serve import Plan

CONNECTIONS = 32
ALGORITHMS = ("ES256", "HS256")


class _TakingTurns:
    """Each answer is followed by the request with the next token."""

    def __init__(self, path: str, tokens: list[str]) -> None:
        self._requests = [get(path, token) for token in tokens]
        self._at = 0

    def __call__(self, _answer: bytes) -> bytes:
        self._at = (self._at + 1) % len(self._requests)
        return self._requests[self._at]

    def first(self) -> list[bytes]:
        """What each connection begins with."""
        return [self(b"") for _ in range(CONNECTIONS)]


@dataclass(slots=True)
class Measured:
    """CPU per request of each side, round by round."""

    tokens: int = 0
    plain: dict[str, list[Tally]] = field(default_factory=lambda: {name: [] for name in ALGORITHMS})
    seen: dict[str, list[Tally]] = field(default_factory=lambda: {name: [] for name in ALGORITHMS})
    first_sight: dict[str, list[Tally]] = field(default_factory=lambda: {name: [] for name in ALGORITHMS})

    def refused(self) -> int:
        """Requests that did not get through."""
        sides = (self.plain, self.seen, self.first_sight)
        return sum(tally.refused for side in sides for tallies in side.values() for tally in tallies)


async def measure(folder: Path, effort: Effort) -> Measured:
    """Alternate, for each algorithm: unguarded, tokens seen before, unguarded, every token for the first time."""
    measured = Measured(effort.tokens)
    with running(Plan(str(folder), kind="guarded", core=cores()[0], access_tokens=effort.tokens)) as server:
        for algorithm in ALGORITHMS:
            tokens = server.told.access_tokens[algorithm]
            plain, guarded = await _load(server, "/plain", tokens), await _load(server, f"/{algorithm}", tokens)
            await plain.run(seconds=effort.seconds / 3)
            for _ in range(effort.rounds):
                await guarded.run(requests=2 * len(tokens))  # so that every token has been seen
                measured.plain[algorithm].append(await plain.run(seconds=effort.seconds))
                measured.seen[algorithm].append(await guarded.run(seconds=effort.seconds))
                server.get("/forget")
                measured.first_sight[algorithm].append(await guarded.run(requests=len(tokens)))
            plain.close()
            guarded.close()
    return measured


async def _load(server: ServerProcess, path: str, tokens: list[str]) -> "_Load":
    turns = _TakingTurns(path, tokens)
    connections = await connect(server.told.port, turns.first(), [turns] * CONNECTIONS)
    return _Load(connections, server.cpu_seconds)


class _Load(Closed):
    def close(self) -> None:
        """Hang up."""
        close(self._connections)


async def run(folder: Path, effort: Effort) -> list[Section]:
    """Measure, and say what was found."""
    return [report(await measure(folder, effort))]


def report(measured: Measured) -> Section:
    """The guard's share of the CPU."""
    refused = measured.refused()
    section = Section(
        "A guarded GET (Starlette and GuardMiddleware)",
        f"uvicorn on one core, {CONNECTIONS} connections, {measured.tokens} tokens in turn"
        + (f"; {refused} WERE REFUSED" if refused else ""),
    )
    for algorithm in ALGORITHMS:
        sides = {
            "unguarded": measured.plain[algorithm],
            "guarded, seen before": measured.seen[algorithm],
            "guarded, first sight": measured.first_sight[algorithm],
        }
        plain = [tally.cpu_each for tally in measured.plain[algorithm]]
        for name, tallies in sides.items():
            cpu = [tally.cpu_each for tally in tallies]
            section.add(
                f"{algorithm}, {name}",
                f"{micros(median(cpu))} CPU",
                value=None if name == "unguarded" else ratio(cpu, plain),
                goal=at_most(1.1) if name == "guarded, seen before" else None,
                note=rate(median([tally.per_second for tally in tallies])),
            )
    return section
