"""Whether an answer waits for the disk: the kernel is asked, by a trace of the server's system calls."""

import asyncio
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.needs import is_missing, need
from tests.processes.connection import Connection
from tests.processes.ledger import SECRET, Ledger
from tests.processes.trace import SystemCall, read_trace
from tests.support.process import ServerProcess, add_users
from tests.support.server import PASSWORD

ONE_BY_ONE = 10
ROUNDS_AT_ONCE = 5
AT_ONCE = 12
WATCHED = "write,writev,pwrite64,pwritev,sendto,sendmsg,fsync,fdatasync"


@pytest.fixture
def strace() -> str:
    """strace, where processes may be traced."""
    path = need("strace", "shows that the sync comes before the answer")
    tried = subprocess.run([path, "-f", "-o", os.devnull, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        is_missing(f"strace may not trace here: {tried.stderr.strip()[:200]}")
    return path


def test_an_answer_to_a_refresh_is_sent_only_after_its_commit_is_on_the_disk(
    tmp_path: Path, strace: str, tell: Callable[[str], None]
) -> None:
    """
    Before the first byte of a refresh's answer leaves, the write of that very refresh to the database's log has been
    followed by a sync of the log that has returned, whether refreshes come one by one or together.
    """
    log = tmp_path / "trace.txt"
    server = ServerProcess(
        tmp_path,
        environment={"EVERTOKEN_SECRET": SECRET},
        prefix=(strace, "-D", "-f", "-y", "-xx", "-s", "8192", "-e", f"trace={WATCHED}", "-o", str(log)),
        overlap=0,  # every token that is presented becomes the one that counts: its tag is in the commit
    )
    add_users(server.database, *(f"user{number}" for number in range(AT_ONCE)))
    with server:
        pairs = asyncio.run(_refresh(server.port))
        pid = server.pid
    calls = read_trace(_complete(log, pid))
    ledger = Ledger()
    gaps = [_syncs_before_answer(calls, ledger.read(presented).tag, received) for presented, received in pairs]
    assert len(gaps) == ONE_BY_ONE + ROUNDS_AT_ONCE * AT_ONCE
    syncs = sum(call.name in {"fsync", "fdatasync"} and call.target.endswith("-wal") for call in calls)
    tell(f"{len(gaps)} refreshes, {syncs} syncs of the log, each answer after the sync of its own commit")


async def _refresh(port: int) -> list[tuple[str, str]]:
    """Refresh one by one, then many at once; returns what was presented and what was received for it."""
    connections = [Connection(port) for _ in range(AT_ONCE)]
    tokens = [
        (await connection.post("/auth/login", {"username": f"user{number}", "password": PASSWORD})).json()[
            "refresh_token"
        ]
        for number, connection in enumerate(connections)
    ]
    pairs: list[tuple[str, str]] = []

    async def refresh(number: int, *, counts: bool = True) -> None:
        answer = await connections[number].post("/auth/refresh", {"refresh_token": tokens[number]})
        received = answer.json()["refresh_token"]
        if counts:
            pairs.append((tokens[number], received))
        tokens[number] = received

    for number in range(AT_ONCE):
        await refresh(number, counts=False)  # the first token's tag is in the store since the sign-in
    for _ in range(ONE_BY_ONE):
        await refresh(0)
    for _ in range(ROUNDS_AT_ONCE):
        await asyncio.gather(*map(refresh, range(AT_ONCE)))
    for connection in connections:
        connection.close()
    await asyncio.sleep(0.01)
    return pairs


def _complete(log: Path, pid: int) -> Path:
    """Wait until strace, which outlives the server by a moment, has written the server's end."""
    give_up_at = time.monotonic() + 20
    ended = re.compile(rf"^{pid} +\+\+\+ exited", re.MULTILINE)  # strace fills short process ids up with spaces
    while not ended.search(log.read_text("ascii", "replace")[-20_000:]):
        assert time.monotonic() < give_up_at, "strace did not finish"
        time.sleep(0.05)
    return log


def _syncs_before_answer(calls: list[SystemCall], tag: bytes, received: str) -> int:
    """
    How many system calls lie between the return of the sync of a refresh's commit and the sending of its answer.

    Args:
        tag: Of the presented token; the commit writes it, and nothing before it did.
        received: The refresh token in the answer.
    """
    written = next(call for call in calls if call.target.endswith("-wal") and tag in call.data)
    body = next(call for call in calls if "socket:" in call.target and received.encode() in call.data)
    answered = next(  # its first byte, should head and body have left in two calls
        call
        for call in reversed(calls)
        if call.target == body.target and call.began <= body.began and call.data.startswith(b"HTTP/1.1 200")
    )
    assert written.ended is not None
    for call in calls:
        if (
            call.name in {"fsync", "fdatasync"}
            and call.target == written.target
            and call.began >= written.ended
            and call.ended is not None
            and call.result == 0
        ):
            assert call.ended < answered.began, "the answer left before its commit was on the disk"
            return answered.began - call.ended
    raise AssertionError("no sync followed the write")
