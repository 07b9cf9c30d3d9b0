"""Machines that go: one dies, another is told to stop, and the rest carries on."""

import asyncio
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.machines.people import People, Record, until
from tests.machines.together import CLIENTS, DEADLINE_SECONDS, check_chains
from tests.machines.world import Host, World
from tests.support.server import client_at

TOO_BUSY = "answer too late"
"""What a client of a machine sees that is too busy with other things to run all this: it waits no longer than 10 s."""


class Going:
    """A file for each database subclasses this, beside `Together`."""

    @pytest.mark.slow
    def test_a_machine_dies_and_another_is_drained_and_nobody_notices(
        self, world: World, tmp_path: Path, tell: Callable[[str], None]
    ) -> None:
        """
        Under load one machine is killed and its cable pulled, another told to stop: what was acknowledged is there,
        nobody is signed out, and clients see nothing but a 502, 503 or 504 that they try again.
        """
        record = Record()
        tell(asyncio.run(_going(world, tmp_path, record, rounds=1)))
        _check(world, record)

    @pytest.mark.soak
    def test_machines_die_and_are_drained_in_turn_and_nobody_notices(
        self, world: World, tmp_path: Path, tell: Callable[[str], None]
    ) -> None:
        """The same twelve times over, each time with other machines."""
        record = Record()
        tell(asyncio.run(_going(world, tmp_path, record, rounds=12)))
        _check(world, record)


def _check(world: World, record: Record) -> None:
    check_chains(world, record)
    assert set(record.answers) <= {
        *("login 200", "refresh 200", "me 200", "refresh to be tried again", TOO_BUSY),
        *(f"{call} {status}" for call in ("refresh", "me") for status in (502, 503, 504)),
    }, record.answers
    assert "Traceback" not in world.errors()


async def _going(world: World, folder: Path, record: Record, *, rounds: int) -> str:
    people = People(world.url, CLIENTS, record=record, chance=random.Random(), folder=folder)
    await people.sign_in()

    async def some_more() -> None:
        so_far = record.refreshes
        await until(lambda: record.refreshes >= so_far + CLIENTS // 2)

    async with asyncio.TaskGroup() as group:
        group.create_task(people.use())
        for number in range(rounds):
            dead, drained = (world.hosts[(number + place) % len(world.hosts)] for place in (0, 1))
            await some_more()
            dead.machine.unplug()
            dead.server.kill()
            await some_more()
            told = await asyncio.to_thread(_drain, drained)
            await some_more()
            dead.machine.plug_in()
            for host in (dead, drained):
                await asyncio.to_thread(host.launch)
            for host in (dead, drained):
                await asyncio.to_thread(host.wait_until_ready)
        await some_more()
        people.stop()
    await people.refresh_all()
    return f"{record.in_words()}; the drained one said {told}"


def _drain(host: Host) -> dict[str, int]:
    """Tell a server to stop; what it says of itself until it has."""
    said = {}
    with client_at(host.url) as client:
        host.server.terminate()
        give_up_at = time.monotonic() + DEADLINE_SECONDS
        while (unready := client.get("/readyz")).status_code == 200:
            assert time.monotonic() < give_up_at
        said = {path: client.get(path).status_code for path in ("/readyz", "/healthz")}
    assert said == {"/readyz": 503, "/healthz": 200}
    assert "about to stop" in unready.text
    assert host.server.wait() == 0
    return said
