"""The revocation feed over HTTP: who may read it, what it tells, when it answers."""

import asyncio
import json
import os
from pathlib import Path

import httpx2
import pytest

from tests.edge.attacking import connected, request
from tests.oauth.speaking import API, basic
from tests.revocations.asking import LONG, PATH, WITHIN_SECONDS, Asker, Waits, revoke_many, sign_out, told, watched
from tests.support.clock import MovingClock
from tests.support.server import LiveServer, live_server


def test_without_a_cursor_everything_is_told_that_a_living_token_may_belong_to(
    live: LiveServer, http: httpx2.Client, asker: Asker
) -> None:
    """A guard that starts learns every session that ended within the last access lifetime, and when it ended."""
    ended = [sign_out(live, http, live.sign_in(http)) for _ in range(3)]
    answer = asker.ask()
    assert told(answer) == ended
    assert {entry["at"] for entry in answer["revoked"]} == {live.clock() // 1000}
    assert (answer["complete"], answer["snapshot"]) == (True, True)
    assert answer["kept_seconds"] == 1800 + 61


def test_a_cursor_leads_to_what_came_after_it(live: LiveServer, http: httpx2.Client, asker: Asker) -> None:
    """From answer to answer nothing is left out and nothing comes twice, were the cursor never used before."""
    cursor = asker.ask()["cursor"]
    seen: list[str] = []
    ended: list[str] = []
    for count in (1, 3, 0, 2):
        ended += [sign_out(live, http, live.sign_in(http)) for _ in range(count)]
        answer = asker.waits(after=cursor, wait=LONG if count else 0).result(WITHIN_SECONDS)
        cursor, seen = answer["cursor"], seen + told(answer)
        while len(seen) < len(ended):
            answer = asker.ask(after=cursor, wait=LONG)
            cursor, seen = answer["cursor"], seen + told(answer)
    assert seen == ended


def test_a_poll_is_answered_the_moment_a_session_ends(
    live: LiveServer, http: httpx2.Client, asker: Asker, waits: Waits
) -> None:
    """Whoever waits hears of a sign-out when it happens, not when the wait is over."""
    tokens = live.sign_in(http)
    poll = asker.waits(after=asker.ask()["cursor"])
    waits.begun()
    session_id = sign_out(live, http, tokens)
    assert told(poll.result(WITHIN_SECONDS)) == [session_id]


def test_a_poll_without_news_ends_with_the_cursor_it_came_with(asker: Asker) -> None:
    """The wait is over, nothing happened: an empty answer, and the guard goes on where it was."""
    cursor = asker.ask()["cursor"]
    for wait in (0, 1):
        answer = asker.ask(after=cursor, wait=wait)
        assert (answer["revoked"], answer["cursor"], answer["complete"]) == ([], cursor, True)


def test_the_feed_says_nothing_about_users(live: LiveServer, http: httpx2.Client, asker: Asker) -> None:
    """Session ids and times: no name, no user id, no address, no reason."""
    tokens = live.sign_in(http)
    sign_out(live, http, tokens)
    answer = asker.ask()
    assert [set(entry) for entry in answer["revoked"]] == [{"session_id", "at"}]
    assert set(answer) == {"revoked", "cursor", "complete", "snapshot", "kept_seconds"}
    assert not any(word in json.dumps(answer) for word in ("ada", "u_", "127.0.0.1", "signed_out"))


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "Bearer x",
        "Basic",
        "Basic !",
        "Basic " + "=" * 9,
        basic(API)["Authorization"],
        basic(API, "wrong")["Authorization"],
        basic("nobody", "x")["Authorization"],
        basic("", "")["Authorization"],
        basic("\0", "\0")["Authorization"],
    ],
)
def test_only_a_client_with_its_secret_may_read(live: LiveServer, asker: Asker, authorization: str | None) -> None:
    """Everybody else is refused with a challenge, at once, and learns nothing."""
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = httpx2.get(live.url + PATH, headers=headers, timeout=WITHIN_SECONDS)
    assert (answer.status_code, answer.json()["code"]) == (401, "client_refused")
    assert answer.headers["www-authenticate"] == 'Basic realm="evertoken"'
    assert answer.headers["cache-control"] == "no-store"


def test_an_access_token_or_two_credentials_open_nothing(live: LiveServer, http: httpx2.Client, asker: Asker) -> None:
    """A user's token is no client's credential, and two headers are a mistake."""
    tokens = live.sign_in(http)
    answer = http.get(PATH, headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert answer.status_code == 401
    twice = [("Authorization", basic(*asker.auth)["Authorization"])] * 2
    assert http.get(PATH, headers=twice).status_code == 400


def test_a_removed_client_is_refused_from_then_on(live: LiveServer, asker: Asker) -> None:
    """The credential can be taken away."""
    asker.ask()
    live.run(live.server.store.remove_client(API))
    assert asker.raw(wait=0).status_code == 401


@pytest.mark.parametrize(
    "query",
    [
        "after=",
        "after=x",
        "after=-1",
        "after=1.5",
        "after=00",
        "after=%2B1",
        "after=1e9",
        "after=" + "9" * 17,
        "after=%00",
        "after=%D9%A1",
        "after=1&after=2",
        "wait=",
        "wait=31",
        "wait=-1",
        "wait=1.5",
        "wait=1e1",
        "wait=%D9%A1",
        "wait=inf",
        "wait=1&wait=2",
    ],
)
def test_a_parameter_that_is_none_of_ours_is_refused(asker: Asker, query: str) -> None:
    """Garbage is said to be garbage: a guard that sent it would miss something if it were taken for a cursor."""
    answer = asker._http.get(f"{PATH}?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")


def test_a_cursor_from_the_future_begins_anew_at_once(live: LiveServer, http: httpx2.Client, asker: Asker) -> None:
    """A cursor of another server, or of a clock that was set back since, gets everything, and never a wait."""
    session_id = sign_out(live, http, live.sign_in(http))
    asker.ask(after=asker.ask()["cursor"], wait=0)
    for cursor in (live.clock() * 1000 + 60_000_000, 10**16 - 1):
        answer = asker.waits(after=str(cursor)).result(WITHIN_SECONDS)
        assert (told(answer), answer["snapshot"]) == ([session_id], True)
        assert int(answer["cursor"]) < cursor


def test_an_old_cursor_gets_everything_that_is_kept(
    live: LiveServer, http: httpx2.Client, clock: MovingClock, asker: Asker
) -> None:
    """A guard that was away for a day learns every session whose tokens may still live, and no others."""
    cursor = asker.ask()["cursor"]
    long_gone = sign_out(live, http, live.sign_in(http))
    answer = asker.waits(after=cursor).result(WITHIN_SECONDS)
    assert told(answer) == [long_gone]
    clock.advance(24 * 3600)
    fresh = [sign_out(live, http, live.sign_in(http)) for _ in range(2)]
    live.run(live.server.background.follow())
    late = asker.ask(after=cursor)
    assert (told(late), late["snapshot"]) == (fresh, True)
    assert told(asker.ask()) == fresh


def test_more_than_one_answer_holds_comes_page_by_page(live: LiveServer, asker: Asker) -> None:
    """Twelve thousand ended sessions arrive in bounded answers, every one of them, in order."""
    ended = revoke_many(live, [os.urandom(16) for _ in range(12_000)])
    live.run(live.server.background.follow())
    answer = asker.ask()
    seen, pages = told(answer), 1
    assert not answer["complete"]
    while not answer["complete"]:
        answer = asker.ask(after=answer["cursor"])
        seen, pages = seen + told(answer), pages + 1
    assert seen == ended
    assert 1 < pages < 5


def test_a_cursor_of_one_worker_is_good_at_another(
    live: LiveServer, http: httpx2.Client, tmp_path: Path, clock: MovingClock, asker: Asker
) -> None:
    """Two workers on one store: what ends at one wakes who waits at the other, from any worker's cursor."""
    tokens = [live.sign_in(http) for _ in range(3)]
    with live_server(tmp_path, clock=clock) as other, watched(other.server.services.feed) as waits:
        elsewhere = Asker(other, asker.auth[1])
        try:
            cursor = asker.ask()["cursor"]
            for number, pair in enumerate(tokens):
                here, there = (asker, elsewhere) if number % 2 else (elsewhere, asker)
                poll = here.waits(after=cursor)
                if here is elsewhere:
                    waits.begun()
                session_id = sign_out(live, http, pair)
                answer = poll.result(WITHIN_SECONDS)
                assert told(answer)[-1] == session_id  # what came before it may be told twice, see edge/feed.py
                cursor = answer["cursor"]
                assert there.ask(after=cursor, wait=0)["complete"]
        finally:
            elsewhere.close()


def test_a_restarted_server_goes_on_where_the_old_one_was(tmp_path: Path, clock: MovingClock) -> None:
    """Cursors live in the store: what was revoked before, during and after a restart arrives once asked for."""
    with live_server(tmp_path, clock=clock) as first, first.client() as http:
        first.add_user("ada")
        asker = Asker(first)
        kept = first.sign_in(http)
        before = sign_out(first, http, first.sign_in(http))
        cursor = asker.waits(after=asker.ask()["cursor"], wait=0).result(WITHIN_SECONDS)["cursor"]
        first.run(first.server.background.follow())
        missed = sign_out(first, http, first.sign_in(http))
        secret, port = asker.auth[1], first.server.services.settings.port
        asker.close()
    del before
    with live_server(tmp_path, clock=clock, port=port) as second, second.client() as http:
        asker = Asker(second, secret)
        after = sign_out(second, http, kept)
        second.run(second.server.background.follow())
        seen = told(asker.ask(after=cursor))
        asker.close()
    assert seen[-2:] == [missed, after]


def test_a_server_that_stops_answers_who_waits(tmp_path: Path, clock: MovingClock) -> None:
    """A stop does not wait for the end of a long poll: it is answered, with nothing, and the server is gone."""
    with live_server(tmp_path, clock=clock) as live, watched(live.server.services.feed) as waits:
        asker = Asker(live)
        poll = asker.waits(after=asker.ask()["cursor"])
        waits.begun()
    # uvicorn would have cancelled it after its grace, and the connection would have ended without an answer.
    assert poll.result(WITHIN_SECONDS)["revoked"] == []
    asker.close()


def test_a_caller_that_has_gone_waits_no_more(live: LiveServer, asker: Asker, waits: Waits) -> None:
    """A guard that hangs up leaves nothing behind."""
    head = ("Authorization", basic(*asker.auth)["Authorization"])
    with connected(live.url) as connection:
        connection.sendall(request("GET", f"{PATH}?after=0&wait={LONG}", head))
        waits.begun()
        assert live.server.services.feed.waiting == 1
    waits.ended()
    assert live.server.services.feed.waiting == 0


async def test_many_who_wait_cost_one_encoding(live: LiveServer, asker: Asker, waits: Waits) -> None:
    """Three hundred guards wait; one session ends; all of them are told, and the answer was made once."""
    feed, count = live.server.services.feed, 300
    revoke_many(live, [os.urandom(16)])
    live.run(live.server.background.follow())
    cursor = asker.ask()["cursor"]
    limits = httpx2.Limits(max_connections=count)
    async with httpx2.AsyncClient(base_url=live.url, auth=asker.auth, timeout=LONG + 15, limits=limits) as http:
        polls = [asyncio.create_task(http.get(PATH, params={"after": cursor, "wait": LONG})) for _ in range(count)]
        await asyncio.to_thread(waits.begun, count)
        encoded = feed.encoded
        (session_id,) = await asyncio.to_thread(revoke_many, live, [os.urandom(16)])
        async with asyncio.timeout(WITHIN_SECONDS):
            answers = await asyncio.gather(*polls)
    assert {tuple(told(answer.json())) for answer in answers} == {(session_id,)}
    assert feed.encoded == encoded + 1
