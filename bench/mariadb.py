"""A MariaDB server of the bench's own, as Debian sets it up: every commit is on the disk."""

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_READY_WITHIN_SECONDS = 60.0
_PATH = "/usr/bin:/bin:/usr/sbin:/sbin"  # where Debian puts mariadbd
_USER = "CREATE DATABASE bench;\nCREATE USER bench@127.0.0.1;\nGRANT ALL ON *.* TO bench@127.0.0.1;\n"


@dataclass(frozen=True, slots=True)
class Database:
    """A server that runs: where it answers, and its process."""

    url: str
    port: int
    pid: int


def programs() -> tuple[str, str] | None:
    """The server, and what makes its data; None where there is none."""
    server, maker = (shutil.which(name, path=_PATH) for name in ("mariadbd", "mariadb-install-db"))
    return None if server is None or maker is None else (server, maker)


@contextlib.contextmanager
def running(
    folder: Path, installed: tuple[str, str], *, settings: Mapping[str, str] | None = None
) -> Iterator[Database]:
    """
    Start a server below this folder; it is gone at the end, whatever happens.

    Args:
        settings: What is otherwise than Debian has it.
    """
    who: dict[str, Any] = {}
    if os.geteuid() == 0:  # which MariaDB refuses to be
        entry = pwd.getpwnam("mysql")
        who = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        for above in (folder.parent, folder.parent.parent):
            above.chmod(above.stat().st_mode & 0o7777 | 0o011)  # that user must come through
    server, maker = installed
    data = f"--datadir={folder / 'data'}"
    make = [maker, "--no-defaults", data, "--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(make, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True, **who)
    (folder / "user.sql").write_text(_USER)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {
        "port": port,
        "bind-address": "127.0.0.1",
        "socket": folder / "socket",
        "innodb-flush-log-at-trx-commit": 1,
        "skip-name-resolve": 1,
        "init-file": folder / "user.sql",
        **(settings or {}),
    }
    command = [server, "--no-defaults", data, *(f"--{name}={value}" for name, value in options.items())]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, env={"PATH": _PATH}, **who)
    try:
        give_up_at = time.monotonic() + _READY_WITHIN_SECONDS
        while not _greets(port):
            if process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError(f"MariaDB does not start: {(folder / 'log').read_text()[-1000:]}")
            time.sleep(0.02)
        yield Database(f"mysql://bench@127.0.0.1:{port}/bench", port, process.pid)
    finally:
        process.terminate()
        process.wait()


def _greets(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1) as probe:
        return len(probe.recv(5)) > 0
    return False
