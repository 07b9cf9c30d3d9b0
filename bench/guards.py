"""
What a guard costs: a guarded GET beside the same GET unguarded, framework by framework, and beside other libraries.

All over sockets: a process for each framework, on one core, under the same uvicorn; WSGI applications are called in its
event loop (`guards_wsgi`). What is compared is CPU: `requests per second` are those that one core could answer if it
did nothing else, which the load on the other core does not always ask for. The notes say what there was by the clock.
"""

import contextlib
import urllib.error
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.effort import Effort, cores
from bench.guards_load import CONNECTIONS, Load
from bench.guards_server import ALGORITHMS, PEER
from bench.load import Tally
from bench.processes import ServerProcess, running
from bench.report import Section, at_least, at_most, median, micros, rate, ratio
from bench.serve import Plan

TURNS_PER_SECOND = 6
"""
Short turns: whatever else the machine does then falls on all sides alike.

Not shorter: a turn shows every token several times, or what a guard remembers comes from memory and not from caches.
"""
AT_FIRST_SIGHT = 250
"""How many tokens a round shows to a guard that has forgotten them, at most."""


@dataclass(frozen=True, slots=True)
class Form:
    """
    A way to guard a route in a framework.

    Args:
        goal: How many times the CPU of the unguarded route it may take, once a token was seen.
    """

    what: str
    path: str
    goal: float


@dataclass(frozen=True, slots=True)
class Peer:
    """Another library in the same framework; and how many times as many requests ours must let through."""

    name: str
    goal: float


@dataclass(frozen=True, slots=True)
class Framework:
    """
    One framework.

    Args:
        kind: The module, `bench.guards_...`; several may be in one.
        is_close: Its goals lie close to what is measured: twice as many rounds.
    """

    name: str
    kind: str
    forms: tuple[Form, ...]
    plain: str = "/plain"
    peer: Peer | None = None
    is_close: bool = False


STARLETTE = Framework(
    "Starlette",
    "starlette",
    (Form("GuardMiddleware", "/middleware", 1.1), Form("@requires", "/requires", 1.15)),
    is_close=True,
)
FRAMEWORKS = (
    STARLETTE,
    Framework(
        "FastAPI",
        "fastapi",
        (Form("Depends", "/guarded", 1.25),),
        peer=Peer("fastapi-users", 25),
        is_close=True,
    ),
    Framework("Litestar", "litestar", (Form("TokenAuth", "/guarded", 1.25),)),
    Framework("Flask", "flask", (Form("@guarded", "/guarded", 1.15),), peer=Peer("flask-jwt-extended", 8)),
    Framework("Django", "django", (Form("@guarded", "/guarded", 1.15),)),
    Framework(
        "Django REST",
        "django",
        (Form("AccessTokenAuthentication", "/drf/guarded", 1.15),),
        plain="/drf/plain",
        peer=Peer("simplejwt", 8),
    ),
)


class Side:
    """One route with its tokens, over connections of its own."""

    def __init__(self, load: Load, tokens: int) -> None:
        self._load = load
        self._tokens = tokens
        self.tallies: list[Tally] = []
        self.first_sight: list[Tally] = []

    def warm(self) -> None:
        """So that every token has been seen."""
        self._load.run(requests=self._tokens)

    def turn(self, seconds: float) -> None:
        """One more round."""
        self.tallies.append(self._load.run(seconds=seconds))

    def turn_at_first_sight(self, server: ServerProcess) -> None:
        """One more round of tokens that the guard has forgotten, each once."""
        server.get("/forget")
        self.first_sight.append(self._load.run(requests=min(self._tokens, AT_FIRST_SIGHT)))

    def refused(self) -> int:
        """Requests that did not get through."""
        return sum(tally.refused for tally in (*self.tallies, *self.first_sight))


@dataclass(slots=True)
class Measured:
    """A framework's rounds: what is unguarded, each form by algorithm, the other library, and ours on Starlette."""

    framework: Framework
    plain: Side
    forms: dict[tuple[Form, str], Side] = field(default_factory=dict)
    peer: Side | None = None
    starlette: Side | None = None

    def sides(self) -> list[Side]:
        """All of them."""
        return [self.plain, *self.forms.values(), *(side for side in (self.peer, self.starlette) if side is not None)]


def measure(folder: Path, effort: Effort) -> list[Measured]:
    """One framework after the other. The process with Starlette stays: the other libraries are measured against it."""
    measured = []
    with contextlib.ExitStack() as stack:
        servers: dict[str, ServerProcess] = {}
        for framework in FRAMEWORKS:
            if framework.kind not in servers:
                place = folder / framework.kind
                place.mkdir()
                plan = Plan(str(place), kind=framework.kind, core=cores()[0], access_tokens=effort.tokens)
                servers[framework.kind] = stack.enter_context(running(plan, "bench.guards_server"))
            measured.append(_measure(framework, servers, effort, stack))
    return measured


def _measure(
    framework: Framework, servers: dict[str, ServerProcess], effort: Effort, stack: contextlib.ExitStack
) -> Measured:
    server, beside = servers[framework.kind], servers[STARLETTE.kind]
    measured = _opened(framework, server, beside, stack)
    sides = measured.sides()
    for each in sides:
        each.warm()
    for number in range(effort.rounds * (2 if framework.is_close else 1)):
        for each in sides if number % 2 else reversed(sides):
            each.turn(effort.seconds / TURNS_PER_SECOND)
        for each in measured.forms.values():
            each.turn_at_first_sight(server)
        for each in measured.forms.values():
            each.warm()
        if measured.starlette is not None:
            measured.starlette.turn_at_first_sight(beside)
            measured.starlette.warm()
    return measured


def _opened(
    framework: Framework, server: ServerProcess, beside: ServerProcess, stack: contextlib.ExitStack
) -> Measured:
    """The sides of a framework's comparisons, each connected."""

    def side(at: ServerProcess, path: str, tokens: str) -> Side:
        known = at.told.access_tokens[tokens]
        load = Load(at.told.port, path, known, at.cpu_seconds)
        stack.callback(load.close)
        return Side(load, len(known))

    measured = Measured(framework, side(server, framework.plain, ALGORITHMS[0].value))
    for form in framework.forms:
        _check(server, framework.plain, form.path)
        for algorithm in ALGORITHMS:
            measured.forms[form, algorithm.value] = side(server, form.path, algorithm.value)
    if framework.peer is not None:
        _check(server, framework.plain, f"/{PEER}")
        measured.peer = side(server, f"/{PEER}", PEER)
        measured.starlette = side(beside, STARLETTE.forms[0].path, "HS256")
    return measured


def _check(server: ServerProcess, plain: str, guarded: str) -> None:
    """
    Make sure that what is compared is an open and a guarded route.

    Raises:
        RuntimeError: It is not.
    """
    found = [_status(server, path) for path in (plain, guarded)]
    if found != [200, 401]:
        raise RuntimeError(f"{plain} and {guarded} without a token: {found} instead of [200, 401]")


def _status(server: ServerProcess, path: str) -> int:
    try:
        server.get(path)
    except urllib.error.HTTPError as error:
        return error.code
    return 200


async def run(folder: Path, effort: Effort) -> list[Section]:
    """Measure, and say what was found."""
    measured = measure(folder, effort)
    return [_costs(measured, effort), _beside_others(measured)]


def _costs(measured: Sequence[Measured], effort: Effort) -> Section:
    """The guard's share of the CPU."""
    section = Section(
        "A guarded GET, framework by framework",
        f"CPU of the server process; uvicorn on one core, {CONNECTIONS} connections, {effort.tokens} tokens in turn"
        + _refused(measured),
    )
    for each in measured:
        plain = _cpu(each.plain.tallies)
        section.add(f"{each.framework.name}, unguarded", f"{micros(median(plain))} CPU", note=_rate(each.plain.tallies))
        for (form, algorithm), side in each.forms.items():
            for sight, tallies in (("seen before", side.tallies), ("first sight", side.first_sight)):
                cpu = _cpu(tallies)
                section.add(
                    f"{each.framework.name} {form.what}, {algorithm}, guarded, {sight}",
                    f"{micros(median(cpu))} CPU",
                    value=ratio(cpu, plain),
                    goal=at_most(form.goal) if tallies is side.tallies else None,
                    note=_rate(tallies),
                )
    return section


def _beside_others(measured: Sequence[Measured]) -> Section:
    """
    Requests per second of one core: whole requests, ours on Starlette and in the framework of the other library.

    And the guards alone, which is what is left when the unguarded route of the same framework is taken off.
    """
    section = Section(
        "Guarded GETs beside other libraries, HS256",
        "requests per second of the server's CPU; the others as their documentation says, users in memory",
    )
    for each in measured:
        peer, starlette, framework = each.framework.peer, each.starlette, each.framework
        if peer is None or each.peer is None or starlette is None:
            continue
        ours = each.forms[framework.forms[0], "HS256"]
        plain, theirs = _cpu(each.plain.tallies), _cpu(each.peer.tallies)
        section.add(f"{peer.name} in {framework.name}", _per_cpu(theirs), note=f"{micros(median(theirs))} CPU")
        for what, tallies, goal in (
            ("on Starlette, seen before", starlette.tallies, at_least(peer.goal)),
            ("on Starlette, first sight", starlette.first_sight, None),
            (f"in {framework.name}, seen before", ours.tallies, None),
            (f"in {framework.name}, first sight", ours.first_sight, None),
        ):
            cpu = _cpu(tallies)
            section.add(
                f"... evertoken {what}",
                _per_cpu(cpu),
                value=ratio(theirs, cpu),
                goal=goal,
                note=f"by the clock {ratio(_rates(tallies), _rates(each.peer.tallies)):.1f}x",
            )
        alone = median([cpu - base for cpu, base in zip(theirs, plain, strict=True)])
        for what, tallies in (("seen before", ours.tallies), ("first sight", ours.first_sight)):
            own = median([cpu - base for cpu, base in zip(_cpu(tallies), plain, strict=True)])
            section.add(
                f"... the guard alone in {framework.name}, {what}",
                f"{micros(own)} CPU",
                value=alone / own if own > 0 else None,
                note=f"theirs {micros(alone)}",
            )
    return section


def _cpu(tallies: Sequence[Tally]) -> list[float]:
    return [tally.cpu_each for tally in tallies]


def _rates(tallies: Sequence[Tally]) -> list[float]:
    return [tally.per_second for tally in tallies]


def _rate(tallies: Sequence[Tally]) -> str:
    return rate(median(_rates(tallies)))


def _per_cpu(cpu: Sequence[float]) -> str:
    return rate(1 / median(cpu))


def _refused(measured: Sequence[Measured]) -> str:
    refused = sum(side.refused() for each in measured for side in each.sides())
    return f"; {refused} WERE REFUSED" if refused else ""
