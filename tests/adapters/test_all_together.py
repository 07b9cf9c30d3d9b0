"""One session for everything that a program does at once: threads, tasks, event loops, four libraries."""

import contextlib
import dataclasses
from typing import Any

import httpx2
import pytest
import requests

from evertoken.client import EVERTOKEN
from evertoken.client.httpx2 import SilentAuth as Httpx2SilentAuth
from evertoken.client.requests import NO_AUTH
from evertoken.client.requests import SilentAuth as RequestsSilentAuth
from evertoken.errors import RefreshUnavailable, SignedOut
from evertoken.testing import Fault
from tests.adapters.benches.aiohttp import AiohttpBench
from tests.adapters.benches.bench import Client
from tests.adapters.benches.httpx_family import HttpxAsyncBench, HttpxBench
from tests.adapters.benches.requests_family import RequestsBench
from tests.adapters.compliance.stage import Play, Stage

EACH = 25
LOOPS = 2


class TestAllTogether(Stage):
    bench = RequestsBench(requests, RequestsSilentAuth, NO_AUTH)
    more = (HttpxBench(httpx2, Httpx2SilentAuth),) + (HttpxAsyncBench(httpx2, Httpx2SilentAuth), AiohttpBench()) * LOOPS
    count = EACH * (len(more) + 1)

    @contextlib.contextmanager
    def _all(self, play: Play) -> Any:
        """A client of each library, each asyncio one with a loop and a thread of its own."""
        with contextlib.ExitStack() as stack:
            yield [play.client, *(stack.enter_context(bench.client(play.session)) for bench in self.more)]

    def _start(self, clients: list[Client], url: str) -> list[Any]:
        return [pending for client in clients for pending in client.start_many(EACH, url)]

    @pytest.mark.parametrize("rotation", ["evertoken", "strict"])
    def test_threads_and_loops_that_are_refused_at_once_make_one_refresh(self, playing: Any, rotation: str) -> None:
        """Requests of four libraries from threads and four event loops, refused at once, share one refresh."""
        with playing(rotation=rotation) as play, self._all(play) as clients:
            for times in (1, 2):
                with play.api.hold_requests() as gate:
                    pending = self._start(clients, play.me)
                    gate.wait_for_arrival(30, count=self.count)
                    play.expire("by the server")
                    play.api.let_pass()
                    gate.release()
                    assert play.client.statuses(pending) == [200] * self.count
                assert play.api.requests["/auth/me", 401] == times * self.count
                assert (play.api.refresh_count, play.api.reuses) == (times, 0)
            assert play.ends == []

    @pytest.mark.parametrize("rotation", ["evertoken", "strict"])
    def test_threads_and_loops_that_find_the_token_expired_make_one_refresh(self, playing: Any, rotation: str) -> None:
        """The same where the session itself knows that its token has ended."""
        with playing(rotation=rotation) as play, self._all(play) as clients:
            play.expire("by the clock")
            with play.api.hold_refreshes() as gate:
                pending = self._start(clients, play.me)
                play.waiting.wait_for(self.count)
                gate.release()
                assert play.client.statuses(pending) == [200] * self.count
            assert (play.api.refresh_count, play.api.reuses, play.ends) == (1, 0, [])

    @pytest.mark.parametrize("over", [False, True])
    def test_threads_and_loops_share_a_failure_too(self, playing: Any, over: bool) -> None:
        """Everybody gets the same typed error, from one refresh call; the end of a session is told once."""
        once_only = dataclasses.replace(EVERTOKEN, refresh_is_repeatable=False)
        with playing(dialect=once_only) as play, self._all(play) as clients:
            play.expire("by the clock")
            if over:
                play.api.end_sessions("password_changed")
            else:
                play.api.script_refresh(Fault(status=503, retry_after=5))
            with play.api.hold_refreshes() as gate:
                pending = self._start(clients, play.me)
                play.waiting.wait_for(self.count)
                gate.release()
                failures = play.client.failures(pending)
            assert [type(error) for error in failures] == [SignedOut if over else RefreshUnavailable] * self.count
            assert play.api.refresh_count == 1
            assert play.ends == (["password_changed"] if over else [])
