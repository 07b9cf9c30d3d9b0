"""Where the database files of the bench go: a real disk, and what a sync costs there."""

import os
import tempfile
import time
from pathlib import Path

from bench.report import median

_NOT_ON_A_DISK = {"tmpfs", "ramfs"}


def folder_on_a_disk() -> Path:
    """A new folder in TMPDIR; in the repository where TMPDIR is memory, which would make every commit free."""
    parent = Path(tempfile.gettempdir())
    if file_system(parent) in _NOT_ON_A_DISK:
        parent = Path(__file__).resolve().parent
    return Path(tempfile.mkdtemp(prefix="evertoken-bench-", dir=parent))


def file_system(folder: Path) -> str:
    """The kind of file system that a folder lies on."""
    found = ("", "unknown")
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        if folder.resolve().is_relative_to(mount) and len(mount) > len(found[0]):
            found = (mount, kind)
    return found[1]


def sync_seconds(folder: Path, *, times: int = 100) -> float:
    """What it takes to get one page to the disk, as SQLite does it (fdatasync, in place): the median."""
    took = []
    descriptor = os.open(folder / "sync", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        for _ in range(times):
            os.pwrite(descriptor, b"\1" * 4096, 0)
            began = time.perf_counter()
            os.fdatasync(descriptor)
            took.append(time.perf_counter() - began)
    finally:
        os.close(descriptor)
    return median(took)
