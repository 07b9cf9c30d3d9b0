"""What a database server, or the way to it, can do to a running store: 503 for a while, and nobody is signed out."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from types import ModuleType
from typing import Protocol

import pytest

from evertoken.errors import StoreUnavailable
from evertoken.sessions.group_commit import GroupCommit
from evertoken.sessions.model import RotationRequest
from evertoken.sessions.rotation import Outcome, Reason
from evertoken.stores.store import Store
from evertoken.tokens.refresh_token import RefreshToken, child_of
from tests.stores.compliance.bench import LAPTOP, POLICY, ServerBench, add_user, refresh, sign_in, signed_in
from tests.stores.faults import is_out
from tests.stores.proxy import Proxy
from tests.support.clock import MovingClock

STRICT = replace(POLICY, overlap_ms=0)
"""Every successor counts at once, so that every refresh changes its row."""

SOON_SECONDS = 30.0


class Server(Protocol):
    """A database server of the test's own."""

    port: int

    def url(self, *, port: int | None = None) -> str: ...

    def start(self) -> None: ...

    def kill(self) -> None: ...


class _Client:
    """An honest client: it presents its newest token, and the same once more as long as it is told 503."""

    def __init__(self, token: RefreshToken, commits: GroupCommit, clock: MovingClock) -> None:
        self.token = token
        self.refreshes = 0
        self.refusals = 0
        self._commits = commits
        self._clock = clock

    async def refresh_until(self, done: asyncio.Event) -> None:
        successor = child_of(self.token, now_ms=self._clock())
        while not done.is_set():
            try:
                result = await self._commits.submit(RotationRequest(successor, LAPTOP))
            except StoreUnavailable:
                self.refusals += 1
                await asyncio.sleep(0.02)
                continue
            # An answer that was lost makes a REISSUE of the next try.
            assert result.outcome in (Outcome.ADVANCE, Outcome.REISSUE)
            self.refreshes += 1
            self.token = successor
            successor = child_of(self.token, now_ms=self._clock())


async def _all_refresh(clients: list[_Client], more: int) -> None:
    least = {client: client.refreshes + more for client in clients}
    async with asyncio.timeout(SOON_SECONDS):
        while any(client.refreshes < least[client] for client in clients):
            await asyncio.sleep(0.005)


async def nobody_is_signed_out(bench: ServerBench, *, end: Callable[[], None], start: Callable[[], None]) -> None:
    """End the server under load and start it, twice: everybody is told 503, then goes on, and no answer was false."""
    store = bench.open(policy=STRICT)
    user = await add_user(store)
    commits = GroupCommit(store.rotate)
    clients = [_Client(await sign_in(store, bench.clock, user), commits, bench.clock) for _ in range(16)]
    done = asyncio.Event()
    running = [asyncio.create_task(client.refresh_until(done)) for client in clients]
    for _ in range(2):
        await _all_refresh(clients, 5)
        await asyncio.to_thread(end)
        await asyncio.sleep(0.1)
        await asyncio.to_thread(start)
    await _all_refresh(clients, 5)
    done.set()
    async with asyncio.timeout(SOON_SECONDS):
        await asyncio.gather(*running)
    assert all(client.refusals for client in clients)
    rows = await bench.read_rows([client.token.session_id for client in clients])
    for client in clients:
        assert rows[client.token.session_id].current == client.token.tag


async def is_well(store: Store, token: RefreshToken) -> None:
    """It recovers by itself, within the time that any client goes on trying, and the session is there."""
    async with asyncio.timeout(SOON_SECONDS):
        while True:
            try:
                await store.ping()
                assert (await refresh(store, token)).outcome is Outcome.REISSUE
            except StoreUnavailable:
                await asyncio.sleep(0.05)
            else:
                return


class ServerFaults:
    """
    Faults that every database server has; each store's own are beside it.

    `calls` is the module of the store that says how long a call may take.
    """

    calls: ModuleType

    async def test_a_server_that_is_killed_under_load_signs_nobody_out(
        self, bench: ServerBench, server: Server
    ) -> None:
        """While it is away everybody is told 503; once it is back all go on, and what was acknowledged is there."""
        await nobody_is_signed_out(bench, end=server.kill, start=server.start)

    async def test_a_network_that_is_cut_off_is_503_within_the_deadline(
        self, bench: ServerBench, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A connection that swallows all keeps nobody waiting, and is not used again when the network is back."""
        async with Proxy(server.port) as proxy:
            store = bench.open(url=server.url(port=proxy.port))
            token = await signed_in(store, bench.clock)
            monkeypatch.setattr(self.calls, "ANSWER_WITHIN_SECONDS", 0.3)
            proxy.swallow()
            async with asyncio.timeout(SOON_SECONDS):
                await is_out(store, token, "did not answer in time")
            monkeypatch.undo()
            proxy.pass_on()
            await is_well(store, token)
            await store.stop()

    async def test_a_store_that_is_stopped_finishes_what_is_under_way_and_takes_nothing_new(
        self, bench: ServerBench
    ) -> None:
        """A graceful stop loses nothing that was acknowledged, and says 503 to whoever comes later."""
        store = bench.open()
        user = await add_user(store)
        tokens = [await sign_in(store, bench.clock, user) for _ in range(20)]
        under_way = [asyncio.create_task(store.end(token.session_id, Reason.SIGNED_OUT, LAPTOP)) for token in tokens]
        await asyncio.sleep(0)
        await store.stop()
        assert all([(await task).session_ids for task in under_way])
        with pytest.raises(StoreUnavailable, match="closed"):
            await store.ping()
