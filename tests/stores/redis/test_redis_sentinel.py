"""A Redis whose place another takes, as Sentinel arranges it: 503 for a while, and nobody is signed out."""

import asyncio
import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from evertoken.errors import StoreUnavailable
from evertoken.sessions.rotation import Outcome, Reason
from tests.needs import need
from tests.stores.compliance.bench import LAPTOP, add_user, refresh, sign_in, succeed
from tests.stores.redis.bench import RedisBench
from tests.stores.redis.server import DURABLE, RedisServer, memory
from tests.support.clock import MovingClock
from tests.support.process import lasting_port
from tests.token_stores.redis_server import PASSWORD, PASSWORD_ITSELF

SOON_SECONDS = 40.0


@contextlib.contextmanager
def running_sentinel(folder: Path, primary: RedisServer) -> Iterator[int]:
    """One Sentinel that decides alone, and soon."""
    program = need("redis-server", "watches another one in the tests of the Redis store")
    port = lasting_port()
    lines = [
        f"port {port}",
        "bind 127.0.0.1",
        f"dir {folder}",
        f"sentinel monitor sessions 127.0.0.1 {primary.port} 1",
        f"sentinel auth-pass sessions {PASSWORD_ITSELF}",
        "sentinel down-after-milliseconds sessions 500",
        "sentinel failover-timeout sessions 3000",
    ]
    configuration = folder / "sentinel.conf"
    configuration.write_text("\n".join(lines))
    process = subprocess.Popen([program, configuration, "--sentinel"], stdout=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.kill()
        process.wait(timeout=30)


async def test_a_replica_that_takes_over_goes_on_with_every_session(tmp_path: Path, clock: MovingClock) -> None:
    """
    The primary dies, and with it commits that the replica never got: sessions are healed, and guards are told.
    """
    with contextlib.ExitStack() as stack:
        first, second = (
            RedisServer(Path(stack.enter_context(tempfile.TemporaryDirectory(dir=memory()))), *DURABLE)
            for _ in range(2)
        )
        for server in (first, second):
            server.start()
            stack.callback(server.kill)
        with second.admin() as admin:
            admin.replicaof("127.0.0.1", str(first.port))
        sentinel = stack.enter_context(running_sentinel(tmp_path, first))
        bench = RedisBench(tmp_path, clock, first)
        async with asyncio.timeout(SOON_SECONDS):
            with second.admin() as admin:
                while admin.info("replication").get("master_link_status") != "up":
                    await asyncio.sleep(0.05)
            with first.admin() as admin:
                store = bench.open(url=f"redis+sentinel://:{PASSWORD}@127.0.0.1:{sentinel}/sessions/0")
                await store.start()
                user = await add_user(store)
                tokens = [await sign_in(store, clock, user) for _ in range(6)]
                admin.wait(1, 5_000)
                with second.admin() as other:
                    other.config_set("masterauth", "cut-off")
                    other.execute_command("CLIENT KILL TYPE MASTER")  # type: ignore[no-untyped-call]
                    while other.info("replication")["master_link_status"] == "up":
                        await asyncio.sleep(0.02)
            newest = [await succeed(store, clock, await succeed(store, clock, token)) for token in tokens]
            first.kill()
            results = []
            for token in newest:
                while True:
                    try:
                        results.append(await refresh(store, token))
                        break
                    except StoreUnavailable:
                        await asyncio.sleep(0.1)
            assert {(result.outcome, result.healed) for result in results} == {(Outcome.ADVANCE, True)}
            ended = await store.end(newest[0].session_id, Reason.SIGNED_OUT, LAPTOP)
            assert ended.session_ids == (newest[0].session_id,)
            assert [one for one, _ in (await store.revocations_after(0)).session_ids] == [newest[0].session_id]
            await bench.stop()
