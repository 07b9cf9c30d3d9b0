"""The SQLite store, held to the contract of every store."""

import asyncio

import pytest

from evertoken.sessions.operating import SessionSearch
from evertoken.sessions.rotation import Outcome
from evertoken.stores import walking
from evertoken.stores.sqlite import operating, sessions, tables
from evertoken.stores.sqlite.sweeping import Sweeper
from evertoken.tokens.refresh_token import child_of
from tests.stores.compliance.accounts import AccountsAndEpochs
from tests.stores.compliance.adopting import Adopting
from tests.stores.compliance.agreement import Agreement
from tests.stores.compliance.attempts import Attempts
from tests.stores.compliance.audit import AuditAndRevocations
from tests.stores.compliance.bench import ACCESS_LIFETIME_MS, RIPE, add_user, refresh, sign_in, signed_in, succeed
from tests.stores.compliance.endings import SignInsAndEndings
from tests.stores.compliance.keys_clients import KeysAndClients
from tests.stores.compliance.operating import OperatingByWindows
from tests.stores.compliance.rotation import Rotation
from tests.stores.compliance.sweeping import Sweeping
from tests.stores.compliance.users_joined import UsersInTheSameDatabase
from tests.stores.sqlite_bench import SqliteBench


class TestAgreement(Agreement):
    """Rotation as one conditional UPDATE."""


class TestRotation(Rotation):
    """Refreshes."""

    async def test_ten_thousand_successions_of_one_session_take_no_more_room_than_one(self, bench: SqliteBench) -> None:
        """A session that has been refreshed ten thousand times is one row of the same size."""
        store, clock = bench.open(), bench.clock
        token = await signed_in(store, clock)
        for _ in range(20):
            token = await succeed(store, clock, token)
        rows, size = await bench.count_rows(), await self._size(bench)
        ripe_ms = clock() - RIPE * 1000
        for _ in range(100):
            chain = [token := child_of(token, now_ms=ripe_ms) for _ in range(100)]
            results = await asyncio.gather(*(refresh(store, one) for one in chain))
            assert {result.outcome for result in results} == {Outcome.ADVANCE}
        row = (await bench.read_rows([token.session_id]))[token.session_id]
        assert (row.generation, row.current) == (10_020, token.tag)
        assert (await bench.count_rows(), await self._size(bench)) == (rows, size)

    @staticmethod
    async def _size(bench: SqliteBench) -> int:
        with bench.connection() as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return bench.path.stat().st_size


class TestUsersInTheSameDatabase(UsersInTheSameDatabase):
    """Users beside their sessions."""

    async def raise_epochs(self, bench: SqliteBench) -> None:
        with bench.connection() as connection:
            connection.execute(bench.named("UPDATE users SET epoch = epoch + 1"))


class TestSignInsAndEndings(SignInsAndEndings):
    """Where sessions begin and end."""


class TestAccountsAndEpochs(AccountsAndEpochs):
    """Accounts."""


class TestAttempts(Attempts):
    """Throttling."""


class TestAdopting(Adopting):
    """Coming over from another library."""


class TestKeysAndClients(KeysAndClients):
    """Keys and clients."""


class TestAuditAndRevocations(AuditAndRevocations):
    """The trail and the feed."""


class TestOperating(OperatingByWindows):
    """What an operator asks."""

    lists = operating

    async def test_no_question_of_an_operator_reads_a_whole_table(self, bench: SqliteBench) -> None:
        """However many sessions and events there are, each question is answered from an index, or from one window."""
        bench.open()
        asked: list[str] = []
        with bench.connection() as connection:
            connection.set_trace_callback(asked.append)
            now_ms = bench.clock()
            for user_id in (None, "u_ada"):
                operating.search_window(connection, now_ms, SessionSearch("x", user_id=user_id), 100)
            operating.tally_users(connection, now_ms, fresh_after_ms=0, after=None, limit=10)
            operating.live_sessions_of(connection, now_ms, ["u_ada"])
            operating.happened(connection, from_ms=0, until_ms=now_ms)
            operating.ended_sessions(connection)
            operating.search_users(connection, "x", after=None, limit=10)
            operating.count_users(connection)
            connection.set_trace_callback(None)
            plans = [
                (statement, row[3])
                for statement in asked
                if not statement.startswith("--")
                for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")
            ]
        assert len(plans) >= len(asked)
        # Counting users walks the smallest index there is; `json_each` is the list that was asked for.
        scans = [plan for _, plan in plans if plan.startswith("SCAN") and "json_each" not in plan]
        assert all("USING COVERING INDEX" in plan for plan in scans), scans

    async def test_a_page_begins_where_the_one_before_it_ended(self, bench: SqliteBench) -> None:
        """Users by name, all sessions, and one user's: an index leads to the first row, however many come before it."""
        bench.open()
        asked: list[str] = []
        with bench.connection() as connection:
            connection.set_trace_callback(asked.append)
            tables.list_users(connection, "ada", 10)
            for user_id in (None, "u_ada"):
                sessions.list_sessions(connection, 0, user_id=user_id, live_only=True, after=bytes(16), limit=10)
            connection.set_trace_callback(None)
            plans = [row[3] for one in asked for row in connection.execute(f"EXPLAIN QUERY PLAN {one}")]
        assert [plan.partition("(")[2] for plan in plans] == ["username_key>?)", "id>?)", "user_id=? AND id>?)"], plans

    async def test_a_search_that_finds_nobody_looks_up_no_user(self, bench: SqliteBench) -> None:
        """Names are read from their index; only the rows of those who are found are read, each on a page of its own."""
        store = bench.open()
        for number in range(40):
            await add_user(store, f"user-{number}")
        asked: list[str] = []
        with bench.connection() as connection:
            connection.set_trace_callback(asked.append)
            assert operating.search_users(connection, "nobody", after=None, limit=10).users == ()
            connection.set_trace_callback(None)
            plans = [row[3] for one in asked for row in connection.execute(f"EXPLAIN QUERY PLAN {one}")]
        by_name = [plan for plan in plans if "(username_key>" in plan]
        assert len(by_name) == len(asked) == 2
        assert all("USING COVERING INDEX" in plan for plan in by_name), plans

    async def test_a_long_search_lets_others_have_their_turn(
        self, bench: SqliteBench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Whoever asks while a search goes on is answered after its next few rows, not at its end."""
        monkeypatch.setattr(walking, "ROWS_PER_STEP", 2)
        store, clock = bench.open(), bench.clock
        user = await add_user(store)
        tokens = [await sign_in(store, clock, user) for _ in range(20)]
        order: list[str] = []

        async def search() -> None:
            assert (await store.search_sessions(SessionSearch("nobody"))).sessions == ()
            order.append("search")

        async def find() -> None:
            assert await store.find(tokens[0].session_id) is not None
            order.append("find")

        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            tasks.create_task(search())  # it is in the queue of the thread before the other
            tasks.create_task(find())
        assert order == ["find", "search"]


class TestSweeping(Sweeping):
    """What goes."""

    async def test_a_step_does_not_grow_with_what_stays(self, bench: SqliteBench) -> None:
        """Old sign-ins of living sessions and known addresses, however many, do not slow a step down."""
        bench.open()
        small = self._work_of_a_step(bench)
        with bench.connection() as connection:
            connection.executemany(
                "INSERT INTO events (kind, at_ms, last_at_ms, session_id, address, device, detail)"
                " VALUES ('sign_in', 0, 0, ?, '', '', '{}')",
                [(number.to_bytes(16, "big"),) for number in range(5_000)],
            )
            connection.executemany(
                "INSERT INTO throttle (key, failures, last_failure_at_ms, last_success_at_ms) VALUES (?, 0, 0, ?)",
                [(number.to_bytes(16, "big"), bench.clock()) for number in range(5_000)],
            )
        assert self._work_of_a_step(bench) < small + 1_000

    @staticmethod
    def _work_of_a_step(bench: SqliteBench) -> int:
        """How many instructions SQLite runs for one step, to the next ten."""
        ran = 0

        def count() -> None:
            nonlocal ran
            ran += 10

        with bench.connection() as connection:
            connection.set_progress_handler(count, 10)
            assert Sweeper(access_lifetime_ms=ACCESS_LIFETIME_MS).step(connection, bench.clock()) is None
            connection.set_progress_handler(None, 0)
        return ran
