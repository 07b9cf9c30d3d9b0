"""A real Redis Cluster of three nodes for tests."""

import contextlib
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.stores.redis.server import DURABLE, RedisServer, memory

_NODES = 3
_SLOTS = 16_384
_READY_WITHIN_SECONDS = 30.0


@contextlib.contextmanager
def running_cluster() -> Iterator[list[RedisServer]]:
    """Three nodes with a third of the slots each."""
    with contextlib.ExitStack() as stack:
        nodes = []
        for number in range(_NODES):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="evertoken-redis-", dir=memory()))
            node = RedisServer(Path(folder), *DURABLE, "cluster-enabled yes", "cluster-node-timeout 2000")
            node.start()
            stack.callback(node.kill)
            nodes.append(node)
            with node.admin() as admin:
                first, last = number * _SLOTS // _NODES, (number + 1) * _SLOTS // _NODES - 1
                admin.execute_command("CLUSTER ADDSLOTSRANGE", first, last)  # type: ignore[no-untyped-call]
                admin.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)  # type: ignore[no-untyped-call]
                if number:
                    admin.execute_command("CLUSTER MEET", "127.0.0.1", nodes[0].port)  # type: ignore[no-untyped-call]
        give_up_at = time.monotonic() + _READY_WITHIN_SECONDS
        for node in nodes:
            with node.admin() as admin:
                while not _is_whole(admin.cluster("info")):
                    assert time.monotonic() < give_up_at, "the cluster does not come together"
                    time.sleep(0.05)
        yield nodes


def _is_whole(info: Mapping[str, str]) -> bool:
    return info["cluster_state"] == "ok" and info["cluster_known_nodes"] == str(_NODES)
