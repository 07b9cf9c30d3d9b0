"""
A real MariaDB for tests: on a free port, with a password, in a temporary folder, stopped again.

It does not sync to the disk: what tests kill is the server, not the machine.
"""

import contextlib
import functools
import os
import pwd
import shutil
import signal
import socket
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
DATABASE = "evertoken"

_WHY = "keeps the sessions in the tests of the MariaDB store"
_READY_WITHIN_SECONDS = 30.0
_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"  # where Debian puts mariadbd
_SETTINGS = {
    "innodb-flush-log-at-trx-commit": "2",
    "innodb-buffer-pool-size": "64M",
    "innodb-log-file-size": "16M",
    "bind-address": "127.0.0.1",
    "skip-name-resolve": "1",
    "max-connections": "300",
    "performance-schema": "off",
    "character-set-server": "latin1",  # not ours: what a server has by default must not matter
    "sql-mode": "",
    "default-time-zone": "+05:30",
}
_USERS = f"""
CREATE DATABASE {DATABASE};
CREATE DATABASE other;
CREATE USER {USER}@127.0.0.1 IDENTIFIED BY '{PASSWORD_ITSELF}';
GRANT ALL ON {DATABASE}.* TO {USER}@127.0.0.1;
GRANT ALL ON other.* TO {USER}@127.0.0.1;
CREATE USER admin@127.0.0.1 IDENTIFIED BY '{PASSWORD_ITSELF}';
GRANT ALL ON *.* TO admin@127.0.0.1 WITH GRANT OPTION;
"""
_OVER_TLS = f"""
CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD_ITSELF}' REQUIRE SSL;
GRANT ALL ON {DATABASE}.* TO {USER}@'%';
"""
"""For clients of other machines."""


@functools.cache
def program(name: str) -> str:
    """The path of one of MariaDB's programs."""
    search = os.pathsep.join([os.environ.get("PATH", ""), _PATH])
    return shutil.which(name, path=search) or need(name, _WHY)


def unprivileged() -> dict[str, Any]:
    """Who runs the server where the tests are run by root, which it would refuse."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = known.get("mysql") or known.get("nobody")
    if entry is None:
        is_missing("MariaDB does not run as root, and there is no other user to run it")
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


class MariadbServer:
    """A server that can be stopped, killed and started again; `url()` is its address."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.port = lasting_port()
        self.folder = folder
        self._settings = {**_SETTINGS, "port": str(self.port), **settings}
        self._data = folder / "data"
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def socket(self) -> Path:
        """Its UNIX socket."""
        return self.folder / "socket"

    def url(self, database: str = DATABASE, *, password: str = PASSWORD, port: int | None = None) -> str:
        return f"mysql://{USER}:{password}@127.0.0.1:{port or self.port}/{database}"

    @property
    def admin_url(self) -> str:
        """Of somebody who may do anything, also where the server is read-only."""
        return f"mysql://admin:{PASSWORD}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def initialise(self) -> None:
        """Make the folder of the data, and the user; with a certificate, others may come from elsewhere, too."""
        program("mariadbd")
        who = unprivileged()
        if who:
            os.chown(self.folder, who["user"], who["group"])
        made = subprocess.run(
            [
                program("mariadb-install-db"),
                *("--no-defaults", f"--datadir={self._data}", "--auth-root-authentication-method=normal"),
                *("--skip-test-db", "--skip-name-resolve"),
            ],
            cwd=self.folder,
            capture_output=True,
            check=False,
            env={"PATH": _PATH, "TMPDIR": str(self.folder)},
            **who,
        )
        if made.returncode:
            is_missing(f"mariadb-install-db fails here: {made.stderr.decode().strip()}")
        script = self.folder / "users.sql"
        script.write_text(_USERS + _OVER_TLS if "ssl-cert" in self._settings else _USERS)
        script.chmod(0o644)  # of a server that nobody else can reach for a minute
        self.start(f"--init-file={script}")
        script.unlink()

    def start(self, *options: str) -> None:
        """Start the server and wait until it takes connections; anew, on the same port, after `stop` or `kill`."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    program("mariadbd"),
                    *("--no-defaults", f"--datadir={self._data}", f"--socket={self.socket}"),
                    *(f"--{name}={value}" for name, value in self._settings.items()),
                    *options,
                ],
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": _PATH},
                **unprivileged(),
            )
        give_up_at = time.monotonic() + _READY_WITHIN_SECONDS
        while not self._takes_connections():
            if self._process.poll() is not None or time.monotonic() > give_up_at:
                raise AssertionError(f"MariaDB does not start:\n{self._log.read_text()[-2000:]}")
            time.sleep(0.01)  # it tells nobody when it is ready

    def _takes_connections(self) -> bool:
        """It greets whoever connects once it has read its users, and run what it was told to run at its start."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1) as probe:
            return len(probe.recv(5)) > 0
        return False

    def stop(self) -> None:
        """Stop it, as an administrator does."""
        self._end(signal.SIGTERM)

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


@contextlib.contextmanager
def running_mariadb(**settings: str) -> Iterator[MariadbServer]:
    """A server of its own, stopped with the context."""
    folder = Path(tempfile.mkdtemp(prefix="evertoken-mariadb-"))
    server = MariadbServer(folder, **settings)
    try:
        server.initialise()
        yield server
    finally:
        server.kill()
        shutil.rmtree(folder, ignore_errors=True)
