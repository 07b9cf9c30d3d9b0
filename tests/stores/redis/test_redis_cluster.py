"""The same store over a Redis Cluster: a script touches one slot, and what lies in two is written in a sound order."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from evertoken.errors import ConfigurationError, StoreUnavailable
from evertoken.sessions.model import RotationRequest
from evertoken.sessions.rotation import Outcome
from tests.stores.compliance.attempts import Attempts
from tests.stores.compliance.audit import AuditAndRevocations
from tests.stores.compliance.bench import LAPTOP, add_user, refresh, sign_in
from tests.stores.compliance.endings import SignInsAndEndings
from tests.stores.compliance.rotation import Rotation
from tests.stores.redis.bench import RedisBench
from tests.stores.redis.cluster import running_cluster
from tests.stores.redis.server import RedisServer
from tests.support.clock import MovingClock


@pytest.fixture(scope="module")
def nodes() -> Iterator[list[RedisServer]]:
    """One Cluster for the whole file."""
    with running_cluster() as running:
        yield running


@pytest.fixture
async def bench(nodes: list[RedisServer], tmp_path: Path, clock: MovingClock) -> AsyncIterator[RedisBench]:
    """An empty Cluster."""
    made = RedisBench(tmp_path, clock, *nodes)
    await made.empty()
    yield made
    await made.stop()


class TestRotation(Rotation):
    """Refreshes."""


class TestSignInsAndEndings(SignInsAndEndings):
    """Where sessions begin and end."""


class TestAttempts(Attempts):
    """Throttling."""


class TestAuditAndRevocations(AuditAndRevocations):
    """The trail and the feed."""


async def test_a_cluster_is_found_by_any_of_its_nodes_and_its_sessions_lie_on_all(
    bench: RedisBench, nodes: list[RedisServer]
) -> None:
    """One address is enough: what it belongs to is asked at the start, and a batch goes to every node at once."""
    store = bench.open(url=nodes[2].url())
    await store.start()
    user = await add_user(store)
    tokens = [await sign_in(store, bench.clock, user) for _ in range(60)]
    results = await store.rotate([RotationRequest(token, LAPTOP) for token in tokens])
    assert [result.outcome for result in results] == [Outcome.REISSUE] * 60
    for node in nodes:
        with node.admin() as admin:
            assert any(b"}:s:" in key for key in admin.scan_iter())
            admin.script_flush()
    results = await store.rotate([RotationRequest(token, LAPTOP) for token in tokens])
    assert [result.outcome for result in results] == [Outcome.REISSUE] * 60


async def test_every_node_is_looked_at_before_a_cluster_is_used(bench: RedisBench, nodes: list[RedisServer]) -> None:
    """One node that would throw sessions away is one too many."""
    with nodes[1].admin() as admin:
        admin.config_set("maxmemory", "1gb")
        admin.config_set("maxmemory-policy", "allkeys-lru")
        try:
            with pytest.raises(ConfigurationError, match=f":{nodes[1].port}.: maxmemory-policy is allkeys-lru"):
                await bench.open().start()
        finally:
            admin.config_set("maxmemory-policy", "noeviction")
            admin.config_set("maxmemory", 0)


async def test_a_node_that_is_killed_and_comes_back_signs_nobody_out(
    bench: RedisBench, nodes: list[RedisServer]
) -> None:
    """While a third of the slots has no server its sessions are 503; then they are there, and the Cluster is found."""
    store = bench.open()
    user = await add_user(store)
    tokens = [await sign_in(store, bench.clock, user) for _ in range(30)]
    with nodes[2].admin() as admin:
        of_it = {key.rpartition(b"}:s:")[2] for key in admin.scan_iter() if b"}:s:" in key}
    hit = next(token for token in tokens if token.session_id in of_it)
    nodes[2].kill()
    with pytest.raises(StoreUnavailable):
        await refresh(store, hit)
    nodes[2].start()
    async with asyncio.timeout(40):
        while True:
            try:
                results = await store.rotate([RotationRequest(token, LAPTOP) for token in tokens])
                break
            except StoreUnavailable:
                await asyncio.sleep(0.1)
    assert [result.outcome for result in results] == [Outcome.REISSUE] * 30
