"""
A whole store in SQL tables, whichever engine has them: the tables are the same in each but for what a `Dialect` says.

Rows are written by DELETE and INSERT, in one transaction with the place the copy has come to: no engine's own way to
insert or update is needed.
"""

import abc
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Final, Protocol

from evertoken.accounts.clients import Client
from evertoken.sessions.keys import StoredKey
from evertoken.stores.copying.place import AnotherCopies, Trait, Version
from evertoken.stores.copying.rows import (
    AdoptionRow,
    AttemptRow,
    Batch,
    EventRow,
    LinePlace,
    RevocationRow,
    SessionPart,
    SessionRow,
    There,
    UserRow,
    numbered,
    takes_its_place,
)

STATE_TABLE: Final = "copying"
"""Made in the target by the first copy, one row."""

_COUNTED: Final = ("users", "sessions", "revocations", "events", "signing_keys", "clients", "throttle", "adoptions")
_AT_ONCE: Final = 500
_SESSION: Final = ", ".join(SessionRow._fields)
_EVENT: Final = ", ".join(EventRow._fields).replace("counted", "count")
_USER: Final = ", ".join(UserRow._fields)
_ATTEMPT: Final = ", ".join(AttemptRow._fields)
_ADOPTION: Final = ", ".join(AdoptionRow._fields)
_KEY: Final = "kid, algorithm, private_wrapped, signs_from_ms, verifies_until_ms"
_CLIENT: Final = "id, secret_digest, created_at_ms"

# Each refresh, sign-in and end has its time in the row. A session that went on while its user's password was changed,
# and a late duplicate, have none: but the epoch and the counter of those are not 0.
_CHANGED: Final = "(refreshed_at_ms >= {0} OR revoked_at_ms >= {0} OR user_epoch <> 0 OR unusual <> 0)"

Values = Sequence[Any]


class Connection(Protocol):
    """What is asked of an engine's driver. Values stand for `{0}`, `{1}`, ... of a statement, in their order."""

    async def fetch(self, sql: str, *values: Any) -> list[Sequence[Any]]:
        """Rows."""

    async def run(self, sql: str, *values: Any) -> None:
        """A statement without an answer."""

    async def run_each(self, sql: str, rows: Sequence[Values]) -> None:
        """The same statement for each of these rows."""

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """Commits at the end; undone where the body raises."""

    async def close(self) -> None:
        """Let go of it."""


class SqlPlace(abc.ABC):
    """
    Implements `Place` but for what an engine says of itself.

    Args:
        for_update: What a SELECT ends with that must find the rows as they are written back.
        highest_sql: Finds the highest number that was ever given to a revocation. With `for_update` behind it, nobody
            gives one until the transaction ends.
    """

    for_update = " FOR UPDATE"
    highest_sql = "SELECT last FROM revocation_counter"

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    # What each engine says of itself

    @abc.abstractmethod
    async def version(self) -> Version:
        """As `Place.version`."""

    @abc.abstractmethod
    async def traits(self, *, deep: bool) -> list[Trait]:
        """As `Place.traits`."""

    @abc.abstractmethod
    async def now_ms(self) -> int:
        """As `Place.now_ms`."""

    @abc.abstractmethod
    def session_of(self, row: Sequence[Any]) -> SessionRow:
        """A row of the table of sessions, its columns in the order of `SessionRow`."""

    @abc.abstractmethod
    def columns_of(self, row: SessionRow) -> Values:
        """The other way round."""

    @abc.abstractmethod
    async def raise_revocation(self, highest: int) -> None:
        """Give no number up to this one any more."""

    @abc.abstractmethod
    async def has_table(self, name: str) -> bool:
        """Whether there is such a table beside ours."""

    def state_table(self) -> str:
        """The name under which statements find it."""
        return STATE_TABLE

    def among(self, column: str, values: Sequence[Any], first: int = 0) -> tuple[str, Values]:
        """The condition that a column has one of these values, and what stands for its places."""
        return f"{column} IN ({', '.join(f'{{{first + number}}}' for number in range(len(values)))})", values

    def text(self, text: str | None) -> str | None:
        """A text as this engine can keep it."""
        return text

    # Reading

    async def close(self) -> None:
        await self._connection.close()

    async def counts(self) -> Mapping[str, int]:
        counted = {}
        for table in _COUNTED:
            counted[table] = int((await self._connection.fetch(f"SELECT count(*) FROM {table}"))[0][0])
        return counted

    async def read_users(self, after: str, limit: int) -> list[UserRow]:
        rows = await self._connection.fetch(
            f"SELECT {_USER} FROM users WHERE id > {{0}} ORDER BY id LIMIT {limit}", after
        )
        return [UserRow(*row)._replace(disabled=bool(row[5])) for row in rows]

    async def users_there(self, user_ids: Sequence[str]) -> set[str]:
        if not user_ids:
            return set()
        condition, values = self.among("id", list(user_ids))
        return {row[0] for row in await self._connection.fetch(f"SELECT id FROM users WHERE {condition}", *values)}

    async def read_clients(self) -> list[Client]:
        return [Client(*row) for row in await self._connection.fetch(f"SELECT {_CLIENT} FROM clients ORDER BY id")]

    async def read_keys(self) -> list[StoredKey]:
        rows = await self._connection.fetch(f"SELECT {_KEY} FROM signing_keys ORDER BY signs_from_ms, kid")
        return [StoredKey(*row) for row in rows]

    async def read_sessions(self, cursor: str, limit: int, *, since_ms: int | None, events: bool = True) -> SessionPart:
        after = bytes.fromhex(cursor)
        ids = await self._connection.fetch(f"SELECT id FROM sessions WHERE id > {{0}} ORDER BY id LIMIT {limit}", after)
        if not ids:
            return SessionPart([], [], 0, None)
        last = bytes(ids[-1][0])
        changed, values = ("", []) if since_ms is None else (" AND " + _CHANGED.replace("{0}", "{2}"), [since_ms])
        rows = await self._connection.fetch(
            f"SELECT {_SESSION} FROM sessions WHERE id > {{0}} AND id <= {{1}}{changed} ORDER BY id",
            *(after, last, *values),
        )
        sessions = [self.session_of(row) for row in rows]
        lines = await self._lines_of([row.id for row in sessions]) if events else []
        return SessionPart(sessions, lines, len(ids), last.hex() if len(ids) == limit else None)

    async def _lines_of(self, session_ids: list[bytes]) -> list[EventRow]:
        lines: list[EventRow] = []
        for start in range(0, len(session_ids), _AT_ONCE):
            condition, values = self.among("session_id", session_ids[start : start + _AT_ONCE])
            rows = await self._connection.fetch(
                f"SELECT {_EVENT} FROM events WHERE {condition} ORDER BY session_id, id", *values
            )
            lines += [EventRow(*row) for row in rows]
        return lines

    async def settle(self) -> None:  # noqa: B027 - an end and its place in the feed are one transaction
        """As `Place.settle`: there is nothing to do."""

    async def read_revocations(self, after: int, limit: int) -> list[RevocationRow]:
        rows = await self._connection.fetch(
            f"SELECT seq, session_id, at_ms FROM revocations WHERE seq > {{0}} ORDER BY seq LIMIT {limit}", after
        )
        return [RevocationRow(*row) for row in rows]

    async def highest_revocation(self) -> int:
        return await self._highest("")

    async def _highest(self, ending: str) -> int:
        rows = await self._connection.fetch(self.highest_sql + ending)
        return int(rows[0][0]) if rows else 0

    async def read_lines(self, after: LinePlace, before_ms: int, limit: int) -> list[tuple[LinePlace, EventRow]]:
        rows = await self._connection.fetch(
            f"SELECT id, {_EVENT} FROM events WHERE session_id IS NULL AND last_at_ms >= {{0}} AND last_at_ms < {{1}}"
            f" AND (last_at_ms > {{0}} OR id > {{2}}) ORDER BY last_at_ms, id LIMIT {limit}",
            *(after.at_ms, before_ms, after.number),
        )
        return [(LinePlace(row[3], row[0]), EventRow(*list(row)[1:])) for row in rows]

    async def read_attempts(self) -> AsyncIterator[list[AttemptRow]]:
        after = b""
        while rows := await self._connection.fetch(
            f"SELECT {_ATTEMPT} FROM throttle WHERE key > {{0}} ORDER BY key LIMIT {_AT_ONCE}", after
        ):
            after = rows[-1][0]
            yield [AttemptRow(*row) for row in rows]

    async def read_adoptions(self) -> AsyncIterator[list[AdoptionRow]]:
        after = b""
        while rows := await self._connection.fetch(
            f"SELECT {_ADOPTION} FROM adoptions WHERE fingerprint > {{0}} ORDER BY fingerprint LIMIT {_AT_ONCE}", after
        ):
            after = rows[-1][0]
            yield [AdoptionRow(*row) for row in rows]

    # Writing

    async def read_state(self) -> str | None:
        if not await self.has_table(STATE_TABLE):
            return None
        rows = await self._connection.fetch(f"SELECT state FROM {self.state_table()}")
        return rows[0][0] if rows else None

    async def write(self, batch: Batch, *, state: str | None, state_before: str | None) -> None:
        if state is not None and state_before is None:
            await self._connection.run(
                f"CREATE TABLE IF NOT EXISTS {self.state_table()} (one integer PRIMARY KEY, state text NOT NULL)"
            )
        async with self._connection.transaction():
            if state is not None:
                await self._put_state(state, state_before)
            await self._put_users(batch.users)
            await self._put_settings(batch)
            await self._put_sessions(batch)
            await self._put_revocations(batch)
            await self._insert("events", _EVENT, [self._line(line) for line in batch.lines])
            await self._put("throttle", "key", _ATTEMPT, batch.attempts)
            await self._put("adoptions", "fingerprint", _ADOPTION, batch.adoptions)

    async def _put_state(self, state: str, before: str | None) -> None:
        """First, so that of two copies one waits here for the other and then finds that it is not alone."""
        table = self.state_table()
        if before is None:
            await self._connection.run(f"INSERT INTO {table} (one, state) VALUES (1, {{0}})", state)
            return
        rows = await self._connection.fetch(f"SELECT state FROM {table}{self.for_update}")
        if not rows or rows[0][0] != before:
            raise AnotherCopies
        await self._connection.run(f"UPDATE {table} SET state = {{0}}", state)

    async def _put_users(self, users: list[UserRow]) -> None:
        if not users:
            return
        condition, values = self.among("id", [user.id for user in users])
        rows = await self._connection.fetch(f"SELECT id, epoch FROM users WHERE {condition}{self.for_update}", *values)
        there = dict(map(tuple, rows))
        # An account that was changed at the target already is newer there.
        taken = [user for user in users if user.epoch >= there.get(user.id, 0)]
        await self._put("users", "id", _USER, [self._user(user) for user in taken])

    async def _put_settings(self, batch: Batch) -> None:
        if batch.only_these_clients:
            await self._connection.run("DELETE FROM clients")
        if batch.only_these_keys:
            await self._connection.run("DELETE FROM signing_keys")
        clients = [(client.id, client.secret_digest, client.created_at_ms) for client in batch.clients]
        await self._put("clients", "id", _CLIENT, clients)
        keys = [
            (key.kid, key.algorithm, key.private_wrapped, key.signs_from_ms, key.verifies_until_ms)
            for key in batch.keys
        ]
        await self._put("signing_keys", "kid", _KEY, keys)

    async def _put_sessions(self, batch: Batch) -> None:
        lines: dict[bytes | None, list[EventRow]] = {}
        for line in batch.events:
            lines.setdefault(line.session_id, []).append(line)
        for start in range(0, len(batch.sessions), _AT_ONCE):
            some = batch.sessions[start : start + _AT_ONCE]
            condition, values = self.among("id", [row.id for row in some])
            rows = await self._connection.fetch(
                f"SELECT id, revoked_at_ms, refreshed_at_ms FROM sessions WHERE {condition}{self.for_update}", *values
            )
            there = {bytes(row[0]): There(row[1], row[2]) for row in rows}
            taken = [row for row in some if takes_its_place(row, there.get(row.id))]
            if there:
                again = [row.id for row in taken]
                await self._remove("sessions", "id", again)
                await self._remove("events", "session_id", again)
            await self._insert("sessions", _SESSION, [self.columns_of(row) for row in taken])
            theirs = [line for row in taken for line in lines.get(row.id, ())]
            await self._insert("events", _EVENT, [self._line(line) for line in theirs])

    async def _put_revocations(self, batch: Batch) -> None:
        if not batch.revocations and not batch.highest_revocation:
            return
        highest = await self._highest(self.for_update)
        rows = numbered(batch.revocations, highest, now_ms=await self.now_ms())
        await self._insert("revocations", "seq, session_id, at_ms", rows)
        await self.raise_revocation(max(highest, batch.highest_revocation, *(row.seq for row in rows)))

    async def _put(self, table: str, key: str, columns: str, rows: Sequence[Values]) -> None:
        """Rows whose key is the first of their columns, in place of those that are there."""
        await self._remove(table, key, [row[0] for row in rows])
        await self._insert(table, columns, rows)

    async def _remove(self, table: str, key: str, keys: Sequence[Any]) -> None:
        for start in range(0, len(keys), _AT_ONCE):
            condition, values = self.among(key, keys[start : start + _AT_ONCE])
            await self._connection.run(f"DELETE FROM {table} WHERE {condition}", *values)

    async def _insert(self, table: str, columns: str, rows: Sequence[Values]) -> None:
        if rows:
            places = ", ".join(f"{{{number}}}" for number in range(columns.count(",") + 1))
            await self._connection.run_each(f"INSERT INTO {table} ({columns}) VALUES ({places})", rows)

    def _line(self, line: EventRow) -> EventRow:
        return line._replace(
            user_id=self.text(line.user_id),
            username=self.text(line.username),
            address=self.text(line.address) or "",
            device=self.text(line.device) or "",
            detail=self.text(line.detail) or "{}",
        )

    def _user(self, user: UserRow) -> UserRow:
        return user._replace(username=self.text(user.username) or "", username_key=self.text(user.username_key) or "")
