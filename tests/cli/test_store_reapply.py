"""evertoken store reapply-revocations: what the log says was ended is ended again after a restore."""

import json
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import pytest

from evertoken.edge.log_reading import BadLine, SessionsEnded, UserSignedOut, read_line
from evertoken.sessions.model import session_id_bytes, session_id_text
from evertoken.sessions.rotation import Reason
from tests.cli.store_stage import SECRET, Filled, Run, said, sql, typing
from tests.support.process import ServerProcess, add_users
from tests.support.server import PASSWORD, client_at


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    return typing(tmp_path, monkeypatch)


def _line(event: str, **fields: Any) -> str:
    return json.dumps({"logger": "evertoken.audit", "event": event, **fields}) + "\n"


def _sign_in(http: httpx2.Client, name: str) -> dict[str, Any]:
    tokens: dict[str, Any] = http.post("/auth/login", json={"username": name, "password": PASSWORD}).json()
    return tokens


def _bearer(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def _back_up(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


def _restore(backup: Path, database: Path) -> None:
    for name in (f"{database}-wal", f"{database}-shm"):
        Path(name).unlink(missing_ok=True)
    shutil.copy(backup, database)


def test_a_real_log_is_enough_to_end_again_all_that_was_ended_since_the_backup(run: Run, tmp_path: Path) -> None:
    """Sign-outs, everywhere too, and what an operator ended by a command; who was not signed out goes on."""
    database = tmp_path / "evertoken.db"
    server = ServerProcess(tmp_path, environment={"EVERTOKEN_SECRET": SECRET})
    add_users(database, "ada", "bob", "carla")
    with server, client_at(server.url) as http:
        ada, adas_other, carla, by_command = (_sign_in(http, name) for name in ("ada", "ada", "carla", "carla"))
        bob, bobs_kept = _sign_in(http, "bob"), _sign_in(http, "bob")
        _back_up(database, tmp_path / "backup.db")
        later = _sign_in(http, "ada")
        for tokens in (ada, later):
            assert http.post("/auth/logout", headers=_bearer(tokens)).status_code == 204
        everywhere = http.delete("/auth/sessions", params={"keep": "current"}, headers=_bearer(bobs_kept))
        assert everywhere.status_code in (200, 204)
        assert run("sessions", "revoke", "--", by_command["session_id"]).exit_code == 0
        # The server learns of it from its store; only then its log says so.
        _until(lambda: "sessions_ended_elsewhere" in server.stderr)
    _restore(tmp_path / "backup.db", database)
    tried = run("store", "reapply-revocations", "stderr.txt", "--dry-run")
    assert tried.stdout == "3 would be ended again, 0 were over already, 1 are unknown\n", said(tried)
    done = run("store", "reapply-revocations", "stderr.txt")
    assert done.stdout == "3 ended again, 0 were over already, 1 are unknown\n"
    again = run("store", "reapply-revocations", "-", typed=(tmp_path / "stderr.txt").read_text())
    assert again.stdout == "0 ended again, 3 were over already, 1 are unknown\n"
    with server, client_at(server.url) as http:
        for tokens, reason in ((ada, "signed_out"), (bob, "revoked"), (by_command, "revoked"), (later, "unknown")):
            refused = http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
            assert (refused.status_code, refused.json()["reason"]) == (401, reason)
        for tokens in (adas_other, bobs_kept, carla):
            assert http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).status_code == 200


def _until(is_so: Any) -> None:
    give_up_at = time.monotonic() + 20
    while not is_so():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)  # another process writes the log that is looked at


def test_a_line_about_an_account_ends_what_had_begun_before_and_nothing_else(run: Run, tmp_path: Path) -> None:
    """A server that died in between told of no session; what was kept, began later or is another's goes on."""
    filled = Filled("store.db").make(3)
    before, kept, after = (token.session_id for token in filled.tokens)
    other = Filled("store.db").make(1, name="bob").tokens[0].session_id
    with closing(sqlite3.connect("store.db")) as connection:
        began = dict(connection.execute("SELECT id, created_at_ms FROM sessions").fetchall())
    at_ms = began[kept] + 1
    sql("store.db", f"UPDATE sessions SET created_at_ms = {at_ms} WHERE id = x'{after.hex()}'")
    sql("store.db", f"UPDATE sessions SET created_at_ms = {at_ms - 1} WHERE id <> x'{after.hex()}'")
    log = _line("password_changed", user_id="u_ada", at_ms=at_ms, kept=session_id_text(kept))
    log += _line("account_disabled", user_id="u_nobody", at_ms=at_ms) + _line(
        "account_disabled", user_id="u_bob", at_ms=5
    )
    done = run("store", "reapply-revocations", "-", "--store", "store.db", typed=log)
    assert done.stdout == "1 ended again, 0 were over already, 0 are unknown\n"
    assert "the log says that bob was disabled; enabled here" in done.stderr
    with closing(sqlite3.connect("store.db")) as connection:
        rows = dict(connection.execute("SELECT id, revoked_reason FROM sessions").fetchall())
    assert rows == {before: "password_changed", kept: None, after: None, other: None}


def test_lines_that_cannot_be_read_are_counted_and_stop_nothing(run: Run, tmp_path: Path) -> None:
    """Half a line, another program's, a log for people, a line of megabytes: the rest is done all the same."""
    token = Filled("store.db").make(1).tokens[0]
    good = _line("session_ended", session_id=session_id_text(token.session_id), reason="signed_out")
    bad = [
        "{half",
        "[]",
        "Nov 21 plain text",
        _line("session_ended", session_id="short").strip(),
        '"' + "x" * 3_000_000,
    ]
    (tmp_path / "log").write_bytes("\n".join([*bad, "", ""]).encode() + b"\xff\xfe\n" + good.encode())
    done = run("store", "reapply-revocations", "log", "--store", "store.db")
    assert done.stdout == "1 ended again, 0 were over already, 0 are unknown\n"
    assert "6 of 8 lines could not be read\n" in done.stderr
    text = run("store", "reapply-revocations", "-", "--store", "store.db", typed="plain\nwords\n")
    assert "2 of 2 lines could not be read; is it a log in JSON (log_format)?" in text.stderr
    assert "there is no log nowhere" in run("store", "reapply-revocations", "nowhere", "--store", "store.db").output


def test_no_text_that_somebody_sent_can_end_a_session() -> None:
    """Only lines of the audit logger count; a User-Agent or a name that looks like one stands inside a string."""
    session_id = session_id_bytes("AAAAAAAAAAAAAAAAAAAAAA")
    assert session_id is not None
    forged = _line("session_ended", session_id="AAAAAAAAAAAAAAAAAAAAAA").strip()
    assert read_line(_line("sign_in_failed", username=forged, device=forged)) is None
    assert read_line(json.dumps({"logger": "other", "event": "session_ended", "session_id": "A" * 22})) is None
    assert read_line(forged) == SessionsEnded((session_id,), Reason.REVOKED)
    assert read_line(_line("replay", session_id="A" * 22)) == SessionsEnded((session_id,), Reason.REPLAYED)
    several = _line("sessions_ended_elsewhere", session_ids=["A" * 22, "A" * 22])
    assert read_line(several) == SessionsEnded((session_id, session_id), Reason.REVOKED)
    account = _line("signed_out_everywhere", user_id="u", at_ms=7)
    assert read_line(account) == UserSignedOut("u", 7, None, Reason.REVOKED)
    for bad in (
        _line("password_changed", user_id="u"),
        _line("password_changed", user_id="u", at_ms=True),
        _line("account_disabled", user_id=5, at_ms=7),
        _line("signed_out_everywhere", user_id="u", at_ms=7, kept="x"),
        _line("sessions_ended_elsewhere", session_ids="A" * 22),
        "[" * 100_000,
    ):
        with pytest.raises(BadLine):
            read_line(bad)
