"""
A real PostgreSQL for tests: on a free port, with a password, in a temporary folder, stopped again.

It does not sync to the disk: what tests kill is the server, not the machine.
"""

import contextlib
import functools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.needs import is_missing, need
from tests.support.process import lasting_port

USER = "evertoken"
PASSWORD = "p4ss%2Fw0rd-in-the-url"  # percent-encoded as in a URL
PASSWORD_ITSELF = "p4ss/w0rd-in-the-url"

_WHY = "keeps the sessions in the tests of the PostgreSQL store"
_READY_WITHIN_SECONDS = 30.0
_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "autovacuum": "off",  # a glance of its at a table would keep old versions of rows alive, in tests that measure them
    "max_connections": "300",
    "shared_buffers": "64MB",
    "listen_addresses": "127.0.0.1",
    "restart_after_crash": "on",
    "log_lock_waits": "on",
}


@functools.cache
def program(name: str) -> str:
    """The path of one of PostgreSQL's programs; Debian keeps those of the server in a folder of the version."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
    search = os.pathsep.join([*map(str, reversed(folders)), os.environ.get("PATH", "")])
    return shutil.which(name, path=search) or need(name, _WHY)


def unprivileged() -> dict[str, Any]:
    """Who runs the server where the tests are run by root: PostgreSQL refuses to be root."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get("postgres") or known.get("nobody")
    if entry is None:
        is_missing("PostgreSQL does not run as root, and there is no other user to run it")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


class PostgresServer:
    """A server that can be stopped, killed and started again; `url()` is its address."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.port = lasting_port()
        self.folder = folder
        self._settings = {**_SETTINGS, "port": str(self.port), "unix_socket_directories": str(folder), **settings}
        self._data = folder / "data"
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str = "postgres", *, password: str = PASSWORD, port: int | None = None) -> str:
        return f"postgresql://{USER}:{password}@127.0.0.1:{port or self.port}/{database}"

    @property
    def pid(self) -> int:
        """Of the process that all others of the server are children of."""
        assert self._process is not None
        return self._process.pid

    def initialise(self) -> None:
        """Make the folder of the data."""
        initdb = program("initdb")
        who = unprivileged()
        if who:
            os.chown(self.folder, who["user"], who["group"])
        password_file = self.folder / "password"
        password_file.write_text(PASSWORD_ITSELF)
        password_file.chmod(0o644)  # of a server that nobody else can reach for a minute
        made = subprocess.run(
            [
                initdb,
                *("-D", self._data, "-U", USER, "--pwfile", password_file, "--auth", "scram-sha-256"),
                *("--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions"),
            ],
            cwd=self.folder,
            capture_output=True,
            check=False,
            env={"PATH": "/usr/bin:/bin", "TMPDIR": str(self.folder)},
            **who,
        )
        if made.returncode:
            is_missing(f"initdb fails here: {made.stderr.decode().strip()}")

    def start(self) -> None:
        """Start the server and wait until it takes connections; anew, on the same port, after `stop` or `kill`."""
        who = unprivileged()
        options = [part for name, value in self._settings.items() for part in ("-c", f"{name}={value}")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [program("postgres"), "-D", self._data, *options],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": "/usr/bin:/bin"},
                **who,
            )
        give_up_at = time.monotonic() + _READY_WITHIN_SECONDS
        state = self._data / "postmaster.pid"
        while not _is_ready(state):
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                raise AssertionError(f"PostgreSQL does not start:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.01)  # it tells nobody when it is ready

    def stop(self) -> None:
        """Stop it and cut its connections, as an administrator does (a fast shutdown)."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it as a crash does: nothing is written down, nobody is told."""
        self._end(signal.SIGKILL)

    def back_up(self) -> Path:
        """Stop it, copy its data, and start it again; gives the copy."""
        self.stop()
        copy = self.folder / "backup"
        subprocess.run(["cp", "-a", self._data, copy], check=True)
        self.start()
        return copy

    def restore(self, copy: Path) -> None:
        """End it, put the copy in the place of its data, and start it: all that was committed since is lost."""
        self.kill()
        shutil.rmtree(self._data)
        subprocess.run(["cp", "-a", copy, self._data], check=True)
        self.start()

    def _end(self, with_signal: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(with_signal)
            self._process.wait(timeout=30)
            self._process = None


def _is_ready(state: Path) -> bool:
    try:
        lines = state.read_text().splitlines()
    except OSError:
        return False
    return len(lines) > 7 and lines[7].strip() in {"ready", "standby"}


@contextlib.contextmanager
def running_postgres(**settings: str) -> Iterator[PostgresServer]:
    """A server of its own, stopped with the context."""
    folder = Path(tempfile.mkdtemp(prefix="evertoken-postgres-"))
    server = PostgresServer(folder, **settings)
    try:
        server.initialise()
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
