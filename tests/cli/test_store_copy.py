"""evertoken store copy, as an operator types it."""

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from evertoken.secret import Secret
from evertoken.stores.copying.opening import open_current
from evertoken.stores.copying.place import Place
from evertoken.stores.copying.rows import Batch, SessionRow
from tests.cli.store_stage import SECRET, Filled, Run, said, typing
from tests.stores.postgresql.server import PASSWORD, PASSWORD_ITSELF, PostgresServer, running_postgres
from tests.support.process import COMMAND, environment_of, lasting_port
from tests.support.server import live_server

MANY = 8_000


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return typing(tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    with running_postgres() as running:
        yield running


def test_a_whole_move_is_two_runs_and_a_last_one(
    run: Run, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run says what was copied and what comes next; a password stays in its variable."""
    filled = Filled("old.db").make(3)
    monkeypatch.setenv("NEW_STORE", postgres.url())
    command = ("store", "copy", "old.db", "env:NEW_STORE", "--to-prefix", "moved_")
    first = run(*command)
    assert first.exit_code == 0, said(first)
    assert "after pass 1, copied so far: users 1, sessions 3" in first.stdout
    assert "run it with --finish" in first.stdout
    assert "sessions: 3 done" in first.stderr
    filled.make(2, name="bob")
    again = run(*command)
    assert "after pass 2" in again.stdout
    last = run(*command, "--finish", "--json")
    told = json.loads(last.stdout)
    assert (told["finished"], told["passes"], last.stderr) == (True, 3, "")
    after = run(*command, "--finish")
    assert (after.exit_code, "nothing was copied" in after.stdout) == (0, True)
    checked = run("store", "check", "--store", postgres.url(), "--table-prefix", "moved_")
    assert "2 users, 5 sessions" in checked.stdout
    assert "5 live, 0 ended" in checked.stdout
    for result in (first, again, last, after):
        assert PASSWORD not in said(result)
        assert PASSWORD_ITSELF not in said(result)


def test_what_cannot_be_copied_is_said_in_a_line(run: Run, postgres: PostgresServer) -> None:
    """The same store twice, Redis without its users, something else in the target, a malformed address: none begins."""
    Filled("old.db").make(1)
    Filled("other.db").make(1)
    cases = {
        ("old.db", "./old.db"): "FROM and TO are the same store",
        ("old.db", "redis://127.0.0.1:1/0"): "keeps no users; say with --to-users where they are",
        ("old.db", "other.db"): "the target is not empty: it holds 1 sessions, 1 users",
        ("missing.db", "new.db"): "there is no database at missing.db",
        ("old.db", f"postgresql://u:{PASSWORD_ITSELF}@"): "must be like postgresql://",
        ("old.db", "env:NOWHERE"): "the variable NOWHERE is not set",
    }
    for (source, target), why in cases.items():
        refused = run("store", "copy", source, target)
        assert refused.exit_code != 0
        assert why in said(refused), why
        assert PASSWORD_ITSELF not in said(refused)


def test_a_signed_in_client_does_not_notice_the_move(tmp_path: Path, run: Run, postgres: PostgresServer) -> None:
    """Its access token, its refresh token and its rotations of the time in between are good at the new store."""
    settings: dict[str, Any] = {"secret": (Secret(SECRET),), "port": lasting_port()}
    with live_server(tmp_path, **settings) as old, old.client() as http:
        old.add_user("ada")
        tokens, ended = old.sign_in(http), old.sign_in(http)
        assert run("store", "copy", "evertoken.db", postgres.url(), "--to-prefix", "served_").exit_code == 0
        tokens = _refreshed(http, tokens)
        assert http.post("/auth/logout", headers=_bearer(ended)).status_code == 204
        later = old.sign_in(http)
    assert run("store", "copy", "evertoken.db", postgres.url(), "--to-prefix", "served_", "--finish").exit_code == 0
    with live_server(tmp_path, store=postgres.url(), table_prefix="served_", **settings) as new, new.client() as http:
        assert http.get("/auth/me", headers=_bearer(tokens)).json()["sub"] == "u_ada"
        for each in (tokens, later):
            assert http.get("/auth/me", headers=_bearer(_refreshed(http, each))).status_code == 200
        assert http.get("/auth/me", headers=_bearer(ended)).status_code == 401
        refused = http.post("/auth/refresh", json={"refresh_token": ended["refresh_token"]})
        assert (refused.json()["code"], refused.json()["reason"]) == ("session_over", "signed_out")


def _refreshed(http: Any, tokens: dict[str, Any]) -> dict[str, Any]:
    answer = http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert answer.status_code == 200, answer.text
    return {**tokens, **answer.json()}


def _bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


async def test_a_copy_that_was_killed_goes_on_and_nothing_is_there_twice(
    tmp_path: Path, postgres: PostgresServer
) -> None:
    """SIGKILL in the middle of thousands of sessions, then the same command again."""
    source, target = str(tmp_path / "many.db"), postgres.url()
    await asyncio.to_thread(Filled(source).make, 1)
    place = await open_current(source, writes=True)
    template = (await place.read_sessions("", 1, since_ms=None)).sessions[0]
    rows = [replace_id(template, number) for number in range(MANY)]
    await place.write(Batch(sessions=rows), state=None, state_before=None)
    await place.close()
    command = [str(COMMAND), "store", "copy", source, target, "--to-prefix", "killed_"]
    environment = environment_of({"EVERTOKEN_SECRET": SECRET})
    process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
    watcher: asyncpg.Connection[Any] = await asyncpg.connect(target)
    await _until_some_are_there(watcher)
    async with watcher.transaction():
        await watcher.execute("LOCK TABLE killed.sessions IN EXCLUSIVE MODE")  # it stands in the middle of a step
        assert 0 < await watcher.fetchval("SELECT count(*) FROM killed.sessions") < MANY
        process.kill()
        await process.wait()
    done = await asyncio.create_subprocess_exec(*command, "--finish", env=environment, stdout=asyncio.subprocess.PIPE)
    said_then, _ = await done.communicate()
    assert b"finished" in said_then
    moved = await open_current(target, table_prefix="killed_", writes=False)
    assert await _digest(moved) == await _digest(await open_current(source, writes=False))
    assert await watcher.fetchval("SELECT count(*) FROM killed.events") == 1
    await watcher.close()
    await moved.close()


def replace_id(row: SessionRow, number: int) -> SessionRow:
    return row._replace(id=b"many" + number.to_bytes(12, "big"), generation=number)


async def _until_some_are_there(watcher: "asyncpg.Connection[Any]") -> None:
    give_up_at = time.monotonic() + 60
    while time.monotonic() < give_up_at:
        try:
            if await watcher.fetchval("SELECT count(*) FROM killed.sessions"):
                return
        except (asyncpg.UndefinedTableError, asyncpg.InvalidSchemaNameError):
            pass
        await asyncio.sleep(0.005)  # another process copies, and tells nobody of its first row
    raise AssertionError("no session was copied")


async def _digest(place: Place) -> list[SessionRow]:
    rows: list[SessionRow] = []
    cursor: str | None = ""
    while cursor is not None:
        part = await place.read_sessions(cursor, 1_000, since_ms=None, events=False)
        rows, cursor = rows + part.sessions, part.cursor
    return rows
