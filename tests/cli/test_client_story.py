"""The client's commands against the real server, as a reader of docs/clients/command-line.md types them."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shell import PASSWORD, Shell, one_line
from tests.needs import need
from tests.readme.blocks import blocks_of, script_of
from tests.readme.running import run_in_own_network
from tests.support.process import ServerProcess, add_users, run_evertoken

PAGE = Path(__file__).parents[2] / "docs" / "clients" / "command-line.md"
_READER = """
printf 'correct-horse-battery\\n' > password.txt
evertoken users add ada --password-stdin < password.txt > /dev/null
evertoken serve > server.log 2>&1 &
for i in $(seq 200); do curl -s localhost:8000/healthz > /dev/null && break; sleep 0.05; done
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """`evertoken serve` with the user ada."""
    folder = tmp_path / "server"
    folder.mkdir()
    add_users(folder / "evertoken.db", "ada")
    with ServerProcess(folder) as running:
        yield running


def test_a_script_works_on_for_days_without_its_user_noticing(server: ServerProcess, tmp_path: Path) -> None:
    """Sign in once; each later command finds the token expired and renews it; an operator ends it; sign in again."""
    shell = Shell(tmp_path)
    shell.login(server.url, "--client-id", "nightly")
    for _ in range(3):
        shell.let_end()
        me = shell.run("request", "GET", "/auth/me", "--fail")
        assert (me.returncode, me.stderr) == (0, "")
        assert json.loads(me.stdout)["preferred_username"] == "ada"
    curl = need("curl", "the page calls it with $(evertoken token)")
    bearer = f"Authorization: Bearer {shell.run('token').stdout.strip()}"
    asked = [curl, "-s", "--noproxy", "*", f"{server.url}/auth/me", "-H", bearer]
    answered = subprocess.run(asked, capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(answered.stdout)["preferred_username"] == "ada"

    session = shell.record.session_id
    assert session is not None
    ended = run_evertoken("sessions", "revoke", session, "--store", str(server.database))
    assert ended.stdout == "ended\n"
    shell.let_end()
    over = shell.run("request", "GET", "/auth/me")
    assert over.returncode == 3
    assert one_line(over) == f"evertoken: signed out (revoked); run: evertoken login {server.url}\n"

    shell.login(server.url)
    assert shell.run("logout").returncode == 0
    listed = run_evertoken("sessions", "list", "--store", str(server.database))
    assert listed.stderr == "0 sessions\n"


def test_no_command_shows_a_secret_but_the_token_that_was_asked_for(server: ServerProcess, tmp_path: Path) -> None:
    """Password and refresh token stand in no output, whatever the commands say."""
    shell = Shell(tmp_path)
    said = [shell.login(server.url), shell.run("status"), shell.run("request", "GET", "/auth/me", "-i")]
    record = shell.record
    secrets = [PASSWORD, record.access_token, record.refresh_token]
    server.interrupt()
    server.wait()
    shell.let_end()
    said += [shell.run("token"), shell.run("request", "GET", "/auth/me"), shell.run("logout"), shell.run("status")]
    said.append(shell.run("logout", "--forget"))
    assert [done.returncode for done in said] == [0, 0, 0, 1, 1, 1, 0, 0]
    assert not any(secret and secret in done.stdout + done.stderr for done in said for secret in secrets)


def test_the_examples_of_the_page_work_as_they_stand_there(tmp_path: Path) -> None:
    """docs/clients/command-line.md is run word for word, against a server on port 8000."""
    outputs = run_in_own_network(
        script_of(blocks_of(PAGE), first=_READER), tmp_path, HOME=str(tmp_path), XDG_CONFIG_HOME=""
    )
    printed = "".join(outputs.values())
    assert "signed in to http://localhost:8000 as ada\n" in printed
    assert printed.count('"preferred_username":"ada"') >= 2
    assert "exit status 22" in printed
    assert printed.endswith("signed out of http://localhost:8000\n")
