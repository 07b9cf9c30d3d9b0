"""evertoken token: a valid access token for other programs."""

import contextlib
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from evertoken.testing import FakeServer, Fault
from tests.cli.shell import Shell, one_line

BOUND_SECONDS = 60.0


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell in an empty home."""
    return Shell(tmp_path)


@pytest.fixture
def server() -> Iterator[FakeServer]:
    """A server whose access tokens live for half an hour."""
    with FakeServer() as running:
        yield running


def test_a_token_is_printed_and_nothing_else(shell: Shell, server: FakeServer) -> None:
    """`curl -H "Authorization: Bearer $(evertoken token)"` sends the access token of the session, without a refresh."""
    shell.login(server.url)
    printed = shell.run("token")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert printed.stdout == f"{shell.record.access_token}\n"
    assert server.refresh_count == 0


def test_an_expired_token_is_renewed_before_it_is_printed(shell: Shell, server: FakeServer) -> None:
    """A script that comes back after an hour gets a new access token without noticing."""
    shell.login(server.url)
    before = shell.record
    shell.let_end()
    printed = shell.run("token")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert printed.stdout.strip() == shell.record.access_token != before.access_token
    assert shell.record.refresh_token != before.refresh_token


def test_a_token_that_ends_in_a_moment_is_renewed_before_it_is_printed(shell: Shell, server: FakeServer) -> None:
    """Whoever gets a token from `evertoken token` has nobody to renew it, so it is given one with time left."""
    shell.login(server.url)
    before = shell.record
    shell.let_end(in_seconds=10)
    assert shell.run("token").stdout.strip() == shell.record.access_token != before.access_token


def test_twenty_processes_with_an_expired_token_cause_one_refresh(shell: Shell, server: FakeServer) -> None:
    """However many scripts find the token expired in the same moment, one of them refreshes and all get the new one."""
    shell.login(server.url)
    shell.let_end()
    lock = f"{shell.file}.lock"
    with contextlib.ExitStack() as stack:
        gate = stack.enter_context(server.hold_refreshes())
        processes = [stack.enter_context(shell.start("token")) for _ in range(20)]
        stack.callback(_kill, processes)
        gate.wait_for_arrival(BOUND_SECONDS)
        _wait_until(lambda: all(_has_open(process.pid, lock) for process in processes))
        gate.release()
        printed = [process.communicate(timeout=BOUND_SECONDS) for process in processes]
    assert {err for _, err in printed} == {b""}
    assert {out.decode().strip() for out, _ in printed} == {shell.record.access_token}
    assert server.refresh_count == 1


def test_min_valid_renews_what_would_end_sooner(shell: Shell, server: FakeServer) -> None:
    """`--min-valid 600` renews a token with five minutes left, and leaves one with half an hour alone."""
    shell.login(server.url)
    first = shell.record.access_token
    assert shell.run("token", "--min-valid", "600").stdout.strip() == first
    shell.let_end(in_seconds=300)
    assert shell.run("token").stdout.strip() == first
    renewed = shell.run("token", "--min-valid", "600")
    assert renewed.stdout.strip() == shell.record.access_token != first
    assert (renewed.stderr, server.refresh_count) == ("", 1)


def test_min_valid_beyond_the_lifetime_gives_a_new_token_and_says_so(shell: Shell, server: FakeServer) -> None:
    """No refresh makes a token live longer than the server lets it: one refresh, the new token, and a warning."""
    shell.login(server.url)
    printed = shell.run("token", "--min-valid", "7200")
    assert (printed.returncode, server.refresh_count) == (0, 1)
    assert printed.stdout.strip() == shell.record.access_token
    assert printed.stderr == "evertoken: the server's access tokens do not live for 7200 s; this is a new one\n"


def test_a_session_that_is_over_exits_with_3_and_says_what_to_type(shell: Shell, server: FakeServer) -> None:
    """Exit status 3 means: sign in again, and the line says how; from then on no server has to be asked."""
    shell.login(server.url)
    shell.let_end()
    server.end_sessions("revoked")
    for _ in range(2):
        over = shell.run("token")
        assert over.returncode == 3
        assert one_line(over) == f"evertoken: signed out (revoked); run: evertoken login {server.url}\n"
    assert server.refresh_count == 1


def test_nobody_signed_in_exits_with_3(shell: Shell) -> None:
    """Without a session there is no token: exit status 3, and the command to type with the file that was named."""
    assert one_line(shell.run("token")) == "evertoken: nobody is signed in; run: evertoken login URL\n"
    named = shell.run("token", "--file", "my session.json")
    assert named.returncode == 3
    assert "run: evertoken login URL --file 'my session.json'" in one_line(named)


def test_a_server_in_trouble_signs_nobody_out(shell: Shell, server: FakeServer) -> None:
    """While the server answers 503 an expired token cannot be renewed: exit status 1, and the session is kept."""
    shell.login(server.url)
    shell.let_end()
    server.script_refresh(*[Fault(status=503)] * 3)
    failed = shell.run("token")
    assert failed.returncode == 1
    assert "the session is kept" in one_line(failed)
    assert shell.run("token").returncode == 0


def test_ctrl_c_in_a_refresh_is_quiet_and_loses_no_tokens(shell: Shell, server: FakeServer) -> None:
    """Ctrl-C while the server takes its time: exit status 130, no word, and the answer is still stored."""
    shell.login(server.url)
    shell.let_end()
    with server.hold_refreshes() as gate, shell.start("token") as process, _killed(process):
        gate.wait_for_arrival(BOUND_SECONDS)
        process.send_signal(signal.SIGINT)
        assert process.stderr is not None
        assert process.stderr.read(1) == b"\n"  # it has been noticed: the line of ^C is ended
        gate.release()
        out, err = process.communicate(timeout=BOUND_SECONDS)
    assert (process.returncode, out, err) == (130, b"", b"")
    assert shell.run("token").stdout.strip() == shell.record.access_token
    assert server.refresh_count == 1


def test_a_second_ctrl_c_ends_the_wait_for_a_refresh(shell: Shell, server: FakeServer) -> None:
    """Whoever presses Ctrl-C twice does not wait for the server any longer."""
    shell.login(server.url)
    shell.let_end()
    with server.hold_refreshes() as gate, shell.start("token") as process, _killed(process):
        gate.wait_for_arrival(BOUND_SECONDS)
        process.send_signal(signal.SIGINT)
        _wait_until(lambda: _dies_of(process.pid, signal.SIGINT))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=BOUND_SECONDS)
    assert (process.returncode, out, err) == (-signal.SIGINT, b"", b"\n")
    assert server.refresh_count == 1  # it has not been waited for until it was tried again


@pytest.mark.parametrize("damage", ["", "{", '{"evertoken": 1, "server": "x", "version": 1}', '{"other": "program"}'])
def test_a_damaged_session_file_is_told_in_one_line(shell: Shell, damage: str) -> None:
    """A file that holds no session is left alone, named, and the way out is said."""
    shell.file.parent.mkdir(parents=True)
    shell.file.write_text(damage)
    shell.file.chmod(0o600)
    refused = shell.run("token")
    assert refused.returncode == 1
    assert str(shell.file) in one_line(refused)
    assert "delete it" in refused.stderr
    assert shell.file.read_text() == damage


def test_a_session_file_that_others_can_read_is_refused(shell: Shell, server: FakeServer) -> None:
    """Tokens that other users of the machine could have read are not used."""
    shell.login(server.url)
    shell.file.chmod(0o644)
    refused = shell.run("token")
    assert refused.returncode == 1
    assert "chmod" in one_line(refused)


def test_a_full_disk_behind_standard_output_is_told_in_one_line(shell: Shell, server: FakeServer) -> None:
    """A token that could not be written is a failure, not an empty success."""
    shell.login(server.url)
    with Path("/dev/full").open("wb") as full, shell.start("token", stdout=full) as process, _killed(process):
        _, err = process.communicate(timeout=BOUND_SECONDS)
    assert (process.returncode, err) == (1, b"evertoken: no space left on device\n")


@contextlib.contextmanager
def _killed(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """A test that fails leaves no process behind."""
    try:
        yield
    finally:
        _kill([process])


def _kill(processes: list[subprocess.Popen[bytes]]) -> None:
    for process in processes:
        if process.poll() is None:
            process.kill()


def _wait_until(is_so: Callable[[], bool]) -> None:
    give_up_at = time.monotonic() + BOUND_SECONDS
    while not is_so():
        assert time.monotonic() < give_up_at
        threading.Event().wait(0.01)


def _has_open(pid: int, path: str) -> bool:
    with contextlib.suppress(OSError):
        return any(str(entry.readlink()) == path for entry in Path(f"/proc/{pid}/fd").iterdir())
    return False


def _dies_of(pid: int, number: int) -> bool:
    """Whether a signal would end a process at once: it neither catches nor ignores it."""
    lines = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line)
    return not (int(lines["SigCgt"], 16) | int(lines["SigIgn"], 16)) >> (number - 1) & 1
