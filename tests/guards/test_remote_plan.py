"""What a guard elsewhere decides, without a network: when to fetch, when to ask again, what an answer means."""

import json
import random
from collections import Counter
from typing import Any

import pytest

from evertoken.errors import ConfigurationError
from evertoken.guards.remote.documents import BadDocument, check_url, jwks_url_in, keys_in, metadata_urls, page_in
from evertoken.guards.remote.plan import (
    COOL_DOWN_SECONDS,
    DEFAULT_FRESH_SECONDS,
    LEAST_FRESH_SECONDS,
    LONGEST_BACK_OFF_SECONDS,
    LONGEST_GONE_SECONDS,
    MOST_FRESH_SECONDS,
    FeedFailure,
    FeedTimes,
    KeyTimes,
    Page,
    back_off_seconds,
    fresh_seconds,
    retry_after_seconds,
    wait_seconds_for,
)
from evertoken.tokens.signing_keys import Algorithm, SigningKey

NOTHING = Page((), "7", is_complete=True, kept_seconds=60)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, DEFAULT_FRESH_SECONDS),
        ({"cache-control": "public, max-age=300"}, 300),
        ({"cache-control": "max-age=300, public"}, 300),
        ({"cache-control": 'MAX-AGE="600"'}, 600),
        ({"cache-control": "max-age=300", "age": "250"}, 50),
        ({"cache-control": "max-age=300", "age": "299"}, LEAST_FRESH_SECONDS),
        ({"cache-control": "max-age=300", "age": "soon"}, 300),
        ({"cache-control": "max-age=0"}, LEAST_FRESH_SECONDS),
        ({"cache-control": "no-store, max-age=300"}, LEAST_FRESH_SECONDS),
        ({"cache-control": "no-cache"}, LEAST_FRESH_SECONDS),
        ({"cache-control": "max-age=31536000"}, MOST_FRESH_SECONDS),
        ({"cache-control": "max-age=" + "9" * 400}, DEFAULT_FRESH_SECONDS),
        ({"cache-control": "s-maxage=5, x-max-age=5"}, DEFAULT_FRESH_SECONDS),
    ],
)
def test_keys_are_fetched_again_as_the_issuer_says_within_bounds(headers: dict[str, str], seconds: float) -> None:
    """Cache-Control and Age decide, but never more often than every 30 s, and at least once an hour."""
    assert fresh_seconds(headers) == seconds


def test_unknown_keys_bring_about_one_fetch_in_a_cool_down() -> None:
    """Whatever somebody puts into tokens, the issuer is asked once in 30 s, and at once after a quiet time."""
    times = KeyTimes()
    assert times.may_fetch_for_unknown(now=0)
    times = times.began(now=100)
    assert not times.may_fetch_for_unknown(now=100 + COOL_DOWN_SECONDS - 0.001)
    assert times.may_fetch_for_unknown(now=100 + COOL_DOWN_SECONDS)


def test_a_failed_fetch_is_tried_again_soon_and_then_more_seldom() -> None:
    """The back-off doubles up to 5 s, half of it by chance; keys end it."""
    times, now = KeyTimes(), 0.0
    waits = []
    for _ in range(12):
        times = times.failed(now=now, chance=1.0)
        waits.append(times.due_at - now)
    assert waits[:4] == [0.25, 0.5, 1.0, 2.0]
    assert waits[-1] == LONGEST_BACK_OFF_SECONDS
    assert back_off_seconds(10**6, chance=0.0) == LONGEST_BACK_OFF_SECONDS / 2
    assert times.succeeded({}, now=5).due_at == 5 + DEFAULT_FRESH_SECONDS
    assert times.succeeded({}, now=5).failures == 0


def test_the_next_poll_follows_at_once_unless_the_answer_was_hasty() -> None:
    """A server that answers long polls at once and with nothing is not asked in a tight circle."""

    def wait(page: Page, took: float, polled_seconds: int = 25) -> float:
        return FeedTimes("7", 0.0).after_page(page, polled_seconds=polled_seconds, took=took, now=9, chance=1.0).wait

    news = Page(("s",), "8", is_complete=True, kept_seconds=60)
    part = Page(("s",), "8", is_complete=False, kept_seconds=60)
    assert wait(NOTHING, 0.01) == 1.0
    assert wait(NOTHING, 25) == wait(NOTHING, 1.0) == 0.0
    assert wait(NOTHING, 0.01, polled_seconds=0) == 0.0
    assert wait(news, 0.01) == wait(part, 0.01) == 0.0


def test_a_poll_does_not_wait_until_the_guard_knows_where_it_stands() -> None:
    """At the start, within a snapshot and after an outage the answer is wanted at once; the one after it may wait."""
    times = FeedTimes()
    assert times.poll_seconds(25) == 0
    part = Page(("s",), "5", is_complete=False, kept_seconds=60)
    times = times.after_page(part, polled_seconds=0, took=0, now=1, chance=1.0)
    assert times.poll_seconds(25) == 0
    times = times.after_page(NOTHING, polled_seconds=0, took=0, now=1, chance=1.0)
    assert times.poll_seconds(25) == 25
    assert times.after_failure(FeedFailure("cut"), chance=1.0).poll_seconds(25) == 0


def test_a_guard_is_current_only_behind_the_last_page() -> None:
    """Half of a snapshot is no snapshot: only a complete answer counts as having heard."""
    part = Page(("s",), "5", is_complete=False, kept_seconds=60)
    times = FeedTimes().after_page(part, polled_seconds=0, took=1, now=1, chance=0.5)
    assert times.current_at is None and times.closes_at(10) == float("-inf")
    times = times.after_page(NOTHING, polled_seconds=0, took=1, now=2, chance=0.5)
    assert times.closes_at(10) == 12
    times = times.after_failure(FeedFailure("gone"), chance=0.5)
    assert (times.cursor, times.closes_at(10)) == ("7", 12)


def test_failures_are_told_apart_by_who_can_mend_them() -> None:
    """A network comes back by itself, a refused cursor by beginning anew, a refused client by a person."""
    times = FeedTimes("7", 2.0)
    assert times.after_failure(FeedFailure("cut"), chance=1.0).wait == 0.25
    assert times.after_failure(FeedFailure("busy", retry_after=7.0), chance=1.0).wait == 7.0
    refused = times.after_failure(FeedFailure("client", setting="client_id, client_secret"), chance=1.0)
    assert (refused.wait, refused.cursor) == (60.0, "7")
    anew = times.after_failure(FeedFailure("cursor", is_cursor_refused=True), chance=1.0)
    assert (anew.wait, anew.cursor) == (0.0, None)
    assert anew.after_failure(FeedFailure("cursor", is_cursor_refused=True), chance=1.0).wait == 0.5


@pytest.mark.parametrize("outage_seconds", [0.0, 0.5, 1.0, 2.0, 7.0, 60.0])
def test_ten_thousand_guards_are_back_within_two_seconds_and_never_at_once(outage_seconds: float) -> None:
    """All lost the feed at one moment: each asks within 2 s of its return, and no tenth of a second sees a sixth."""
    chance = random.Random(5).random
    came_at = []
    for _ in range(10_000):
        times, at = FeedTimes("7", 0.0), 0.0
        while at == 0.0 or at < outage_seconds:
            times = times.after_failure(FeedFailure("nobody listens", is_gone=True), chance=chance())
            at += times.wait
        came_at.append(at - outage_seconds)
    assert max(came_at) <= LONGEST_GONE_SECONDS == 2.0
    tenths = Counter(int(at * 10) for at in came_at)
    assert max(tenths.values()) < 10_000 / 6


def test_a_server_that_answers_failures_is_asked_less_often_than_one_that_is_not_there() -> None:
    """An error of the issuer's own costs it work: those who get one come back after up to 5 s."""
    waits = {}
    for is_gone in (True, False):
        times = FeedTimes("7", 0.0)
        for _ in range(10):
            times = times.after_failure(FeedFailure("x", is_gone=is_gone), chance=1.0)
        waits[is_gone] = times.wait
    assert waits == {True: 2.0, False: 5.0}
    for status, gone in ((502, True), (504, True), (500, False), (503, False), (429, False)):
        failure = page_in(status, {"retry-after": "3"}, b"")
        assert isinstance(failure, FeedFailure)
        assert (failure.is_gone, failure.retry_after) == (gone, 3.0)


@pytest.mark.parametrize(("told", "seconds"), [("5", 5), ("600", 60), ("", 0), ("-1", 0), ("soon", 0), ("1.5", 0)])
def test_retry_after_is_obeyed_for_a_minute_at_most(told: str, seconds: float) -> None:
    """Whole seconds; what is not understood is no wish."""
    assert retry_after_seconds({"retry-after": told}) == seconds


def test_polls_are_short_where_silence_must_be_noticed_soon() -> None:
    """A guard that closes after 15 s polls for 5, so that a healthy feed is heard three times meanwhile."""
    assert wait_seconds_for(None, longest=25) == 25
    assert [wait_seconds_for(seconds, longest=25) for seconds in (5, 15, 60, 600)] == [1, 5, 20, 25]


@pytest.mark.parametrize(
    ("status", "is_cursor", "setting"),
    [
        (400, True, None),
        (401, False, "client_id, client_secret"),
        (403, False, "client_id, client_secret"),
        (404, False, "revocations_url"),
        (302, False, None),
        (429, False, None),
        (500, False, None),
        (503, False, None),
    ],
)
def test_what_an_answer_of_the_feed_means(status: int, is_cursor: bool, setting: str | None) -> None:
    """Each status has one meaning, and none of them is news."""
    found = page_in(status, {}, b"{}")
    assert isinstance(found, FeedFailure)
    assert (found.is_cursor_refused, found.setting) == (is_cursor, setting)


GOOD: dict[str, Any] = {
    "revoked": [{"session_id": "s", "at": 1}],
    "cursor": "9",
    "complete": True,
    "snapshot": False,
    "kept_seconds": 60,
}


def test_a_page_is_read() -> None:
    """The counter-proof; members that we do not know yet do no harm."""
    assert page_in(200, {}, json.dumps(GOOD | {"new": 1}).encode()) == Page(("s",), "9", True, 60)


CHANGES: list[dict[str, Any]] = [
    {"revoked": ["s"]},
    {"revoked": {}},
    {"cursor": 9},
    {"cursor": "x"},
    {"cursor": "9&after=1"},
    {"complete": "yes"},
    {"kept_seconds": 0},
    {"kept_seconds": 10**12},
    {"revoked": [], "complete": False},
]
NO_PAGES = [
    *(b"", b"<html>", b"[]", b"[" * 5000, b"\xff"),
    *(json.dumps({name: value for name, value in GOOD.items() if name != missing}).encode() for missing in GOOD),
    *(json.dumps(GOOD | change).encode() for change in CHANGES),
]


@pytest.mark.parametrize("raw", NO_PAGES)
def test_what_is_no_page_is_a_failure(raw: bytes) -> None:
    """A captive portal, a proxy's error page or a page without end never counts as "nothing was revoked"."""
    assert isinstance(page_in(200, {}, raw), FeedFailure)


def test_metadata_is_looked_for_where_the_standards_put_it() -> None:
    """RFC 8414 puts its path between host and issuer path, OpenID Connect behind both."""
    assert metadata_urls("https://a.example") == [
        "https://a.example/.well-known/oauth-authorization-server",
        "https://a.example/.well-known/openid-configuration",
    ]
    assert metadata_urls("https://a.example:1/realms/x/") == [
        "https://a.example:1/.well-known/oauth-authorization-server/realms/x",
        "https://a.example:1/realms/x/.well-known/openid-configuration",
    ]


@pytest.mark.parametrize("told", ["https://a.example/", "https://A.example", "https://b.example", None, 1, "x" * 9999])
def test_metadata_of_another_issuer_is_refused(told: Any) -> None:
    """The issuer in the metadata is the one that was asked for, to the letter (RFC 8414 §3.3)."""
    raw = json.dumps({"issuer": told, "jwks_uri": "https://a.example/keys"}).encode()
    with pytest.raises(ConfigurationError) as error:
        jwks_url_in(raw, issuer="https://a.example", allow_http=False)
    assert error.value.setting == "issuer"
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("url", [None, 1, "", "keys", "ftp://a.example/k", "http://a.example/k", "https://u:p@a/k"])
def test_metadata_without_a_usable_place_of_keys_is_refused(url: Any) -> None:
    """Keys come by https, or from this very machine."""
    raw = json.dumps({"issuer": "https://a.example", "jwks_uri": url}).encode()
    with pytest.raises(ConfigurationError):
        jwks_url_in(raw, issuer="https://a.example", allow_http=False)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "a.example",
        "https://",
        "ftp://a",
        "https://a/?x=1",
        "https://a/#x",
        "https://u@a",
        "https://[",
        "//a",
        "https://a:x",
    ],
)
def test_an_issuer_that_is_no_url_is_refused(url: str) -> None:
    """The message names the setting."""
    with pytest.raises(ConfigurationError) as error:
        check_url("issuer", url, allow_http=True)
    assert error.value.setting == "issuer"


def test_plain_http_is_for_this_machine_only() -> None:
    """Whoever is on the way could forge keys: http to another machine must be asked for."""
    for url in ("http://localhost:8000", "http://127.0.0.1:1", "https://a.example"):
        check_url("issuer", url, allow_http=False)
    with pytest.raises(ConfigurationError, match="allow_http"):
        check_url("issuer", "http://auth:8000", allow_http=False)
    check_url("issuer", "http://auth:8000", allow_http=True)


def _set(*keys: Any) -> bytes:
    return json.dumps({"keys": list(keys)}).encode()


def test_only_a_sound_set_of_public_keys_is_taken() -> None:
    """No private or secret key, no kid twice, no empty set, nothing that is not JSON to the letter."""
    key = SigningKey.generate(Algorithm.ES256)
    public = key.public_jwk()
    assert public is not None
    assert list(keys_in(_set(public))) == [key.kid]
    assert list(keys_in(_set(public, {"kty": "RSA", "alg": "PS512", "kid": "x"}))) == [key.kid]
    twice = b'{"keys":[],' + _set(public)[1:]
    secret = {"kty": "oct", "kid": "s", "alg": "HS256", "k": "A" * 43}
    for raw in (
        _set(),
        _set(public, public),
        _set(public, secret),
        _set(secret),
        _set({"kid": "x"}),
        twice,
        b"[]",
        b"",
    ):
        with pytest.raises(BadDocument):
            keys_in(raw)
