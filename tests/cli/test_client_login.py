"""evertoken login, status and logout: a session begins, is looked at, and ends."""

import contextlib
import fcntl
import os
import pty
import select
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from evertoken.testing import Answer, FakeServer, Fault, Request
from tests.cli.shell import PASSWORD, Shell, one_line

TYPED = PASSWORD + "\n"


class Busy(FakeServer):
    """A server that can be too busy for sign-outs."""

    is_busy = False

    def _logout(self, request: Request) -> Answer:
        return Answer.json(503, {"code": "unavailable"}) if self.is_busy else super()._logout(request)


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell in an empty home."""
    return Shell(tmp_path)


@pytest.fixture
def server() -> Iterator[Busy]:
    """A server."""
    with Busy() as running:
        yield running


@pytest.fixture
def other() -> Iterator[FakeServer]:
    """Another server."""
    with FakeServer() as running:
        yield running


def test_a_session_begins_is_looked_at_and_ends(shell: Shell, server: Busy) -> None:
    """login keeps a session in a file of this user alone, status shows it without a secret, logout removes it."""
    assert shell.login(server.url).stdout == f"signed in to {server.url} as ada\n"
    assert shell.file.stat().st_mode & 0o777 == 0o600
    assert shell.file.parent.stat().st_mode & 0o777 == 0o700
    shown = shell.run("status")
    assert (shown.returncode, shown.stderr) == (0, "")
    for words in (f"server        {server.url}\n", "signed in as  ada\n", "until 20", str(shell.file)):
        assert words in shown.stdout
    tokens = (shell.record.access_token, shell.record.refresh_token)
    assert not any(token and token in shown.stdout for token in tokens)
    refresh_token = shell.record.refresh_token
    assert shell.run("logout").stdout == f"signed out of {server.url}\n"
    assert not shell.file.exists()
    assert server.requests["/auth/logout", 204] == 1
    assert refresh_token is not None
    gone = shell.run("status")
    assert gone.returncode == 3
    assert one_line(gone) == "evertoken: nobody is signed in; run: evertoken login URL\n"
    assert shell.run("logout").stdout == "nobody was signed in\n"


@pytest.mark.parametrize("way", ["--file", "EVERTOKEN_SESSION_FILE", "XDG_CONFIG_HOME", "relative XDG_CONFIG_HOME"])
def test_the_session_is_kept_where_it_is_asked_to_be(shell: Shell, server: Busy, tmp_path: Path, way: str) -> None:
    """--file comes before EVERTOKEN_SESSION_FILE before $XDG_CONFIG_HOME, which must be absolute, before ~/.config."""
    kept, flags, more = {
        "--file": (tmp_path / "a b", ("--file", "a b"), {"EVERTOKEN_SESSION_FILE": "x", "XDG_CONFIG_HOME": "/nowhere"}),
        "EVERTOKEN_SESSION_FILE": (tmp_path / "x", (), {"EVERTOKEN_SESSION_FILE": "x", "XDG_CONFIG_HOME": "/nowhere"}),
        "XDG_CONFIG_HOME": (tmp_path / "c/evertoken/session.json", (), {"XDG_CONFIG_HOME": str(tmp_path / "c")}),
        "relative XDG_CONFIG_HOME": (shell.file, (), {"XDG_CONFIG_HOME": "c"}),
    }[way]
    credentials = ("--username", "ada", "--password-stdin")
    assert shell.run("login", server.url, *credentials, *flags, stdin=TYPED, more=more).returncode == 0
    assert kept.exists()
    assert shell.run("status", *flags, more=more).returncode == 0
    assert shell.run("token", *flags, more=more).stdout.strip() in kept.read_text()


def test_name_and_password_are_asked_for_on_a_terminal(shell: Shell, server: Busy) -> None:
    """Without flags login asks; the password is not echoed, and both questions go to standard error."""
    with _at_a_terminal(shell, "login", server.url) as (process, terminal):
        seen = _read_until(terminal, b": ")
        os.write(terminal, b"ada\n")
        seen += _read_until(terminal, b"Password: ")
        os.write(terminal, TYPED.encode())
        assert process.stdout is not None
        assert process.stdout.read() == f"signed in to {server.url} as ada\n".encode()
        assert process.wait(60) == 0
    assert f"User name at {server.url}: " in seen.decode()
    assert PASSWORD not in seen.decode()
    assert shell.run("status").returncode == 0


def test_ctrl_c_at_a_question_ends_it_quietly(shell: Shell, server: Busy) -> None:
    """Whoever presses Ctrl-C at the password gets the prompt back: exit status 130, and nobody is signed in."""
    with _at_a_terminal(shell, "login", server.url, "--username", "ada") as (process, terminal):
        seen = _read_until(terminal, b"Password: ")
        os.write(terminal, b"\x03")
        assert process.wait(60) == 130
        seen += os.read(terminal, 1024)
    assert seen.strip() == b"Password:"
    assert not shell.file.exists()


def test_without_a_terminal_it_says_what_to_give(shell: Shell, server: Busy) -> None:
    """A script that forgot the password is told so at once; nothing waits for an answer that nobody gives."""
    for arguments, words in [
        ((), "give --username and --password-stdin"),
        (("--username", "ada"), "give --password-stdin"),
        (("--password-stdin",), "give --username"),
        (("--username", "ada", "--password-stdin"), "no password on standard input"),
    ]:
        refused = shell.run("login", server.url, *arguments)
        assert refused.returncode == 1
        assert words in one_line(refused)
    assert not server.requests


def test_a_wrong_password_costs_nothing(shell: Shell, server: Busy, other: FakeServer) -> None:
    """A sign-in that is refused leaves the session that is there alone, of whichever server it is."""
    shell.login(server.url)
    before = shell.file.read_text()
    for url in (server.url, other.url):
        refused = shell.run("login", url, "--username", "ada", "--password-stdin", stdin="wrong-horse\n")
        assert refused.returncode == 1
        assert "sign-in refused (bad_credentials)" in one_line(refused)
        assert "wrong-horse" not in refused.stderr
    assert shell.file.read_text() == before


@pytest.mark.parametrize(
    "url", ["http://ada:secret-word@127.0.0.1/", "http://127.0.0.1/?key=secret-word", "ftp://127.0.0.1", "127.0.0.1:80"]
)
def test_a_url_that_is_no_base_is_refused_and_secrets_in_it_are_not_repeated(shell: Shell, url: str) -> None:
    """A user name, a password or a query in the URL is refused without repeating it."""
    refused = shell.run("login", url, "--username", "ada", "--password-stdin", stdin=TYPED)
    assert refused.returncode == 1
    assert "secret-word" not in one_line(refused)
    assert not shell.file.exists()


def test_plain_http_to_another_machine_is_warned_about_once(shell: Shell) -> None:
    """login says that a password goes over the wire in clear; the address is one that leads nowhere."""
    refused = shell.run("login", "http://nowhere.invalid", "--username", "ada", "--password-stdin", stdin=TYPED)
    first, second = refused.stderr.splitlines()
    assert "is not https" in first
    assert refused.returncode == 1
    assert second.startswith("evertoken: nowhere.invalid:80: ")


def test_a_new_sign_in_ends_the_session_that_it_replaces(shell: Shell, server: Busy, other: FakeServer) -> None:
    """The old session is ended at its own server, and standard error says so."""
    shell.login(server.url)
    replaced = shell.login(other.url)
    expected = f"evertoken: the session that was here before, at {server.url}, was ended\n"
    assert (replaced.stdout, replaced.stderr) == (f"signed in to {other.url} as ada\n", expected)
    assert server.requests["/auth/logout", 204] == 1
    assert shell.record.server == other.url
    shell.login(other.url)
    assert other.requests["/auth/logout", 204] == 1


def test_a_server_that_cannot_be_told_does_not_keep_anybody_from_signing_in(shell: Shell, other: FakeServer) -> None:
    """Where the old server is gone, its session could not be ended there: said, and the new one is there."""
    with FakeServer() as gone:
        shell.login(gone.url)
    replaced = shell.login(other.url)
    assert replaced.stderr.startswith(f"evertoken: the session that was here before, at {gone.url}, could not be ended")
    assert replaced.stderr.count("\n") == 1
    assert shell.record.server == other.url


def test_a_sign_out_that_is_not_confirmed_keeps_the_session(shell: Shell, server: Busy) -> None:
    """503 means: not signed out. The file is kept and the exit status is 1; --forget drops it here."""
    shell.login(server.url)
    server.is_busy = True
    refused = shell.run("logout")
    assert refused.returncode == 1
    assert one_line(refused).startswith("evertoken: not signed out: ")
    assert "--forget" in refused.stderr
    assert shell.run("token").returncode == 0
    forgotten = shell.run("logout", "--forget")
    assert forgotten.returncode == 0
    assert forgotten.stdout == "forgotten here; the server has not confirmed it\n"
    assert not shell.file.exists()


def test_forget_ends_the_session_at_the_server_where_that_can_be(shell: Shell, server: Busy) -> None:
    """--forget is for when the server cannot be told; where it can, it is."""
    shell.login(server.url)
    assert shell.run("logout", "--forget").stdout == f"signed out of {server.url}\n"
    assert server.requests["/auth/logout", 204] == 1
    assert shell.run("logout", "--forget").stdout == "nobody was signed in\n"


def test_forget_removes_a_damaged_file(shell: Shell) -> None:
    """What the other commands refuse to read, --forget takes away, as they say."""
    shell.file.parent.mkdir(parents=True)
    shell.file.write_text("{")
    shell.file.chmod(0o600)
    assert "logout --forget" in one_line(shell.run("status"))
    assert shell.run("logout", "--forget").returncode == 0
    assert not shell.file.exists()


def test_a_refresh_token_of_an_oauth_client_is_taken_over(shell: Shell, server: Busy, other: FakeServer) -> None:
    """Any OAuth server will do: hand over a refresh token, and token, request and logout work as ever."""
    shell.login(other.url)
    handed = server.sign_in(client_id="my-script")["refresh_token"]
    taken = _take_over(shell, server.url, handed)
    assert (taken.returncode, taken.stdout) == (0, f"signed in to {server.url}\n")
    assert other.requests["/auth/logout", 204] == 1
    assert "OAuth client  my-script" in shell.run("status").stdout
    beside = shell.file.with_name("session.json.server")
    assert beside.stat().st_mode & 0o777 == 0o600
    assert handed not in beside.read_text()
    shell.let_end()
    assert shell.run("request", "GET", "/things").returncode == 0
    assert server.requests["/oauth/token", 200] == 2
    assert shell.run("logout").returncode == 0
    assert server.requests["/oauth/revoke", 200] == 1
    assert sorted(file.name for file in shell.file.parent.iterdir() if not file.name.endswith(".lock")) == []


def test_a_refresh_token_that_is_not_taken_leaves_everything_as_it_was(shell: Shell, server: Busy) -> None:
    """A refresh token of somebody else, a server in trouble: nothing is kept, and nobody is signed out."""
    shell.login(server.url)
    before = shell.file.read_text()
    refused = _take_over(shell, server.url, "never-a-token")
    assert refused.returncode == 1
    assert "does not take the refresh token (invalid_grant)" in one_line(refused)
    server.script_refresh(*[Fault(status=503)] * 3)
    failed = _take_over(shell, server.url, server.sign_in(client_id="my-script")["refresh_token"])
    assert failed.returncode == 1
    assert "nothing was kept" in one_line(failed)
    assert shell.file.read_text() == before
    assert not any("never-a-token" in done.stderr for done in (refused, failed))


def test_a_usual_sign_in_after_another_forgets_how_the_other_server_was_spoken_to(
    shell: Shell, server: Busy, other: FakeServer
) -> None:
    """What --oauth-client has left beside the session is gone with the session, at the same server too."""
    for count, url in enumerate((other.url, server.url), 1):
        assert _take_over(shell, server.url, server.sign_in(client_id="my-script")["refresh_token"]).returncode == 0
        assert shell.login(url).stderr.endswith("was ended\n")
        assert server.requests["/oauth/revoke", 200] == count
        assert not shell.file.with_name("session.json.server").exists()
        shell.let_end()
        assert shell.run("token").returncode == 0
    assert other.requests["/auth/refresh", 200] == server.requests["/auth/refresh", 200] == 1


@pytest.mark.parametrize(
    "arguments", [("--refresh-token-stdin",), ("--oauth-client", "c", "--username", "ada"), ("--header-name", "a b")]
)
def test_flags_that_do_not_go_together_are_refused(shell: Shell, server: Busy, arguments: tuple[str, ...]) -> None:
    """A contradiction is exit status 2 and one line that says where to read more."""
    refused = shell.run("login", server.url, *arguments)
    assert refused.returncode == 2
    assert one_line(refused).endswith("see: evertoken login --help\n")


def _take_over(shell: Shell, url: str, refresh_token: str) -> subprocess.CompletedProcess[str]:
    return shell.run("login", url, "--oauth-client", "my-script", "--refresh-token-stdin", stdin=refresh_token + "\n")


@contextlib.contextmanager
def _at_a_terminal(shell: Shell, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A command whose input and errors are a terminal, and the other end of it."""
    ours, theirs = pty.openpty()

    def take_control() -> None:
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    ends = {"stdin": theirs, "stderr": theirs, "start_new_session": True, "preexec_fn": take_control}
    with shell.start(*arguments, **ends) as process:
        os.close(theirs)
        try:
            yield process, ours
        finally:
            if process.poll() is None:
                process.kill()
            os.close(ours)


def _read_until(terminal: int, words: bytes) -> bytes:
    seen = b""
    while not seen.endswith(words):
        assert select.select([terminal], [], [], 60)[0], seen
        seen += os.read(terminal, 1024)
    return seen
