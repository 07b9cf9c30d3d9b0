"""
Whoever waits for a refresh may leave: it goes on for the others.

Libraries that block and libraries for asyncio are left in different ways, and a test of one way is skipped for the
other kind: there is nothing that could be installed, so with CI=true it is skipped too (see `tests/needs.py`).
"""

import asyncio
import signal
import threading
import time
from concurrent.futures import CancelledError
from typing import Any

import pytest

from tests.adapters.benches.bench import PATIENCE_SECONDS, Ask, AsyncBench, SyncBench
from tests.adapters.compliance.stage import Stage


class _LeftError(Exception):
    """What the handler of a signal raises in the middle of a request."""


class Leaving(Stage):
    @pytest.mark.parametrize("rotation", ["evertoken", "strict"])
    @pytest.mark.parametrize("how", ["by the clock", "by the server"])
    def test_a_leader_that_is_cancelled_leaves_the_refresh_to_the_others(
        self, playing: Any, how: str, rotation: str
    ) -> None:
        """Cancelling the task whose request started the refresh neither stops it nor harms those who wait for it."""
        if not self.bench.is_async:
            pytest.skip("threads cannot be cancelled; another test interrupts one")
        with playing(rotation=rotation) as play:
            play.expire(how)
            with play.api.hold_refreshes() as gate:
                leader = play.client.start(Ask(play.me))
                gate.wait_for_arrival()
                others = play.client.start_many(10, play.me)
                play.waiting.wait_for(11)
                assert leader.cancel()
                gate.release()
                assert play.client.statuses(others) == [200] * 10
            with pytest.raises(CancelledError):
                leader.result(0)
            assert play.client.get(play.me).status == 200
            assert (play.api.refresh_count, play.api.reuses, play.ends) == (1, 0, [])

    def test_all_who_wait_are_cancelled_and_the_refresh_still_serves_the_next(self, playing: Any) -> None:
        """Even with nobody left to wait, the new pair is stored, and the next request goes out with it."""
        if not self.bench.is_async:
            pytest.skip("threads cannot be cancelled, nor what they wait for")
        with playing(rotation="strict") as play:
            play.expire("by the server")
            with play.api.hold_refreshes() as gate:
                pending = play.client.start_many(5, play.me)
                gate.wait_for_arrival()
                play.waiting.wait_for(5)
                assert [each.cancel() for each in pending] == [True] * 5
            assert play.client.get(play.me).status == 200
            assert (play.api.refresh_count, play.api.reuses, play.ends) == (1, 0, [])

    def test_a_leader_that_a_signal_interrupts_leaves_the_refresh_to_the_others(self, playing: Any) -> None:
        """Ctrl-C, or any handler of a signal that raises, ends the wait of the main thread and not the refresh."""
        bench = self.bench
        if not isinstance(bench, SyncBench):
            pytest.skip("for libraries that block: a loop has a thread of its own here, and signals reach the main one")
        assert threading.current_thread() is threading.main_thread(), "signals are handled nowhere else"
        left: list[bool] = []

        def leave(*_: object) -> None:
            if not left:
                left.append(True)
                raise _LeftError

        before = signal.signal(signal.SIGUSR1, leave)
        try:
            with playing(rotation="strict") as play, bench.opened(play.session, None) as native:
                play.expire("by the server")
                with play.api.hold_refreshes() as gate:
                    others = []
                    pause = threading.Event()

                    def interrupt() -> None:
                        gate.wait_for_arrival()
                        others.extend(play.client.start_many(10, play.me))
                        play.waiting.wait_for(11)
                        # More than one signal: Python sees one that comes just before a lock is waited for only when
                        # that wait ends.
                        giving_up_at = time.monotonic() + PATIENCE_SECONDS
                        while not left and time.monotonic() < giving_up_at:
                            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
                            pause.wait(0.05)

                    helper = threading.Thread(target=interrupt)
                    helper.start()
                    try:
                        with pytest.raises(_LeftError):
                            bench.exchange(native, Ask(play.me))
                    finally:
                        left.append(True)  # no signal any more once its handler is gone
                        helper.join(PATIENCE_SECONDS)
                assert play.client.statuses(others) == [200] * 10
                assert (play.api.refresh_count, play.api.reuses, play.ends) == (1, 0, [])
        finally:
            signal.signal(signal.SIGUSR1, before)

    def test_a_waiter_that_times_out_takes_nothing_with_it(self, playing: Any) -> None:
        """`asyncio.timeout` around a request ends its wait alone."""
        bench = self.bench
        if not isinstance(bench, AsyncBench):
            pytest.skip("for asyncio: a thread that blocks has no asyncio.timeout")

        async def impatient(play: Any) -> None:
            async with bench.opened(play.session, None) as native:
                patient = asyncio.create_task(bench.exchange(native, Ask(play.me)))
                await asyncio.to_thread(gate.wait_for_arrival)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await bench.exchange(native, Ask(play.me))
                gate.release()
                assert (await patient).status == 200

        with playing(rotation="strict") as play:
            play.expire("by the clock")
            with play.api.hold_refreshes() as gate:
                asyncio.run(impatient(play))
            assert (play.api.refresh_count, play.api.reuses, play.ends) == (1, 0, [])

    @pytest.mark.parametrize("how", ["by the clock", "by the server"])
    def test_a_loop_that_closes_in_mid_refresh_leaves_it_to_the_next_loop(self, playing: Any, how: str) -> None:
        """When `asyncio.run` ends during a refresh, the next loop's request gets its result, without another."""
        bench = self.bench
        if not isinstance(bench, AsyncBench):
            pytest.skip("for asyncio: a library that blocks has no loop that could close")

        async def ends_early(play: Any) -> None:
            async with bench.opened(play.session, None) as native:
                leftover.append(asyncio.create_task(bench.exchange(native, Ask(play.me))))
                await asyncio.to_thread(gate.wait_for_arrival)
                await asyncio.to_thread(play.waiting.wait_for, 1)

        async def next_loop(play: Any) -> None:
            async with bench.opened(play.session, None) as native:
                task = asyncio.create_task(bench.exchange(native, Ask(play.me)))
                await asyncio.to_thread(play.waiting.wait_for, 2)
                gate.release()
                assert (await task).status == 200

        leftover: list[asyncio.Task[Any]] = []
        with playing(rotation="strict") as play:
            play.expire(how)
            with play.api.hold_refreshes() as gate:
                asyncio.run(ends_early(play))
                assert leftover[0].cancelled()
                asyncio.run(next_loop(play))
            assert (play.api.refresh_count, play.api.reuses, play.ends) == (1, 0, [])
