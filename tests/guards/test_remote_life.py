"""The thread of a guard in another service: a fork does not take it along, faults do not end it."""

import asyncio
import logging
import os
import select
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from evertoken.guards import Guard, GuardEvent, GuardEventKind
from evertoken.guards.remote import running
from evertoken.guards.remote.running import OwnThread
from tests.client.forking import Child
from tests.guards.elsewhere import WITHIN_SECONDS, guarding, passes, refused, sign_out, until
from tests.support.server import LiveServer


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_process_follows_by_itself(live: LiveServer, http: httpx2.Client) -> None:
    """A server that starts its guard and then forks its workers: each hears of what is revoked after the fork."""
    known, later = live.sign_in(http), live.sign_in(http)
    now_ms, told = live.clock(), os.pipe()
    with guarding(live) as guard:
        sign_out(http, known)
        refused(guard, live, known["access_token"])
        polls = guard.status().feed_polls

        def work() -> list[Any]:
            before = [_passes(guard, pair, now_ms) for pair in (known, later)]
            until(lambda: guard.status().feed_polls > polls)
            os.write(told[1], b".")
            until(lambda: not _passes(guard, later, now_ms))
            return [*before, guard.status().feed]

        child = Child(work)
        ready, _, _ = select.select([told[0]], [], [], WITHIN_SECONDS)
        if ready:  # else it has failed, and its result says how
            sign_out(http, later)
        assert child.result() == [False, True, "followed"]
        refused(guard, live, later["access_token"])
    for end in told:
        os.close(end)


def _passes(guard: Guard, tokens: dict[str, Any], now_ms: int) -> bool:
    try:
        guard.check(tokens["access_token"], now_ms=now_ms)
    except Exception:  # noqa: BLE001 - told as it is, in the parent
        return False
    return True


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_closed_guard_stays_closed_in_a_forked_process(live: LiveServer) -> None:
    """Only what runs is started anew."""
    with guarding(live) as guard:
        guard.close()
        assert Child(lambda: [guard._thread in running._running, guard._is_started]).result() == [False, False]


def test_a_fault_in_the_thread_is_logged_and_it_begins_anew(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A guard that silently followed nothing any more would be worse than one that fails loudly."""
    monkeypatch.setattr(running, "RESTART_AFTER_SECONDS", 0.0)
    runs: list[int] = []

    async def work() -> None:
        runs.append(1)
        if len(runs) < 3:
            raise RuntimeError("a fault of ours")
        await _for_ever()

    thread = OwnThread("test-guard", work, on_fork=lambda: None)
    thread.start()
    until(lambda: len(runs) == 3)
    thread.stop()
    assert sum("a fault in the guard's thread" in record.message for record in caplog.records) == 2


async def _for_ever() -> None:
    await asyncio.Event().wait()


def test_a_thread_can_be_stopped_before_it_has_begun() -> None:
    """Start and stop in one breath: it ends."""
    for _ in range(50):
        work: Callable[[], Awaitable[None]] = _for_ever
        thread = OwnThread("test-guard", work, on_fork=lambda: None)
        thread.start()
        thread.stop()
        assert thread._thread is not None and not thread._thread.is_alive()


def test_a_hook_that_fails_changes_nothing(
    live: LiveServer, http: httpx2.Client, caplog: pytest.LogCaptureFixture
) -> None:
    """What `on_event` raises is logged, and the guard goes on."""

    def hook(_: GuardEvent) -> None:
        raise ValueError("mine")

    caplog.set_level(logging.ERROR, "evertoken.guards")
    tokens = live.sign_in(http)
    with guarding(live, on_event=hook) as guard:
        guard._tell(GuardEvent(GuardEventKind.FEED_LOST))
        assert passes(guard, live, tokens["access_token"])
    assert "on_event failed" in caplog.text
