"""evertoken store reapply-revocations: ends again what the log says was ended and a restored store has alive."""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click

from evertoken.cli.options import store_only, with_store
from evertoken.clock import system_clock
from evertoken.edge.log_reading import MAX_LINE_CHARACTERS, BadLine, SessionsEnded, UserSignedOut, read_line
from evertoken.edge.settings import Settings
from evertoken.sessions.model import Caller, Event, EventKind
from evertoken.sessions.rotation import Reason
from evertoken.stores.store import Store

_BY_LOG: Final = Caller("", "evertoken command line: reapply-revocations")
_AT_ONCE: Final = 64
_PAGE: Final = 200


@dataclass(slots=True)
class _Tally:
    """What became of what the log says."""

    ended: int = 0
    over: int = 0
    unknown: int = 0
    bad_lines: int = 0
    lines: int = 0
    seen: set[bytes] = field(default_factory=set)
    disabled: dict[str, str] = field(default_factory=dict)


@click.command("reapply-revocations")
@click.argument("log")
@click.option("--dry-run", is_flag=True, help="Say what would be ended; end nothing.")
@store_only
def reapply_revocations(log: str, dry_run: bool, **given: Any) -> None:
    """
    End again what LOG says was ended and the store has alive: for the time after a restore.

    LOG is the server's log in JSON lines, or - for standard input. Any part of it will do, of one server or of all, in
    any order, and again: a session that is over stays as it is, and one that the log does not name goes on.
    """
    if log != "-" and not Path(log).is_file():
        raise click.ClickException(f"there is no log {log}")

    async def work(store: Store, settings: Settings) -> None:
        tally = _Tally()
        with click.open_file(log, encoding="utf-8", errors="replace") as lines:
            await _Reapplying(store, tally, dry_run=dry_run).read(_each(lines))
        if tally.ended and not dry_run:
            detail = {"ended": tally.ended, "unknown": tally.unknown}
            await store.record(Event(EventKind.REVOCATIONS_REAPPLIED, system_clock(), caller=_BY_LOG, detail=detail))
        _say(tally, dry_run=dry_run)
        if not settings.user_directory:
            await _say_who_is_enabled(store, tally)

    with_store(given, work)


def _each(lines: Any) -> Iterable[str]:
    """Lines, the end of one that is far too long left out."""
    while line := lines.readline(MAX_LINE_CHARACTERS + 2):
        yield line
        while line and not line.endswith("\n") and len(line) > MAX_LINE_CHARACTERS:
            line = lines.readline(MAX_LINE_CHARACTERS + 2)


class _Reapplying:
    """Goes through a log, some ends at a time."""

    def __init__(self, store: Store, tally: _Tally, *, dry_run: bool) -> None:
        self._store = store
        self._tally = tally
        self._dry_run = dry_run
        self._waiting: list[tuple[bytes, Reason]] = []

    async def read(self, lines: Iterable[str]) -> None:
        """Read it to its end."""
        for line in lines:
            self._tally.lines += 1
            try:
                said = read_line(line)
            except BadLine:
                self._tally.bad_lines += 1
                continue
            if isinstance(said, SessionsEnded):
                self._wait(said.session_ids, said.reason)
                if len(self._waiting) >= _AT_ONCE:
                    await self._end_those()
            elif isinstance(said, UserSignedOut):
                await self._end_those()  # each of them has its own reason; what is left has that of the account
                await self._sign_out(said)
        await self._end_those()

    def _wait(self, session_ids: Iterable[bytes], reason: Reason) -> None:
        for session_id in session_ids:
            if session_id not in self._tally.seen:
                self._tally.seen.add(session_id)
                self._waiting.append((session_id, reason))

    async def _end_those(self) -> None:
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), _AT_ONCE):
            some = waiting[start : start + _AT_ONCE]
            found = await asyncio.gather(*(self._store.find(session_id) for session_id, _ in some))
            for (session_id, reason), record in zip(some, found, strict=True):
                if record is None:
                    self._tally.unknown += 1
                elif record.revoked_at_ms is not None:
                    self._tally.over += 1
                else:
                    await self._end(session_id, reason)

    async def _sign_out(self, said: UserSignedOut) -> None:
        """Those of a user's that had begun before; a server that died in between has told of no session by itself."""
        if said.reason is Reason.ACCOUNT_DISABLED:
            self._tally.disabled[said.user_id] = said.user_id
        for session_id in await self._begun_before(said):
            if session_id not in self._tally.seen:
                self._tally.seen.add(session_id)
                await self._end(session_id, said.reason)

    async def _begun_before(self, said: UserSignedOut) -> Sequence[bytes]:
        found: list[bytes] = []
        last = None
        while page := await self._store.list_sessions(user_id=said.user_id, live_only=False, after=last, limit=_PAGE):
            last = page[-1].id
            found += [
                record.id
                for record in page
                if record.revoked_at_ms is None and record.created_at_ms < said.at_ms and record.id != said.kept
            ]
        return found

    async def _end(self, session_id: bytes, reason: Reason) -> None:
        if self._dry_run:
            self._tally.ended += 1
            return
        ended = await self._store.end(session_id, reason, _BY_LOG)
        if ended.session_ids:
            self._tally.ended += 1
        else:
            self._tally.over += 1  # a running server was quicker


def _say(tally: _Tally, *, dry_run: bool) -> None:
    done = "would be ended again" if dry_run else "ended again"
    click.echo(f"{tally.ended} {done}, {tally.over} were over already, {tally.unknown} are unknown")
    if tally.bad_lines:
        hint = "; is it a log in JSON (log_format)?" if tally.bad_lines == tally.lines else ""
        click.echo(f"{tally.bad_lines} of {tally.lines} lines could not be read{hint}", err=True)


async def _say_who_is_enabled(store: Store, tally: _Tally) -> None:
    """A disabled account is no revocation, but whoever restores wants to know."""
    for user_id in tally.disabled:
        user = await store.find_by_id(user_id)
        if user is not None and not user.disabled:
            click.echo(f"note: the log says that {user.username} was disabled; enabled here", err=True)
