"""
Moving a whole store to another engine, in passes, while it is in service.

The first pass takes everything. Each pass after it takes what has changed since the one before began. The last one, for
which the source must be at rest, also takes what changes too often before: the counters of failed sign-ins and the
adopted tokens. How far it has come stands in the target beside the rows, so whoever is killed goes on where it was.
"""

import hashlib
import json
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Protocol

from evertoken.stores.copying.place import CopyRefused, Place
from evertoken.stores.copying.rows import Batch, LinePlace

ROWS_AT_ONCE: Final = 500
LOOKED_AT_ONCE: Final = 5_000
"""Of sessions in a later pass, most of which have not changed."""

MARGIN_MS: Final = 60_000
"""What was committed so long before a pass began, by the source's clock, is seen by it: no transaction takes longer."""

_FOREIGN: Final = ("sessions", "users", "clients")


class Progress(Protocol):
    """Told how a copy comes along."""

    def begin(self, stage: str, total: int | None) -> None:
        """A stage of the pass begins, or goes on; the total where it is known."""

    def advance(self, rows: int) -> None:
        """So many rows more were looked at."""


@dataclass(frozen=True, slots=True)
class Ends:
    """
    Where a copy goes from and to.

    Args:
        source_users, target_users: Who keeps the users; None where they are not copied.
        source_name: The address without password and parameters, for messages.
    """

    source: Place
    target: Place
    source_users: Place | None
    target_users: Place | None
    source_name: str


@dataclass(slots=True)
class State:
    """
    How far a copy has come.

    Args:
        name: The source, for messages.
        identity: The source, to tell it from others.
        run: Which run wrote this; another one that finds it changed stops.
        passes: Passes that were completed.
        since_ms: What changed later is left for the next pass; None before the first is complete.
        began_ms: When the present pass began, by the source's clock; None between passes.
        is_last: Whether the present pass is the last.
    """

    name: str
    identity: str
    run: str
    passes: int = 0
    since_ms: int | None = None
    began_ms: int | None = None
    is_last: bool = False
    stage: int = 0
    cursor: str = ""
    revocations_after: int = 0
    lines_after: list[int] = field(default_factory=lambda: [0, 0])
    lines_written: int = 0
    finished_ms: int | None = None
    copied: dict[str, int] = field(default_factory=dict)

    def text(self) -> str:
        """As it stands in the target."""
        return json.dumps(asdict(self), separators=(",", ":"))

    @classmethod
    def parse(cls, text: str) -> "State":
        """The other way round."""
        try:
            return cls(**json.loads(text))
        except (ValueError, TypeError) as error:
            raise CopyRefused("the target holds a copy that another version of evertoken began; empty it") from error


def identity_of(location: str) -> str:
    """What tells one source from another: its address without user, password and parameters."""
    return hashlib.sha256(location.encode()).hexdigest()[:32]


class Copier:
    """
    One run of a copy.

    Args:
        identity: The source's, see `identity_of`.
        progress: Told how it comes along.
        after_write: For tests: called after each step that was committed.
    """

    def __init__(
        self, ends: Ends, *, identity: str, progress: Progress, after_write: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._ends = ends
        self._identity = identity
        self._progress = progress
        self._after_write = after_write
        self._stored: str | None = None
        self._state = State("", "", "")

    async def run(self, *, finish: bool) -> State:
        """
        Take over an interrupted pass, then make one pass more, the last one if `finish`; returns what stands then.

        A copy that was finished is left as it is.

        Raises:
            CopyRefused: the target holds something else, or another run writes into it.
        """
        await self._open()
        if self._state.finished_ms is not None:
            return self._state
        was_interrupted = self._state.began_ms is not None
        if was_interrupted and not self._state.is_last:
            await self._pass()
        if finish or not was_interrupted:
            # A last pass that was interrupted begins anew: who knows what happened at the source since.
            now_ms = await self._ends.source.now_ms()
            self._state = replace(self._state, began_ms=now_ms, is_last=finish, stage=0, cursor="")
            await self._pass()
        return self._state

    async def _open(self) -> None:
        self._stored = await self._ends.target.read_state()
        run = secrets.token_hex(8)
        if self._stored is None:
            await self._refuse_foreign()
            self._state = State(self._ends.source_name, self._identity, run)
            return
        self._state = State.parse(self._stored)
        if self._state.identity != self._identity:
            raise CopyRefused(
                f"the target is a copy of {self._state.name}; go on with that one, by the same address, or name an"
                " empty target"
            )
        self._state.run = run

    async def _refuse_foreign(self) -> None:
        counts: dict[str, int] = dict(await self._ends.target.counts())
        users = self._ends.target_users
        counts["users"] = 0 if users is None else (await users.counts())["users"]
        held = [f"{counts[name]} {name}" for name in _FOREIGN if counts.get(name)]
        if held:
            raise CopyRefused(f"the target is not empty: it holds {', '.join(held)}; name an empty one")

    async def _pass(self) -> None:
        state = self._state
        stages = (self._settings, self._users, self._sessions, self._revocations, self._lines, self._rest)
        for number in range(state.stage, len(stages)):
            if state.stage != number:
                state.stage, state.cursor = number, ""
            if number == len(stages) - 1 and not state.is_last:
                continue
            await stages[number]()
        assert state.began_ms is not None
        state.since_ms, state.began_ms = state.began_ms - MARGIN_MS, None
        state.passes += 1
        state.stage, state.cursor = 0, ""
        if state.is_last:
            state.finished_ms = await self._ends.source.now_ms()
        await self._write(Batch())

    async def _write(self, batch: Batch) -> None:
        """A step: rows, and that they are there."""
        text = self._state.text()
        await self._ends.target.write(batch, state=text, state_before=self._stored)
        self._stored = text
        if self._after_write is not None:
            await self._after_write()

    def _count(self, what: str, rows: int) -> None:
        self._state.copied[what] = self._state.copied.get(what, 0) + rows
        self._progress.advance(rows)

    async def _settings(self) -> None:
        source = self._ends.source
        self._progress.begin("keys and clients", None)
        keys, clients = await source.read_keys(), await source.read_clients()
        # The target may have made a key when it was tried out; later, in service, it may make one that must stay.
        is_first = self._state.passes == 0
        await self._write(Batch(keys=keys, clients=clients, only_these_keys=is_first, only_these_clients=True))

    async def _users(self) -> None:
        source, target = self._ends.source_users, self._ends.target_users
        if source is None or target is None:
            return
        self._progress.begin("users", (await source.counts())["users"])
        while rows := await source.read_users(self._state.cursor, ROWS_AT_ONCE):
            if target is not self._ends.target:  # before the cursor says so; twice is as once
                await target.write(Batch(users=rows), state=None, state_before=None)
            self._state.cursor = rows[-1].id
            self._count("users", len(rows))
            await self._write(Batch(users=rows if target is self._ends.target else []))

    async def _sessions(self) -> None:
        source, state = self._ends.source, self._state
        self._progress.begin("sessions", (await source.counts())["sessions"])
        limit = ROWS_AT_ONCE if state.since_ms is None else LOOKED_AT_ONCE
        cursor: str | None = state.cursor
        while cursor is not None:
            part = await source.read_sessions(cursor, limit, since_ms=state.since_ms)
            state.copied["sessions"] = state.copied.get("sessions", 0) + len(part.sessions)
            self._progress.advance(part.seen)
            cursor = part.cursor
            if cursor is not None:
                state.cursor = cursor
            await self._write(Batch(sessions=part.sessions, events=part.events))

    async def _revocations(self) -> None:
        source, state = self._ends.source, self._state
        self._progress.begin("revocations", None)
        await source.settle()
        highest = await source.highest_revocation()
        while rows := await source.read_revocations(state.revocations_after, ROWS_AT_ONCE):
            state.revocations_after = rows[-1].seq
            self._count("revocations", len(rows))
            await self._write(Batch(revocations=rows, highest_revocation=rows[-1].seq))
        await self._write(Batch(highest_revocation=highest))

    async def _lines(self) -> None:
        source, state = self._ends.source, self._state
        self._progress.begin("audit trail", None)
        assert state.began_ms is not None
        # A line that is younger may have one before it that is not committed yet.
        before_ms = _FOR_EVER_MS if state.is_last else state.began_ms - MARGIN_MS
        while found := await source.read_lines(LinePlace(*state.lines_after), before_ms, ROWS_AT_ONCE):
            written = state.lines_written
            state.lines_after = list(found[-1][0])
            state.lines_written += len(found)
            self._count("lines", len(found))
            await self._write(Batch(lines=[line for _, line in found], lines_written=written))

    async def _rest(self) -> None:
        source = self._ends.source
        self._progress.begin("failed sign-ins and adopted tokens", None)
        self._state.copied.pop("attempts", None)
        self._state.copied.pop("adoptions", None)
        async for attempts in source.read_attempts():
            self._count("attempts", len(attempts))
            await self._write(Batch(attempts=attempts))
        async for adoptions in source.read_adoptions():
            self._count("adoptions", len(adoptions))
            await self._write(Batch(adoptions=adoptions))


_FOR_EVER_MS: Final = 2**62


def summary(state: State) -> Mapping[str, Any]:
    """What a script reads of it."""
    return {
        "from": state.name,
        "passes": state.passes,
        "finished": state.finished_ms is not None,
        "finished_at_ms": state.finished_ms,
        "copied": dict(state.copied),
    }
