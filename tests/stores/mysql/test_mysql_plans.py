"""How MariaDB finds the rows of our statements, in tables that are not small."""

import re
from typing import Any

import pytest

from evertoken.sessions.model import RotationRequest
from evertoken.sessions.rotation import Outcome
from evertoken.stores.mysql.connection import Connection
from evertoken.stores.mysql.statements import Sql, written
from evertoken.tokens.refresh_token import child_of
from tests.stores.compliance.bench import LAPTOP, RIPE, add_user, sign_in
from tests.stores.compliance.everything import use_everything
from tests.stores.mysql.bench import MariadbBench

ROWS = 4_000

_FILL = f"""
INSERT INTO [users] (id, username, username_key, roles, disabled, created_at_ms)
  SELECT CONCAT('f', seq), CONCAT('filler', seq), CONCAT('filler', seq), '[]', seq % 50 = 0, 0 FROM seq_1_to_{ROWS};
INSERT INTO [sessions] (id, user_id, username, user_epoch, client_id, delivery, tag, previous, advanced_at_ms,
  idle_expires_at_ms, revoked_at_ms, revoked_reason, secret_id, created_at_ms, created_address, created_device,
  refreshed_at_ms)
  SELECT UNHEX(MD5(seq)), CONCAT('f', seq), CONCAT('filler', seq), 0, 'web', 1, UNHEX(MD5(seq)), x'', $1, $1 + 1000000,
    IF(seq % 40 = 0, $1, NULL), IF(seq % 40 = 0, 'revoked', NULL), x'00', $1 - seq, '', '', $1 FROM seq_1_to_{ROWS};
INSERT INTO [events] (kind, at_ms, last_at_ms, session_id, address, device, detail)
  SELECT 'sign_in', $1 - seq * 1000, $1 - seq * 1000, IF(seq % 10 = 0, NULL, UNHEX(MD5(seq))), '', '', '{{}}'
  FROM seq_1_to_{ROWS};
INSERT INTO [revocations] (seq, at_ms, session_id) SELECT seq, $1, UNHEX(MD5(seq)) FROM seq_1_to_{ROWS};
INSERT INTO [throttle] (`key`, failures, last_failure_at_ms) SELECT UNHEX(MD5(seq)), 1, $1 FROM seq_1_to_{ROWS};
INSERT INTO [adoptions] (fingerprint, session_id, tag, issued_at_ms, forget_at_ms)
  SELECT UNHEX(MD5(seq)), UNHEX(MD5(seq)), x'', $1, $1 FROM seq_1_to_{ROWS};
ANALYZE TABLE [users], [sessions], [events], [revocations], [throttle], [adoptions]
"""


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Every statement that is run from now on."""
    seen: set[str] = set()
    run = Connection.run

    async def noted(self: Connection, sql: str, *values: Any) -> Any:
        seen.update(part.strip() for part in written(sql, self.prefix, values).split(";"))
        return await run(self, sql, *values)

    monkeypatch.setattr(Connection, "run", noted)
    return seen


async def test_no_statement_walks_a_table(bench: MariadbBench, statements: set[str]) -> None:
    """However many sessions, users and events there are, each statement finds its rows by an index."""
    async with bench.connection() as own:
        await own.run(_FILL, bench.clock())
    statements.clear()
    await use_everything(bench.open(), bench)
    asked = [one for one in statements if re.match("SELECT|UPDATE|DELETE|INSERT INTO .*SELECT", one, re.DOTALL)]
    assert len(asked) > 45
    walks: dict[str, Any] = {}
    async with bench.connection() as own:
        for statement in asked:
            plan = await own.fetch(Sql(f"EXPLAIN {statement}"))
            found = [step for step in plan if step[3] in {"ALL", "index"} and not _is_derived(step, statement)]
            if found:
                walks[statement] = found
    # Tables of a few rows; and walks of an index that end at their limit.
    few = "FROM `(signing_keys|clients|pulse|locks|revocation_counter)`|UPDATE `(pulse|revocation_counter)`"
    ending = "FROM `events` ORDER BY id DESC LIMIT|LIMIT 500 FOR UPDATE SKIP LOCKED"
    left = {one: steps for one, steps in walks.items() if not re.search(f"{few}|{ending}", one)}
    # What operators ask, counted from an index alone.
    assert all("Using index" in str(steps) for steps in left.values()), left
    assert {re.findall(r"COUNT\(\*\)|SUM\(count\)", one)[0] for one in left} == {"COUNT(*)", "SUM(count)"}
    assert len(left) == 2


def _is_derived(step: Any, statement: str) -> bool:
    """A table of our own values, or of one row."""
    table = step[2] or ""
    return table.startswith("<") or table in {"listed", "clock", "p", "wanted", "seen"} or f"AS {table}" in statement


async def test_a_refresh_is_one_packet_of_few_statements(bench: MariadbBench, statements: set[str]) -> None:
    """Whatever the size of the batch: one round trip, one commit."""
    store, clock = bench.open(), bench.clock
    user = await add_user(store)
    tokens = [child_of(await sign_in(store, clock, user), now_ms=clock() - RIPE * 1000) for _ in range(30)]
    packets: list[str] = []
    run = Connection.run

    async def counted(self: Connection, sql: str, *values: Any) -> Any:
        packets.append(sql)
        return await run(self, sql, *values)

    await store.rotate([RotationRequest(tokens[0], LAPTOP)])  # the connection is open now
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Connection, "run", counted)
        results = await store.rotate([RotationRequest(token, LAPTOP) for token in tokens[1:]])
    assert {result.outcome for result in results} == {Outcome.ADVANCE}
    (packet,) = packets
    assert packet.count(";") == 4
    assert packet.endswith("COMMIT")
