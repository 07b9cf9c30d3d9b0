"""Eight processes share one session at the real server, over a network that loses, doubles and delays everything."""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from evertoken import FileStore, Session
from evertoken.testing import ChaosProxy
from tests.support.process import ServerProcess, add_users
from tests.support.server import PASSWORD

ROOT = Path(__file__).parents[2]
PROCESSES = 8
OVERLAP_SECONDS = 5
LIFE_SECONDS = 4.8
"""The longest that a request and its answer live: just under the overlap."""
LONGEST_REQUEST_SECONDS = 90.0
"""Two sendings of at most 30 s each and a refresh between them, on a machine that has other things to do."""


def _play(folder: Path, *, seconds: int) -> tuple[Counter[str], float, list[str], ChaosProxy]:
    """How all requests ended, how long the longest took, the sign-outs told, and the network."""
    ends: Counter[str] = Counter()
    longest, told = 0.0, []
    add_users(folder / "evertoken.db", "ada")
    with (
        ServerProcess(folder, access_lifetime="5s", overlap=f"{OVERLAP_SECONDS}s") as server,
        ChaosProxy(
            server.url,
            lose_requests=0.05,
            lose_answers=0.05,
            duplicate=0.05,
            delay_seconds=(0.0, LIFE_SECONDS / 3 - 0.01),
            bound_seconds=LIFE_SECONDS,
        ) as network,
    ):
        store = folder / "session.json"
        Session(server.url, store=FileStore(store)).login("ada", PASSWORD)
        # The processes know the server by the network's address.
        document = json.loads(store.read_text())
        store.write_text(json.dumps({**document, "server": network.url}))
        workers = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.worker", network.url, str(store), str(seconds)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for _ in range(PROCESSES)
        ]
        try:
            for worker in workers:
                output, errors = worker.communicate(timeout=seconds + 2 * LONGEST_REQUEST_SECONDS)
                assert worker.returncode == 0, errors[-4000:]
                found = json.loads(output)
                ends.update(found["ends"])
                longest = max(longest, found["longest_seconds"])
                told += found["signed_out"]
        finally:
            for worker in workers:
                if worker.poll() is None:
                    worker.kill()
                    worker.wait()
        network.calm()
        network.settle()
        # Whatever happened on the way, the session still lives.
        Session(network.url, store=FileStore(store)).refresh()
    return ends, longest, told, network


def _check(played: tuple[Counter[str], float, list[str], ChaosProxy], tell: Callable[[str], None]) -> None:
    ends, longest, told, network = played
    counts = ", ".join(f"{name} {count}" for name, count in sorted(network.counts.items()))
    tell(f"{dict(ends)}; the longest took {longest:.1f} s; on the network: {counts}; seed {network.seed}")
    network.assert_nobody_signed_out()
    assert not told
    assert set(ends) <= {"200", "refresh unavailable", "lost on the way"}, network.transcript()
    assert ends["200"] > ends["refresh unavailable"]
    assert longest < LONGEST_REQUEST_SECONDS
    assert network.counts["refreshes"] > 0
    assert min(network.counts[fate] for fate in ("requests_lost", "answers_lost", "duplicated", "delayed")) > 0


@pytest.mark.alone
@pytest.mark.slow
def test_eight_processes_on_a_bad_network_stay_signed_in(tmp_path: Path, tell: Callable[[str], None]) -> None:
    """
    With 5 % loss each way, 5 % duplicates and delays up to the overlap, eight processes that share a session stay
    signed in, and every request is answered or refused with RefreshUnavailable.
    """
    _check(_play(tmp_path, seconds=20), tell)


@pytest.mark.soak
@pytest.mark.parametrize("minutes", [10])
def test_eight_processes_on_a_bad_network_stay_signed_in_for_long(
    tmp_path: Path, tell: Callable[[str], None], minutes: int
) -> None:
    """The same for ten minutes, which is more than a hundred lifetimes of an access token."""
    _check(_play(tmp_path, seconds=60 * minutes), tell)
