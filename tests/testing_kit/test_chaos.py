"""The chaos proxy: each fate, the bound, the transcript."""

import hashlib
import http.client
import itertools
import random
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest

from evertoken.testing import Answer, ChaosProxy, FakeServer, Fault
from evertoken.testing.fates import Fate, Odds, draw
from evertoken.testing.journey import MAX_DUPLICATES, Book
from tests.support.server import client_at
from tests.testing_kit.playing import LOST, refresh


def seed_for(wanted: Callable[[Fate], bool], **odds: Any) -> int:
    """The first seed whose first fate is as wanted."""
    return next(seed for seed in itertools.count() if wanted(draw(Odds(**odds), random.Random(seed))))


def until(happened: Callable[[], bool]) -> None:
    """Wait for something that another thread is about to do."""
    end = time.monotonic() + 10
    while not happened():
        assert time.monotonic() < end
        threading.Event().wait(0.002)


class TestFates:
    """What can become of a request."""

    def test_a_calm_proxy_passes_everything_on(self, server: FakeServer) -> None:
        """Without odds it is a plain reverse proxy: bodies, headers and statuses arrive as they are."""
        header = {"Authorization": f"Bearer {server.sign_in()['access_token']}"}
        body = random.Random(1).randbytes(300_000)
        with ChaosProxy(server.url) as proxy:
            answer = httpx2.put(f"{proxy.url}/notes?a=b", headers=header, content=body)
            assert answer.json()["sha256"] == hashlib.sha256(body).hexdigest()
            assert answer.json()["path"] == "/notes?a=b"
            refused = httpx2.get(f"{proxy.url}/notes")
            assert (refused.status_code, refused.headers["www-authenticate"]) == (401, 'Bearer realm="evertoken"')
            assert httpx2.head(f"{proxy.url}/notes", headers=header).status_code == 200
            assert (proxy.counts["requests"], proxy.counts["disturbed"]) == (3, 0)

    def test_a_client_keeps_its_connection(self, server: FakeServer) -> None:
        """Keep-alive is kept towards the client, whose pool is part of what is tested."""
        with ChaosProxy(server.url) as proxy:
            connection = http.client.HTTPConnection(proxy.url.removeprefix("http://"), timeout=10)
            used = []
            for _ in range(3):
                connection.request("GET", "/notes")
                connection.getresponse().read()
                used.append(connection.sock)
            connection.close()
        assert used[0] is not None
        assert len(set(map(id, used))) == 1

    def test_a_lost_request_never_reaches_the_server(self, server: FakeServer) -> None:
        """The client finds its connection closed, as after a dead tunnel."""
        with ChaosProxy(server.url, lose_requests=1.0) as proxy:
            with pytest.raises(LOST):
                refresh(proxy.url, server.sign_in()["refresh_token"])
            assert proxy.counts["requests_lost"] == 1
        assert server.refresh_count == 0

    def test_a_lost_answer_belongs_to_a_request_that_was_handled(self, server: FakeServer) -> None:
        """The client sees what it sees after a lost request; the server has rotated."""
        with ChaosProxy(server.url, lose_answers=1.0) as proxy:
            with pytest.raises(LOST):
                refresh(proxy.url, server.sign_in()["refresh_token"])
            assert proxy.counts["answers_lost"] == 1
        assert [record.outcome for record in server.refreshes] == ["reissue"]

    def test_a_duplicate_arrives_behind_the_back_of_its_client(self, server: FakeServer) -> None:
        """The client has its answer and goes on; the second copy reaches the server when nobody thinks of it."""
        late = threading.Event()
        server.script_refresh(Fault(), Fault(delay_until=late))
        seed = seed_for(lambda fate: not fate.gives_second, duplicate=1.0)
        with ChaosProxy(server.url, duplicate=1.0, seed=seed) as proxy:
            assert refresh(proxy.url, server.sign_in()["refresh_token"]).status_code == 200
            assert len(server.refreshes) == 1
            with pytest.raises(TimeoutError, match="1 exchanges"):
                proxy.settle(0.01)
            late.set()
            proxy.settle()
            assert [record.outcome for record in server.refreshes] == ["reissue", "reissue"]
            assert proxy.counts["duplicated"] == 1

    def test_the_second_answer_can_be_the_one_that_counts(self, server: FakeServer) -> None:
        """A network that doubles a request gives its sender either answer."""
        server.script_refresh(Answer.json(200, {"n": 1}), Answer.json(200, {"n": 2}))
        seed = seed_for(lambda fate: fate.gives_second, duplicate=1.0)
        with ChaosProxy(server.url, duplicate=1.0, seed=seed) as proxy:
            assert refresh(proxy.url, "x").json() == {"n": 2}

    def test_a_delay_holds_the_request_and_the_answer_back(self, server: FakeServer) -> None:
        """Both ways take their time."""
        with ChaosProxy(server.url, delay_seconds=(0.05, 0.06)) as proxy:
            began = time.monotonic()
            assert refresh(proxy.url, server.sign_in()["refresh_token"]).status_code == 200
            assert time.monotonic() - began >= 0.1
            assert proxy.counts["delayed"] == 1

    def test_a_delayed_request_is_overtaken(self, server: FakeServer) -> None:
        """What was sent first arrives last: messages change places without anything being lost."""
        seed = seed_for(lambda fate: fate.request_delay > 0.9 and fate.answer_delay < 0.1, delay_seconds=(0.0, 1.0))
        with ChaosProxy(server.url, delay_seconds=(0.0, 1.0), seed=seed) as proxy, ThreadPoolExecutor(1) as pool:
            slow = pool.submit(httpx2.get, f"{proxy.url}/slow")
            until(lambda: proxy.counts["requests"] == 1)
            proxy.calm()
            assert httpx2.get(f"{proxy.url}/quick").status_code == 401
            assert list(server.requests) == [("/quick", 401)]
            assert slow.result(timeout=10).status_code == 401

    def test_paths_that_are_not_meant_are_left_alone(self, server: FakeServer) -> None:
        """`only` aims the chaos at refreshes and spares everything else."""
        for only in (r"/auth/", lambda path: path.startswith("/auth/")):
            with ChaosProxy(server.url, lose_requests=1.0, only=only) as proxy:
                assert httpx2.get(f"{proxy.url}/notes").status_code == 401
                with pytest.raises(LOST):
                    refresh(proxy.url, "x")

    def test_settings_change_while_it_runs(self, server: FakeServer) -> None:
        """A test can lose the third answer, and only that."""
        token = server.sign_in()["refresh_token"]
        with ChaosProxy(server.url, lose_answers=1.0) as proxy:
            proxy.calm()
            assert refresh(proxy.url, token).status_code == 200
            proxy.change(lose_requests=1.0)
            with pytest.raises(LOST):
                refresh(proxy.url, token)
            with pytest.raises(ValueError, match="probability"):
                proxy.change(duplicate=2.0)

    def test_one_seed_gives_one_series_of_fates(self, server: FakeServer) -> None:
        """A failure can be repeated."""

        def fates(seed: int) -> list[bool]:
            with (
                ChaosProxy(server.url, lose_requests=0.5, seed=seed) as proxy,
                client_at(proxy.url) as client,
            ):
                return [_is_lost(client) for _ in range(30)]

        assert fates(7) == fates(7)
        assert fates(7) != fates(8)
        assert set(fates(7)) == {True, False}


def _is_lost(client: httpx2.Client) -> bool:
    try:
        client.get("/notes")
    except LOST:
        return True
    return False


class TestBounds:
    """Nothing lives longer than it may, nothing grows without end."""

    def test_an_exchange_ends_at_its_bound(self, server: FakeServer) -> None:
        """evertoken forgives what arrives within an overlap; the proxy never asks for more."""
        with server.hold_refreshes(), ChaosProxy(server.url, bound_seconds=0.2) as proxy:
            began = time.monotonic()
            with pytest.raises(LOST):
                refresh(proxy.url, server.sign_in()["refresh_token"])
            assert time.monotonic() - began > 0.15
            assert "gave no answer" in proxy.history[0]
            assert proxy.counts["unanswered"] == 1

    def test_a_duplicate_whose_time_is_over_is_never_sent(self, server: FakeServer) -> None:
        """A second copy keeps the bound of the first, so it never arrives when it would be a replay."""
        with server.hold_refreshes(), ChaosProxy(server.url, duplicate=1.0, bound_seconds=0.2) as proxy:
            with pytest.raises(LOST):
                refresh(proxy.url, server.sign_in()["refresh_token"])
            proxy.settle()
            assert "dropped at the end of its time" in proxy.history[0]
            assert (server.refresh_count, proxy.counts["duplicated"]) == (1, 0)

    def test_delays_that_do_not_fit_into_the_bound_are_refused(self, server: FakeServer) -> None:
        """A setting that could sign somebody out is a mistake of the test, told at once."""
        with pytest.raises(ValueError, match="do not fit"):
            ChaosProxy(server.url, delay_seconds=(0.0, 20.0))

    @pytest.mark.parametrize(
        "settings",
        [{"lose_requests": 1.1}, {"lose_answers": -0.1}, {"delay_seconds": (2.0, 1.0)}, {"delay_seconds": (-1.0, 1.0)}],
    )
    def test_odds_that_are_none_are_refused(self, settings: dict[str, Any]) -> None:
        """Odds lie between 0 and 1, delays between their least and their most."""
        with pytest.raises(ValueError, match="not"):
            ChaosProxy("http://127.0.0.1:1", **settings)

    @pytest.mark.parametrize("url", ["ftp://127.0.0.1", "127.0.0.1:8000", "http://"])
    def test_a_target_that_is_no_server_is_refused(self, url: str) -> None:
        """The URL is checked when the proxy is made."""
        with pytest.raises(ValueError, match="not the URL of a server"):
            ChaosProxy(url)

    def test_no_more_than_so_many_duplicates_are_under_way(self) -> None:
        """Each is a thread, so there is a largest number of them."""
        book = Book(10)
        assert [book.may_double() for _ in range(MAX_DUPLICATES + 1)] == [True] * MAX_DUPLICATES + [False]
        book.close(is_duplicate=True)
        assert book.may_double()

    def test_the_history_keeps_the_last_requests_only(self, server: FakeServer) -> None:
        """A proxy that runs for a day keeps a page."""
        with ChaosProxy(server.url, history_length=3) as proxy:
            for number in range(5):
                httpx2.get(f"{proxy.url}/{number}")
            assert [line.split()[3] for line in proxy.history] == ["/2:", "/3:", "/4:"]

    def test_a_server_that_is_down_closes_the_connection(self) -> None:
        """The proxy invents no answers."""
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            with ChaosProxy(f"http://127.0.0.1:{nobody.getsockname()[1]}") as proxy:
                with pytest.raises(LOST):
                    httpx2.get(proxy.url)
                assert proxy.counts["unanswered"] == 1

    def test_what_is_held_back_ends_with_the_proxy(self, server: FakeServer) -> None:
        """The end of a test does not wait for the longest delay, and nothing is sent after it."""
        began = time.monotonic()
        with ThreadPoolExecutor(1) as pool:
            with ChaosProxy(server.url, delay_seconds=(10.0, 10.0)) as proxy:
                call = pool.submit(httpx2.get, proxy.url, timeout=30)
                until(lambda: proxy.counts["requests"] == 1)
            with pytest.raises(httpx2.TransportError):
                call.result(timeout=10)
        assert time.monotonic() - began < 10
        assert not server.requests
