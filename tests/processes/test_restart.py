"""Stopping and starting the server, and what it says when it cannot start."""

import json
import os
import re
import socket
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from evertoken.clock import monotonic_seconds
from tests.needs import need
from tests.processes.ledger import SECRET
from tests.support.process import ServerProcess, add_users, lasting_port, run_evertoken
from tests.support.server import PASSWORD, client_at

STOPS_WITHIN_SECONDS = 10.0
ENVIRONMENT = {"EVERTOKEN_SECRET": SECRET}
STOPS: dict[str, Callable[[ServerProcess], None]] = {
    "Ctrl-C": ServerProcess.interrupt,
    "SIGTERM": ServerProcess.terminate,
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    """`evertoken serve` with the users ada and grace; its secret is the one it made for itself."""
    process = ServerProcess(tmp_path)
    add_users(process.database, "ada", "grace")
    with process:
        yield process


def sign_in(client: httpx2.Client, username: str = "ada", password: str = PASSWORD) -> httpx2.Response:
    """Try to sign in."""
    return client.post("/auth/login", json={"username": username, "password": password})


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
def test_a_request_in_flight_is_answered_before_the_server_stops(
    server: ServerProcess, stop: Callable[[ServerProcess], None]
) -> None:
    """Whoever asked before Ctrl-C or SIGTERM gets an answer; then the server ends with status 0, in time."""
    body = json.dumps({"username": "ada", "password": PASSWORD}).encode()
    head = (
        f"POST /auth/login HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 100 "), "the server has the request and waits for its body"
        began = monotonic_seconds()
        stop(server)
        _wait_until_refused(server.port)
        connection.sendall(body)
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert b'"refresh_token":"etr_' in answer
    assert server.wait() == 0
    assert monotonic_seconds() - began < STOPS_WITHIN_SECONDS
    assert "Traceback" not in server.stderr


def _wait_until_refused(port: int) -> None:
    give_up_at = monotonic_seconds() + STOPS_WITHIN_SECONDS
    while monotonic_seconds() < give_up_at:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
        except OSError:
            return
    raise AssertionError("the server still listens")


@pytest.mark.parametrize("stop", STOPS.values(), ids=STOPS)
def test_a_restarted_server_has_lost_nothing(server: ServerProcess, stop: Callable[[ServerProcess], None]) -> None:
    """Stop the server and start it again: sessions, access tokens and the counters of failed sign-ins are all there."""
    with client_at(server.url) as client:
        tokens = sign_in(client).json()
        while (refused := sign_in(client, "grace", "not the one she chose")).status_code != 429:
            assert refused.status_code == 401
        stop(server)
        assert server.wait() == 0
        server.start()
        me = client.get("/auth/me", headers={"Authorization": f"Bearer {tokens['access_token']}"})
        assert me.status_code == 200
        assert client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).status_code == 200
        answers = [sign_in(client, "grace", "not the one she chose").status_code for _ in range(2)]
        assert 429 in answers, "a server that had forgotten would let five failures pass"


def test_the_demo_stops_on_ctrl_c_and_goes_on_where_it_was(tmp_path: Path) -> None:
    """Ctrl-C ends `evertoken demo` with status 0; started again on its folder, it knows who was signed in."""
    with ServerProcess(tmp_path, command="demo") as demo, client_at(demo.url) as client:
        tokens = sign_in(client).json()
        demo.interrupt()
        assert demo.wait() == 0
        demo.start()
        assert client.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).status_code == 200
    assert "Traceback" not in demo.stderr


def complaints(*arguments: str, environment: dict[str, str] | None = None, **options: Any) -> list[str]:
    """What `evertoken` says, line by line, when it refuses to start."""
    refused = run_evertoken(*arguments, environment=ENVIRONMENT if environment is None else environment, **options)
    assert refused.returncode not in {0, None}
    assert refused.returncode > 0
    assert refused.stdout == ""
    assert "Traceback" not in refused.stderr
    lines = refused.stderr.splitlines()
    assert all(line.startswith("evertoken: ") for line in lines), refused.stderr
    return [line.removeprefix("evertoken: ") for line in lines]


def test_a_taken_port_is_said_in_one_line(tmp_path: Path) -> None:
    """Whoever starts a second server on a port is told which port is taken."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        [line] = complaints("serve", "--port", port, "--store", str(tmp_path / "evertoken.db"))
    assert line == f"host, port: cannot listen on 127.0.0.1:{port}: Address already in use"


def test_every_bad_setting_gets_a_line_of_its_own(tmp_path: Path) -> None:
    """Settings that are wrong, in flags, variables and a file, get a line each, with their name and what would do."""
    config = tmp_path / "evertoken.toml"
    config.write_text('workers = 99\nacess_lifetime = "15m"\n')
    lines = complaints(
        *("serve", "--port", "0", "--config", str(config)),
        environment=ENVIRONMENT | {"EVERTOKEN_ALGORITHM": "none"},
    )
    assert sorted(line.partition(":")[0] for line in lines) == [
        "--port",
        "EVERTOKEN_ALGORITHM",
        "acess_lifetime in the settings file",
        "workers in the settings file",
    ]
    assert any("did you mean access_lifetime?" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "environment", "setting", "advice"),
    [
        (("--production", "--issuer", "https://api.example.com"), {}, "secret", "openssl rand -base64 32"),
        (("--production", "--issuer", "http://api.example.com"), ENVIRONMENT, "issuer", "https"),
        (("--overlap", "2h"), ENVIRONMENT, "overlap", "at most the access lifetime"),
        (("--secret", "too short"), {}, "secret", "at least 32"),
        (("--event-hook", "nowhere:hook"), ENVIRONMENT, "event_hook", "cannot import nowhere:hook"),
        (("--host", "203.0.113.1"), ENVIRONMENT, "host, port", "cannot listen on 203.0.113.1"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named_in_one_line(
    tmp_path: Path, arguments: tuple[str, ...], environment: dict[str, str], setting: str, advice: str
) -> None:
    """A server that cannot start says in one line which setting is to blame and what would do."""
    store, port = str(tmp_path / "evertoken.db"), str(lasting_port())
    [line] = complaints("serve", "--store", store, "--port", port, *arguments, environment=environment)
    assert line.partition(":")[0] == setting
    assert advice in line


def test_another_secret_than_that_of_the_keys_is_said_in_one_line(tmp_path: Path) -> None:
    """A server that is given another secret than the one its keys are encrypted under does not start, and says so."""
    with ServerProcess(tmp_path, environment=ENVIRONMENT) as server:
        pass
    arguments = ("serve", "--store", str(server.database), "--port", str(server.port))
    [line] = complaints(*arguments, environment={"EVERTOKEN_SECRET": "quite another secret of enough characters"})
    assert re.match(r"secret: the store holds keys encrypted under a secret that is not configured \(its id is ", line)


@pytest.mark.parametrize("kind", ["missing", "unreadable", "folder", "not TOML"])
def test_a_settings_file_that_cannot_be_read_is_said_in_one_line(tmp_path: Path, kind: str) -> None:
    """A settings file that is missing, forbidden, a folder or no TOML is named in one line."""
    config = tmp_path / "evertoken.toml"
    if kind == "folder":
        config.mkdir()
    elif kind != "missing":
        config.write_text("port = = 1")
    prefix: tuple[str, ...] = ()
    if kind == "unreadable":
        config.chmod(0)
        prefix = without_root_rights()
    [line] = complaints("serve", "--config", str(config), prefix=prefix)
    assert line.startswith(f"config: {config} is not TOML" if kind == "not TOML" else f"config: cannot read {config}")


@pytest.mark.parametrize("has_database", [False, True], ids=["new", "used"])
def test_a_folder_that_may_not_be_written_to_is_said_in_one_line(tmp_path: Path, has_database: bool) -> None:
    """Where the database cannot be written, the server says so at its start and not at the first sign-in."""
    folder = tmp_path / "data"
    folder.mkdir()
    if has_database:
        add_users(folder / "evertoken.db", "ada")
    folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    store, port = str(folder / "evertoken.db"), str(lasting_port())
    try:
        [line] = complaints("serve", "--store", store, "--port", port, prefix=without_root_rights())
    finally:
        folder.chmod(stat.S_IRWXU)
    assert line.startswith(f"store: cannot use {store} as the database: ")


def test_a_file_of_another_program_is_left_alone_and_said_in_one_line(tmp_path: Path) -> None:
    """A store that names a file which is no database of ours is refused, and the file stays as it is."""
    file = tmp_path / "letter.txt"
    file.write_text("Dear Ada,\n" * 100)
    [line] = complaints("serve", "--store", str(file), "--port", str(lasting_port()))
    assert line.startswith(f"store: cannot use {file} as the database: ")
    assert file.read_text() == "Dear Ada,\n" * 100


def without_root_rights() -> tuple[str, ...]:
    """A prefix under which file modes hold for root, too; nothing where we are not root."""
    if os.geteuid() != 0:
        return ()
    setpriv = need("setpriv", "makes file modes hold for root, whom nothing stops otherwise")
    return (setpriv, "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-all")
