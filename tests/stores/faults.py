"""What the fault tests share: ways to break a database file, and what must hold while it is broken and afterwards."""

import contextlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from evertoken.errors import StoreUnavailable
from evertoken.sessions.rotation import Outcome, Reason
from evertoken.stores.sqlite.naming import migrations
from evertoken.stores.sqlite.store import SqliteStore
from evertoken.stores.store import Store
from evertoken.tokens.refresh_token import RefreshToken
from tests.needs import need
from tests.stores.compliance.bench import (
    LAPTOP,
    refresh,
)
from tests.stores.sqlite_bench import SqliteBench

NOBODY = 65534

HOLD_THE_LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
sys.stdin.read()
connection.execute("ROLLBACK")
"""


@contextlib.contextmanager
def locked_by_another_process(path: Path) -> Iterator[None]:
    """Somebody else is in the middle of a write."""
    command = [sys.executable, "-c", HOLD_THE_LOCK, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        try:
            yield
        finally:
            other.communicate()


async def is_intact(store: SqliteStore, *tokens: RefreshToken) -> None:
    """Every one of these sessions can be refreshed, and a sign-in can be stored."""
    for token in tokens:
        assert (await refresh(store, token)).outcome is Outcome.REISSUE
    await store.ping()


async def is_out(store: Store, token: RefreshToken, told: str | None = None) -> None:
    """Nothing can be written: neither a refresh, nor a sign-out, nor is the store ready; the log is `told` why."""
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match=told):
            await refresh(store, token)
    with pytest.raises(StoreUnavailable, match=told):
        await store.end(token.session_id, Reason.SIGNED_OUT, LAPTOP)
    with pytest.raises(StoreUnavailable, match=told):
        await store.ping()


def back_up(bench: SqliteBench, target: Path, made_by: str) -> None:
    with bench.connection() as source:
        if made_by == "vacuum":
            source.execute("VACUUM INTO ?", (str(target),))
            return
        with contextlib.closing(sqlite3.connect(target)) as copy:
            source.backup(copy)


@contextlib.contextmanager
def folder_of_an_ordinary_user() -> Iterator[Path]:
    """A folder of somebody to whom permissions apply; root becomes nobody for that long."""
    folder = Path(tempfile.mkdtemp())
    migrations()  # read now: nobody may be unable to read this source tree
    is_root = os.geteuid() == 0
    if is_root:
        os.chown(folder, NOBODY, NOBODY)
        os.seteuid(NOBODY)
    try:
        yield folder
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o700)
        shutil.rmtree(folder)


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of one megabyte; skipped where nobody may mount one."""
    mount, umount = need("mount", "gives a full disk to a test"), need("umount", "takes it away again")
    folder.mkdir()
    mounted = subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no disk can be mounted here: {mounted.stderr.decode().strip()}")
    try:
        yield folder
    finally:
        subprocess.run([umount, "-l", folder], check=True)
