"""The commands, as an operator types them."""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib.util import find_spec
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from evertoken.accounts.users import User
from evertoken.assembly import open_store
from evertoken.cli import group
from evertoken.edge.settings import Settings, definitions
from evertoken.errors import EvertokenError
from evertoken.secret import Secret
from tests.support.server import PASSWORD, LiveServer, live_server

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs `evertoken ARGS` in an empty folder; `input` is what is typed."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("EVERTOKEN_")]:
        monkeypatch.delenv(name)

    def runner(*arguments: str, typed: str | None = None) -> Result:
        result = CliRunner().invoke(group, list(arguments), input=typed)
        if isinstance(result.exception, EvertokenError):
            return result
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return runner


def _add(run: Run, name: str = "ada", *more: str) -> Result:
    return run("users", "add", name, "--password-stdin", *more, typed=f"{PASSWORD}\n")


def test_a_user_who_was_added_is_listed_with_roles(run: Run) -> None:
    """users add stores a user, users list shows name, roles and state."""
    assert _add(run, "Ada", "--role", "admin", "--role", "staff").output == "added Ada\n"
    assert "Ada\tusr_" in run("users", "list").output
    assert "admin,staff\tenabled" in run("users", "list").output


def test_a_user_of_the_same_name_in_other_letters_is_refused(run: Run) -> None:
    """ADA and ada are one name."""
    _add(run)
    refused = _add(run, "ADA")
    assert refused.exit_code == 1
    assert "already" in refused.output


@pytest.mark.parametrize(("password", "words"), [("short", "at least 15"), ("adaadaadaadaada", "your user name")])
def test_a_bad_password_is_refused_with_what_to_do(run: Run, password: str, words: str) -> None:
    """users add holds to the password rules and says which one was broken."""
    refused = run("users", "add", "ada", "--password-stdin", typed=password + "\n")
    assert refused.exit_code == 1
    assert words in refused.output


def test_passwords_are_asked_for_twice_and_never_shown(run: Run) -> None:
    """Without --password-stdin the password is prompted for, hidden, with a confirmation."""
    added = run("users", "add", "ada", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert "added ada" in added.output
    assert PASSWORD not in added.output


def test_no_password_stands_in_the_database(run: Run, tmp_path: Path) -> None:
    """What users add stores is an argon2id hash with OWASP's parameters or better."""
    _add(run)
    with sqlite3.connect(tmp_path / "evertoken.db") as connection:
        [stored] = connection.execute("SELECT password_hash FROM users").fetchone()
    connection.close()
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")


def test_commands_do_not_make_a_database_from_a_mistyped_name(run: Run, tmp_path: Path) -> None:
    """Looking into a database that is not there says so and makes none."""
    refused = run("sessions", "list", "--store", "mistyped.db")
    assert refused.exit_code == 1
    assert "there is no database at mistyped.db" in refused.output
    assert not (tmp_path / "mistyped.db").exists()


def test_a_client_secret_is_printed_once_and_kept_nowhere(run: Run, tmp_path: Path) -> None:
    """clients add prints the secret; the database does not hold it; a second client of that id is refused."""
    added = run("clients", "add", "reports")
    secret = added.output.split()[-1]
    assert secret.startswith("ecs_")
    assert secret.encode() not in (tmp_path / "evertoken.db").read_bytes()
    assert run("clients", "list").output.splitlines()[1].startswith("reports\t")
    assert run("clients", "add", "reports").exit_code == 1
    assert run("clients", "remove", "reports").output == "removed reports\n"
    assert run("clients", "remove", "reports").exit_code == 1
    assert run("clients", "add", "no spaces").exit_code == 1


def test_a_rotated_key_is_announced_before_it_signs(run: Run) -> None:
    """keys rotate publishes a new key; keys list shows the old one signing and the new one announced."""
    _add(run)
    assert "is published and signs in" in run("keys", "rotate", "--announce", "1h").output
    assert "is published and signs in 1.0 h" in run("keys", "rotate", "--announce", "1h").output
    states = [line.split("\t")[2] for line in run("keys", "list").output.splitlines()[1:]]
    assert states.count("signing") == 1
    assert states.count("announced") == len(states) - 1
    assert run("keys", "rotate", "--announce", "1s").exit_code == 2


def test_an_operator_sees_a_session_ends_it_and_reads_why(tmp_path: Path, run: Run) -> None:
    """sessions list, show, explain and revoke work on a running server, which obeys at its next refresh."""
    with live_server(tmp_path) as live:
        live.add_user("ada")
        with live.client() as http:
            tokens = live.sign_in(http)
            session = tokens["session_id"]
            assert f"{session}\tada\t" in run("sessions", "list", "--user", "ada").output
            assert "state           live" in run("sessions", "show", session).output
            assert run("sessions", "revoke", session).output == "ended\n"
            assert run("sessions", "revoke", session).output == "it was over already\n"
            answer = http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
            assert (answer.status_code, answer.json()["reason"]) == (401, "revoked")
            told = run("sessions", "explain", session).output
            assert "signed in" in told
            assert "ended: revoked" in told
            assert session not in run("sessions", "list").output
            assert f"{session}\tada" in run("sessions", "list", "--all").output


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (("users", "disable", "ada"), "account_disabled"),
        (("sessions", "revoke", "--user", "ada"), "revoked"),
        (("users", "passwd", "ada", "--password-stdin"), "password_changed"),
    ],
)
def test_disabling_revoking_and_a_new_password_end_all_sessions(
    tmp_path: Path, run: Run, command: tuple[str, ...], reason: str
) -> None:
    """users disable, users passwd and sessions revoke --user end every session of the user, each with its reason."""
    with live_server(tmp_path) as live:
        live.add_user("ada")
        with live.client() as http:
            sessions = [live.sign_in(http) for _ in range(2)]
            assert "2 sessions ended" in run(*command, typed="another-horse-battery\n").output
            for tokens in sessions:
                answer = http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
                assert answer.json()["reason"] == reason


def test_a_disabled_user_signs_in_again_once_enabled(tmp_path: Path, run: Run) -> None:
    """users disable refuses sign-in with the answer for a wrong password; users enable lets the user in again."""
    with live_server(tmp_path) as live:
        live.add_user("ada")
        with live.client() as http:
            body = {"username": "ada", "password": PASSWORD}
            run("users", "disable", "ada")
            assert http.post("/auth/login", json=body).json()["code"] == "bad_credentials"
            run("users", "enable", "ada")
            assert http.post("/auth/login", json=body).status_code == 200


def test_new_roles_stand_in_the_next_access_token(tmp_path: Path, run: Run) -> None:
    """users roles takes effect at the next refresh, without a new sign-in."""
    with live_server(tmp_path) as live:
        live.add_user("ada", roles=("staff",))
        with live.client() as http:
            tokens = live.sign_in(http)
            assert run("users", "roles", "ada", "admin").output == "ada: admin\n"
            renewed = http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).json()
            claims = http.get("/auth/me", headers={"Authorization": f"Bearer {renewed['access_token']}"}).json()
            assert claims["roles"] == ["admin"]


@pytest.mark.parametrize("command", ["show", "explain", "revoke"])
def test_a_session_whose_id_begins_with_a_hyphen_is_named_like_any_other(run: Run, command: str) -> None:
    """One id in 64 looks like a flag: it is taken for an id, in any place, and what is no id still for a flag."""
    _add(run)
    session = "-URqfwxELD4znKcBRIAkcA"
    for arguments in ((session, "--store", "evertoken.db"), ("--store", "evertoken.db", session), ("--", session)):
        refused = run("sessions", command, *arguments)
        assert f"there is no session '{session}'" in refused.output, refused.output
    assert "No such option" in run("sessions", command, "-U").output


def test_naming_neither_or_both_of_session_and_user_is_a_usage_error(run: Run) -> None:
    """sessions revoke wants a session or --user."""
    assert run("sessions", "revoke").exit_code == 2
    assert run("sessions", "revoke", "x", "--user", "ada").exit_code == 2


def test_every_setting_is_a_flag_of_serve(run: Run) -> None:
    """serve --help lists each setting."""
    listed = run("serve", "--help").output
    for definition in definitions():
        assert definition.flag in listed


def test_every_command_says_what_it_does() -> None:
    """Each command and group has a help text."""

    def walk(command: click.Command) -> list[click.Command]:
        below = command.commands.values() if isinstance(command, click.Group) else []
        return [command, *(found for child in below for found in walk(child))]

    for command in walk(group):
        assert command.help, command.name


def test_the_doctor_finds_a_healthy_installation_healthy(run: Run, tmp_path: Path) -> None:
    """doctor on a fresh server finds no fault and exits with 0."""
    with live_server(tmp_path) as live:
        live.add_user("ada")
        with live.client() as http:
            live.sign_in(http)
        checked = run("doctor")
    assert checked.exit_code == 0, checked.output
    assert "FAULT" not in checked.output
    assert "number 1 (mints) holds 1 live sessions" in checked.output


def test_the_doctor_counts_who_cannot_sign_in_for_want_of_bcrypt(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users imported with bcrypt hashes onto a machine without the package bcrypt are counted before they complain."""
    hashes = {"ada": "$2b$12$" + "a" * 53, "bob": "bcrypt_sha256$$2b$12$" + "b" * 53, "eve": "of nobody's kind"}

    async def add() -> None:
        store = open_store(Settings(store=str(tmp_path / "evertoken.db")))
        try:
            for name, encoded in hashes.items():
                await store.add_user(User(f"u_{name}", name, encoded, 0, False, (), 0))
            await store.add_user(User("u_new", "new", None, 0, False, (), 0))
        finally:
            store.close()

    asyncio.run(add())
    assert "cannot sign in; their password_hash is not of a kind that is read here" in run("doctor").output
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "bcrypt" else find_spec(name))
    checked = run("doctor")
    assert checked.exit_code == 1
    assert "FAULT  users: 2 users cannot sign in; their password_hash is bcrypt" in checked.output
    assert "pip install 'evertoken[bcrypt]'" in checked.output
    assert all(encoded not in checked.output for encoded in hashes.values())


def test_the_doctor_counts_the_sessions_of_a_lost_secret(run: Run, tmp_path: Path) -> None:
    """When a secret was taken away too early, doctor says how many sessions hang on it, and what to do."""
    old, new = "o" * 40, "n" * 40
    with _server_with_secrets(tmp_path, old) as live, live.client() as http:
        live.add_user("ada")
        live.sign_in(http)
    with _server_with_secrets(tmp_path, new, old):
        pass
    checked = run("doctor", "--secret", f"{new},{old}")
    assert "number 2 (verifies) holds 1 live sessions" in checked.output
    checked = run("doctor", "--secret", new)
    assert checked.exit_code == 1
    assert "FAULT  secrets: 1 live sessions were made by a secret that is gone" in checked.output


def _server_with_secrets(folder: Path, *secrets: str) -> AbstractContextManager[LiveServer]:
    return live_server(folder, secret=tuple(Secret(text) for text in secrets))


def test_the_doctor_says_what_to_mend(run: Run, tmp_path: Path) -> None:
    """A readable database, plain http, a wrong setting and a misspelt variable are each pointed out."""
    _add(run)
    (tmp_path / "evertoken.db").chmod(0o644)
    checked = run("doctor", "--issuer", "http://api.example.com", "--allowed-origins", "http://app.example.com")
    assert "chmod 600" in checked.output
    assert "mend   cookies: http://api.example.com is plain http" in checked.output
    assert "mend   CORS: http://app.example.com may call" in checked.output
    wrong = run("doctor", "--port", "0")
    assert wrong.exit_code == 1
    assert "FAULT  settings: --port" in wrong.output
