"""A PostgreSQL server of the bench's own, as Debian sets it up: every commit is on the disk."""

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

_READY_WITHIN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Database:
    """A server that runs: where it answers, and the process that all of its others are children of."""

    url: str
    pid: int


def programs() -> Path | None:
    """The folder of the newest server's programs; None where there is none."""
    folders = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    found = max(folders, key=lambda folder: float(folder.parent.name), default=None)
    if found is None and (elsewhere := shutil.which("initdb")):
        found = Path(elsewhere).parent
    return found


@contextlib.contextmanager
def running(folder: Path, bin_folder: Path, *, settings: Mapping[str, str] | None = None) -> Iterator[Database]:
    """
    Start a server below this folder; it is gone at the end, whatever happens.

    Args:
        settings: What is otherwise than Debian has it.
    """
    who: dict[str, Any] = {}
    if os.geteuid() == 0:  # which PostgreSQL refuses to be
        entry = pwd.getpwnam("postgres")
        who = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
        os.chown(folder, entry.pw_uid, entry.pw_gid)
        for above in (folder.parent, folder.parent.parent):
            above.chmod(above.stat().st_mode & 0o7777 | 0o011)  # that user must come through
    data = folder / "data"
    initdb = [str(bin_folder / "initdb"), "-D", str(data), "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale", "C"]
    subprocess.run(initdb, cwd=folder, stdout=subprocess.DEVNULL, check=True, **who)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {"port": port, "listen_addresses": "127.0.0.1", "unix_socket_directories": folder, **(settings or {})}
    command = [str(bin_folder / "postgres"), "-D", str(data)]
    for name, value in options.items():
        command += ["-c", f"{name}={value}"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, **who)
    try:
        give_up_at = time.monotonic() + _READY_WITHIN_SECONDS
        while "ready" not in _state(data):
            if process.poll() is not None or time.monotonic() > give_up_at:
                raise RuntimeError(f"PostgreSQL does not start: {(folder / 'log').read_text()[-1000:]}")
            time.sleep(0.02)
        yield Database(f"postgresql://bench@127.0.0.1:{port}/postgres", process.pid)
    finally:
        process.terminate()
        process.wait()


def _state(data: Path) -> str:
    with contextlib.suppress(OSError):
        return (data / "postmaster.pid").read_text()
    return ""
