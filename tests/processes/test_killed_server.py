"""What a server that is killed in the middle of everything still owes to those whom it has answered."""

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvloop

from tests.processes.honest_client import HonestClient
from tests.processes.ledger import SECRET, Ledger
from tests.support.process import ServerProcess, add_users

CLIENTS = 64
OVERLAP_SECONDS = 0.1
RIPE_AFTER_SECONDS = 4 * OVERLAP_SECONDS
KILLED_WHILE_STARTING = 0.1
"""The share of kills that come at any time after the start, ready or not."""


@dataclass(slots=True)
class Storm:
    """
    Many clients, and a server that is killed under them at random moments.

    Args:
        kills: How often.
        refreshes: How many refreshes are answered in the whole run, at least.
    """

    server: ServerProcess
    scratch: Path
    chance: random.Random
    kills: int
    refreshes: int
    ledger: Ledger

    async def run(self) -> None:
        """Sign everybody in, kill and restart, and at the end let everybody refresh once more."""
        clients = [self._client(number) for number in range(CLIENTS)]
        # Before the storm: a sign-in that is cut off counts as a failed one, and after six of those one has to wait.
        try:
            await asyncio.gather(*(client.sign_in() for client in clients))
            async with asyncio.TaskGroup() as group:
                for client in clients:
                    group.create_task(client.keep_refreshing())
                for kill in range(self.kills):
                    if kill % 5 == 0:  # a sign-in takes long under load; without this few would ever be acknowledged
                        while any(client.is_signing_in for client in clients):
                            await asyncio.sleep(0.001)
                    await self._kill_once(clients)
                await self._until_refreshes(self.refreshes)
                for client in clients:
                    client.stop()
            await asyncio.gather(*(client.refresh() for client in clients))
        finally:
            for client in clients:
                client.close()
            await asyncio.sleep(0.01)  # closed connections are let go of on the loop's next turn

    def _client(self, number: int) -> HonestClient:
        return HonestClient(
            f"user{number}",
            self.server.port,
            self.ledger,
            self.chance,
            waits_until_ripe_seconds=RIPE_AFTER_SECONDS if number % 4 == 0 else None,
            signs_out_every=25 if number % 16 == 1 else None,
        )

    async def _kill_once(self, clients: list[HonestClient]) -> None:
        per_kill = self.refreshes // self.kills
        if self.chance.random() < KILLED_WHILE_STARTING:
            await asyncio.sleep(self.chance.uniform(0, 0.5))
        else:
            await asyncio.to_thread(self.server.wait_until_ready)
            await self._until_refreshes(self.ledger.refreshes + self.chance.randrange(2 * per_kill))
            await asyncio.sleep(self.chance.uniform(0, 0.005))
        self.server.kill()
        # Who is signing in may have a session by now, and not know yet that its answer is lost.
        signing_in = sum(client.is_signing_in for client in clients)
        losses = self.ledger.check_store(self.server.database, self.scratch, signing_in=signing_in)
        assert not losses, "\n".join(losses)
        self.server.launch()

    async def _until_refreshes(self, count: int) -> None:
        while self.ledger.refreshes < count:
            await asyncio.sleep(0.001)


def weather(folder: Path, *, kills: int, refreshes: int, within_seconds: float) -> str:
    """Run a storm and check everything that was acknowledged; returns the figures."""
    seed = random.randrange(1_000_000)
    server = ServerProcess(
        folder, environment={"EVERTOKEN_SECRET": SECRET}, overlap=OVERLAP_SECONDS, log_level="warning"
    )
    add_users(server.database, *(f"user{number}" for number in range(CLIENTS)))
    ledger = Ledger()
    storm = Storm(server, folder / "copy", random.Random(seed), kills, refreshes, ledger)
    began = time.monotonic()

    async def bounded() -> None:
        async with asyncio.timeout(within_seconds):
            await storm.run()

    with server, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(bounded())
    took = time.monotonic() - began
    losses = ledger.check_store(server.database, storm.scratch)
    assert not losses, "\n".join([f"seed {seed}", *losses])
    ledger.check_access_tokens(server.database, storm.scratch, issuer=f"http://localhost:{server.port}")
    assert ledger.refreshes >= refreshes
    assert ledger.outcomes["advance"] >= refreshes / 100
    assert "Traceback" not in server.stderr
    kinds = ", ".join(f"{count} {kind}" for kind, count in ledger.outcomes.most_common())
    return f"{kills} kills in {ledger.refreshes} refreshes of {CLIENTS} clients in {took:.0f} s, seed {seed}: {kinds}"


@pytest.mark.slow
def test_a_server_killed_fifty_times_under_load_signs_nobody_out_and_loses_nothing(
    tmp_path: Path, tell: Callable[[str], None]
) -> None:
    """
    Kill the server at fifty random moments while 64 clients refresh: all stay signed in, and whatever was
    acknowledged, a refresh, a sign-in or a sign-out, is in the store after each kill.
    """
    tell(weather(tmp_path, kills=50, refreshes=10_000, within_seconds=400))


@pytest.mark.soak
def test_a_server_killed_five_hundred_times_under_load_signs_nobody_out_and_loses_nothing(
    tmp_path: Path, tell: Callable[[str], None]
) -> None:
    """The same, ten times as long: 500 kills in 100,000 refreshes."""
    tell(weather(tmp_path, kills=500, refreshes=100_000, within_seconds=4000))
