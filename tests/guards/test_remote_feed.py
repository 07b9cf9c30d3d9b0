"""A guard in another service follows revocations: end to end, cut and restored, over restarts of either side."""

import logging
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from evertoken.errors import FeedLost, TokenRevoked
from evertoken.guards import Guard
from evertoken.guards.asgi import GuardMiddleware
from evertoken.guards.remote import feed as feed_module
from evertoken.testing import ChaosProxy
from evertoken.testing.listener import Answer, Hangup
from evertoken.testing.listener import Request as Asked
from evertoken.tokens.signing_keys import Algorithm, SigningKey
from tests.edge.attacking import bearer, get
from tests.guards.elsewhere import Heard, Issuer, Standing, guarding, passes, refused, sign_out, until
from tests.guards.serving import serving
from tests.oauth.speaking import API, add_client
from tests.revocations.asking import revoke_many, watched
from tests.support.clock import MovingClock
from tests.support.server import LiveServer, client_at, free_port, live_server

FEED = "/auth/revocations"


@contextmanager
def on_the_way(live: LiveServer) -> Iterator[ChaosProxy]:
    """A network between a guard and the feed."""
    with ChaosProxy(live.url, only=FEED) as proxy:
        yield proxy
        # The proxy waits for what is under way, and does not hang up at the server: let its poll end.
        revoke_many(live, [os.urandom(16)])


def test_a_sign_out_reaches_another_service(live: LiveServer, http: httpx2.Client) -> None:
    """The token that passed a moment ago is refused there, remembered or not; another session's goes on."""
    ended, other = live.sign_in(http), live.sign_in(http)
    with guarding(live) as guard:
        assert passes(guard, live, ended["access_token"])
        sign_out(http, ended)
        refused(guard, live, ended["access_token"])
        with pytest.raises(TokenRevoked):
            guard.check(ended["access_token"])
        assert guard.recall(b"Bearer " + ended["access_token"].encode(), now_ms=live.clock()) is None
        assert passes(guard, live, other["access_token"])
        status = guard.status()
        assert (status.feed, status.revoked, status.feed_failures) == ("followed", 1, 0)


def test_a_guard_that_starts_knows_what_was_revoked_before(live: LiveServer, http: httpx2.Client) -> None:
    """Once `start` has returned, no token of a session that had ended passes, however many had."""
    tokens = live.sign_in(http)
    sign_out(http, tokens)
    revoke_many(live, [os.urandom(16) for _ in range(12_000)])
    live.run(live.server.background.follow())
    with guarding(live) as guard:
        assert not passes(guard, live, tokens["access_token"])
        assert guard.status().revoked == 12_001


def test_a_restart_of_the_guard_leaves_no_gap(live: LiveServer, http: httpx2.Client) -> None:
    """What is revoked while a guard is closed is known when it has started again, in this process or another."""
    pairs = [live.sign_in(http) for _ in range(3)]
    with guarding(live) as guard:
        sign_out(http, pairs[0])
        refused(guard, live, pairs[0]["access_token"])
        guard.close()
        sign_out(http, pairs[1])
        assert passes(guard, live, pairs[1]["access_token"])  # a closed guard goes on with what it knew
        guard.start()
        assert [passes(guard, live, pair["access_token"]) for pair in pairs] == [False, False, True]
    with guarding(live) as another:
        assert [passes(another, live, pair["access_token"]) for pair in pairs] == [False, False, True]


def test_a_restart_of_the_server_leaves_no_gap(tmp_path: Path, clock: MovingClock) -> None:
    """
    The server is gone, sessions end at another worker meanwhile, the server comes back: the guard hears of them all.
    """
    with live_server(tmp_path, clock=clock) as first, first.client() as http:
        first.add_user("ada")
        pairs = [first.sign_in(http) for _ in range(4)]
        secret, port, issuer = add_client(first, API), first.server.services.settings.port, first.url
        guard = Guard(issuer, issuer, client_id=API, client_secret=secret, clock=clock).start()
        sign_out(http, pairs[0])
        refused(guard, first, pairs[0]["access_token"])
    try:
        until(lambda: guard.status().feed == "lost")
        elsewhere = f"http://localhost:{(other := free_port())}"
        with (
            live_server(tmp_path, clock=clock, issuer=issuer, port=other),
            client_at(elsewhere) as worker,
        ):
            sign_out(worker, pairs[1])
        assert guard.check(pairs[1]["access_token"]).sub == "u_ada"  # it goes on with what it knows
        with live_server(tmp_path, clock=clock, port=port) as second, second.client() as http:
            sign_out(http, pairs[2])
            for pair in pairs[:3]:
                refused(guard, second, pair["access_token"])
            assert passes(guard, second, pairs[3]["access_token"])
    finally:
        guard.close()


def test_two_workers_on_one_store_are_one_feed(
    live: LiveServer, http: httpx2.Client, tmp_path: Path, clock: MovingClock
) -> None:
    """A guard that follows one worker hears of what ends at another, without that worker's help."""
    tokens = live.sign_in(http)
    with (
        live_server(tmp_path, clock=clock, issuer=live.url) as other,
        guarding(live, revocations_url=f"http://localhost:{other.server.services.settings.port}{FEED}") as guard,
    ):
        assert passes(guard, live, tokens["access_token"])
        sign_out(http, tokens)
        refused(guard, live, tokens["access_token"])


def test_a_feed_that_is_cut_and_restored_loses_nothing(
    live: LiveServer, http: httpx2.Client, caplog: pytest.LogCaptureFixture
) -> None:
    """Sessions that end during an outage are refused once it is over; the log has a line for its begin and its end."""
    caplog.set_level(logging.INFO, "evertoken.guards")
    heard = Heard()
    pairs = [live.sign_in(http) for _ in range(4)]
    with (
        watched(live.server.services.feed) as waits,
        on_the_way(live) as proxy,
        guarding(live, revocations_url=proxy.url + FEED, on_event=heard) as guard,
    ):
        waits.begun()
        proxy.change(lose_requests=1.0)
        sign_out(http, pairs[0])  # the poll that was under way still brings this one
        refused(guard, live, pairs[0]["access_token"])
        heard.wait_for("feed_lost")
        for pair in pairs[1:3]:
            sign_out(http, pair)
        until(lambda: guard.status().feed_failures >= 3)
        assert guard.status().feed == "lost"
        assert passes(guard, live, pairs[1]["access_token"])
        proxy.calm()
        heard.wait_for("feed_restored")
        assert [passes(guard, live, pair["access_token"]) for pair in pairs] == [False, False, False, True]
    assert heard.kinds == ["feed_lost", "feed_restored"]
    assert guard.status().feed_outages == 1
    told = [record for record in caplog.records if "feed" in record.message]
    assert [record.levelname for record in told] == ["WARNING", "INFO"]
    assert "going on with what is known" in told[0].message


def test_a_guard_that_must_know_closes_when_the_feed_is_silent(live: LiveServer, http: httpx2.Client) -> None:
    """After `close_after` without the feed nobody passes (503, not 401), remembered or not; when it is back, all do."""
    seconds, heard, tokens = Standing(), Heard(), live.sign_in(http)

    async def private(_: Request) -> JSONResponse:
        return JSONResponse({})

    with (
        watched(live.server.services.feed) as waits,
        on_the_way(live) as proxy,
        guarding(
            live,
            revocations_url=proxy.url + FEED,
            when_feed_is_lost=timedelta(seconds=60),
            monotonic=seconds,
            on_event=heard,
        ) as guard,
        serving(GuardMiddleware(Starlette(routes=[Route("/", private)]), guard, clock=live.clock)) as base,
    ):
        authorization = bearer(tokens["access_token"])
        assert [get(base, "/", authorization).status for _ in range(2)] == [200, 200]
        waits.begun()
        proxy.change(lose_requests=1.0)
        sign_out(http, live.sign_in(http))  # ends the poll that is under way
        heard.wait_for("feed_lost")
        seconds.now += 59.9
        assert get(base, "/", authorization).status == 200
        seconds.now += 0.1
        assert guard.status().refuses
        for answer in [get(base, "/", authorization) for _ in range(2)]:
            assert (answer.status, answer.code, answer.one("Retry-After")) == (503, "unavailable", "5")
        with pytest.raises(FeedLost):
            guard.check(tokens["access_token"])
        assert guard.recall(b"Bearer " + tokens["access_token"].encode(), now_ms=live.clock()) is None
        proxy.calm()
        heard.wait_for("feed_restored")
        assert get(base, "/", authorization).status == 200


def test_a_guard_that_must_know_lets_nobody_pass_before_it_does(live: LiveServer, http: httpx2.Client) -> None:
    """Not started by hand, and the feed out of reach from the first moment on: 503 from the first token on."""
    token = live.sign_in(http)["access_token"]
    with on_the_way(live) as proxy:
        proxy.change(lose_requests=1.0)
        guard = Guard(
            live.url,
            live.url,
            client_id=API,
            client_secret=add_client(live, API),
            revocations_url=proxy.url + FEED,
            when_feed_is_lost=timedelta(seconds=5),
            clock=live.clock,
        )
        try:
            with pytest.raises(FeedLost):
                guard.check(token)
            proxy.calm()
            until(lambda: not guard.status().refuses)
            assert guard.check(token).sub == "u_ada"
        finally:
            guard.close()


def test_a_removed_client_is_told_apart_from_a_network(live: LiveServer, http: httpx2.Client) -> None:
    """A credential that is taken away loses the feed, says so with the setting's cure, and is not tried in a circle."""
    heard = Heard()
    with guarding(live, on_event=heard) as guard:
        live.run(live.server.store.remove_client(API))
        sign_out(http, live.sign_in(http))
        heard.wait_for("feed_lost")
        assert "evertoken clients add" in heard.events[0].detail
        assert guard.status().feed_failures == 1


class Script:
    """A feed that answers from a script, and then holds its breath."""

    def __init__(self, *answers: Answer | Hangup | Callable[[Asked], Answer]) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, str]] = []

    def __call__(self, request: Asked) -> Answer | Hangup:
        self.asked.append(request.query)
        if not self.answers:
            return page(cursor=request.query.get("after", "1"))
        answer = self.answers.pop(0)
        return answer(request) if callable(answer) else answer


def page(*session_ids: str, cursor: str = "1", complete: bool = True, kept_seconds: int = 600) -> Answer:
    revoked = [{"session_id": session_id, "at": 1} for session_id in session_ids]
    members = {"revoked": revoked, "cursor": cursor, "complete": complete, "snapshot": False}
    return Answer.json(200, {**members, "kept_seconds": kept_seconds})


def scripted(issuer: Issuer, script: Script, **options: Any) -> Guard:
    key = SigningKey.generate(Algorithm.ES256).public_jwk()
    issuer.keys = lambda _: Answer.json(200, {"keys": [key]})
    issuer.feed = script
    return Guard(issuer.url, "api", client_id="c", client_secret="s", **options)


@pytest.mark.parametrize(
    "nonsense",
    [Hangup.RESET, Answer(500), Answer(302, (("Location", "/x"),)), Answer(200, body=b"<html>"), Answer.json(200, [])],
    ids=str,
)
def test_nonsense_is_an_outage_and_never_silence(nonsense: Answer | Hangup) -> None:
    """A proxy's error page does not count as "nothing was revoked": the guard asks again, from the same cursor."""
    script = Script(page("a", cursor="5"), nonsense, page("b", cursor="6"))
    with Issuer() as issuer, scripted(issuer, script) as guard:
        until(lambda: guard.status().revoked == 2)
        assert [asked.get("after") for asked in script.asked[:3]] == [None, "5", "5"]
        assert guard.status().feed_outages == 1


def test_a_refused_cursor_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not know our cursor is asked for everything, at once, and nothing known is forgotten."""
    script = Script(page("a", cursor="5"), Answer.json(400, {}), page("b", "c", cursor="2"))
    with Issuer() as issuer, scripted(issuer, script) as guard:
        until(lambda: guard.status().revoked == 3)
        assert [asked.get("after") for asked in script.asked[:3]] == [None, "5", None]


def test_retry_after_of_the_feed_is_obeyed() -> None:
    """A server that asks for a minute gets it: the second poll does not come."""
    script = Script(page(cursor="5"), Answer(503, (("Retry-After", "60"),)))
    with Issuer() as issuer, scripted(issuer, script) as guard:
        until(lambda: guard.status().feed == "lost")
        until(lambda: guard._feed is not None and guard._feed.times.wait == 60)
        assert len(script.asked) == 2


def test_memory_follows_what_was_revoked_within_one_access_lifetime(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred thousand ended sessions are held for as long as the issuer says, and then forgotten."""
    seconds = Standing()
    pages = [
        page(*(f"s{number}-{n}" for n in range(10_000)), cursor=str(number + 1), complete=number == 9)
        for number in range(10)
    ]

    def later(_: Asked) -> Answer:
        seconds.now += 599
        return page("late", cursor="11")

    def last(_: Asked) -> Answer:
        seconds.now += 2
        return page("last", cursor="12")

    def purged(_: Asked) -> Answer:
        seconds.now += feed_module.PURGE_EVERY_SECONDS
        return page("end", cursor="13")

    script = Script(*pages)
    with Issuer() as issuer, scripted(issuer, script, monotonic=seconds) as guard:
        assert guard.status().revoked == 100_000
        script.answers += [later]
        until(lambda: "late" in guard._revoked)
        assert guard.status().revoked == 100_001
        script.answers += [last, purged]
        until(lambda: guard.status().revoked == 3)
        assert all(name in guard._revoked for name in ("late", "last", "end"))


def test_what_is_refused_stays_refused_when_the_wall_clock_jumps(live: LiveServer, http: httpx2.Client) -> None:
    """An hour ahead and back again: a guard forgets ended sessions by a clock that nobody sets."""
    tokens = live.sign_in(http)
    with guarding(live) as guard:
        sign_out(http, tokens)
        refused(guard, live, tokens["access_token"])
        live.clock.advance(7200)
        sign_out(http, live.sign_in(http))
        until(lambda: guard.status().revoked == 2)
        live.clock.advance(-7200)
        assert not passes(guard, live, tokens["access_token"])


def test_the_secret_travels_in_the_header_only(caplog: pytest.LogCaptureFixture) -> None:
    """Neither a URL, nor a log, nor a repr holds it; it is form-encoded inside Basic (RFC 6749 §2.3.1)."""
    caplog.set_level(logging.DEBUG)
    seen: list[Asked] = []

    def keep(request: Asked) -> Answer:
        seen.append(request)
        return Answer(401)

    with Issuer() as issuer:
        guard = scripted(issuer, Script(keep))
        guard.start(wait_seconds=0)
        until(lambda: bool(guard.status().feed_failures))
        guard.close()
    assert re.fullmatch(r"Basic \S+", seen[0].header("authorization") or "")
    assert "Yzpz" in (seen[0].header("authorization") or "")  # c:s
    assert "Yzpz" not in caplog.text and "'s'" not in repr(guard)


def test_a_guard_that_is_closed_hangs_up(live: LiveServer) -> None:
    """Its poll waits no longer at the server, and its thread has ended."""
    with watched(live.server.services.feed) as waits, guarding(live) as guard:
        waits.begun()
        guard.close()
        waits.ended()
        thread = guard._thread._thread
        assert thread is not None and not thread.is_alive()
