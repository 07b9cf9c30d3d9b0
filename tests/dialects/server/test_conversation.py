"""Every built-in dialect over HTTP: signing in, renewing, the end of a session, signing out."""

from typing import Any

import httpx2
import pytest

from tests.dialects.server.pages import PAGES, Tokens, Visitor, cookies_of, found, looks
from tests.edge.attacking import all_at_once
from tests.stores.faults import locked_by_another_process
from tests.support.server import LiveServer

ACCESS_SECONDS = 1801
RIPE_SECONDS = 241
IDLE_SECONDS = 7 * 86_400 + 1
ROTATING = [name for name, page in PAGES.items() if page.answers != "never"]


def test_a_sign_in_puts_the_tokens_where_the_page_looks_for_them(visitor: Visitor) -> None:
    """Each dialect's page finds an access token that the server's guard takes, and a refresh token that renews it."""
    tokens = visitor.sign_in()
    assert visitor.is_admitted(tokens.access)
    assert tokens.refresh.startswith("etr_")
    visitor.live.clock.advance(ACCESS_SECONDS)
    assert not visitor.is_admitted(tokens.access)
    assert visitor.is_admitted(visitor.renewed(tokens).access)


def test_tokens_are_kept_by_no_cache(visitor: Visitor) -> None:
    """Sign-in and refresh say no-store, also where the refresh is a GET."""
    assert visitor.log_in().headers["cache-control"] == "no-store"
    renewed = visitor.refresh(visitor.sign_in())
    assert (renewed.status_code, renewed.headers["cache-control"]) == (200, "no-store")


def test_a_refresh_says_the_refresh_token_as_the_dialect_has_it(visitor: Visitor) -> None:
    """A new one where there is one; where there is none the presented one again, or none, as the page expects."""
    first = visitor.sign_in()
    second = visitor.refresh(first)
    if visitor.page.answers == "never":
        assert found(second.json(), visitor.page.refresh_at) is None
        return
    newer = visitor.renewed(first)
    assert newer.refresh != first.refresh
    early = visitor.refresh(newer)  # too young to count: the server keeps what it knows and mints no other
    said = found(early.json(), visitor.page.refresh_at)
    if visitor.page.answers == "cookie":
        assert not cookies_of(early) and "etr_" not in early.text
    else:
        assert said == (newer.refresh if visitor.page.answers == "always" else None)
    assert visitor.is_admitted(found(early.json(), visitor.page.access))


def test_three_refreshes_at_once_are_all_answered_and_the_session_goes_on(visitor: Visitor) -> None:
    """A page whose three calls each start a refresh keeps its session, whichever answer it stores."""
    tokens = visitor.sign_in()
    visitor.live.clock.advance(ACCESS_SECONDS)

    def renew() -> Tokens:
        with visitor.live.client() as own:
            return Visitor(visitor.live, own, visitor.page, visitor.prefix).renewed(tokens)

    for found_tokens in all_at_once(3, renew):
        assert visitor.is_admitted(found_tokens.access)
    visitor.live.clock.advance(RIPE_SECONDS)
    assert visitor.is_admitted(visitor.renewed(found_tokens).access)


def test_a_session_that_was_not_used_is_over_and_the_reason_is_said(visitor: Visitor) -> None:
    """After the idle lifetime the refresh is answered as the page recognizes the end, with the reason."""
    tokens = visitor.sign_in()
    visitor.live.clock.advance(IDLE_SECONDS)
    looks(visitor.refresh(tokens), visitor.page.is_over("expired_idle"))


def test_a_sign_out_ends_the_session_and_may_be_repeated(visitor: Visitor) -> None:
    """After a sign-out the refresh is over, with the reason; signing out again is no error."""
    tokens, other = visitor.sign_in(), visitor.sign_in()
    for _ in range(2):
        assert visitor.log_out(tokens).status_code in {200, 204}
    looks(visitor.refresh(tokens), visitor.page.is_over("signed_out"))
    assert visitor.refresh(other).status_code == 200


def test_an_access_token_alone_signs_out(visitor: Visitor) -> None:
    """A page that has only its access token at hand signs out with it, in the dialect's header."""
    tokens = visitor.sign_in()
    name, scheme = visitor.page.access_header
    call, headers = visitor.page.logout, {name: scheme + tokens.access}
    assert visitor.http.request(call.method, visitor.prefix + call.path, headers=headers).status_code in {200, 204}
    looks(visitor.refresh(tokens), visitor.page.is_over("signed_out"))


def test_an_expired_access_token_at_a_sign_out_is_said_to_be_expired(visitor: Visitor) -> None:
    """So the page renews it and sends the sign-out again, instead of taking the session for ended."""
    tokens = visitor.sign_in()
    visitor.live.clock.advance(ACCESS_SECONDS)
    name, scheme = visitor.page.access_header
    call, headers = visitor.page.logout, {name: scheme + tokens.access}
    answer = visitor.http.request(call.method, visitor.prefix + call.path, headers=headers)
    looks(answer, visitor.page.is_expired("token_expired"))


def test_a_wrong_password_is_a_failure_and_no_expired_token(visitor: Visitor) -> None:
    """A wrong password and an unknown user get one answer, in the dialect's words, and set no cookie."""
    expected = visitor.page.failed(401, "bad_credentials")
    visitor.live.add_user(f"eve-{visitor.page.name}")
    wrong = visitor.log_in(f"eve-{visitor.page.name}", "wrong")
    unknown = visitor.log_in(f"nobody-{visitor.page.name}", "wrong")
    looks(wrong, expected)
    assert (unknown.status_code, unknown.json()) == (wrong.status_code, wrong.json())
    assert not cookies_of(wrong)


def test_guessing_is_slowed_down_with_the_wait_said(visitor: Visitor) -> None:
    """The waits are those of /auth, counted together with it; 429 and Retry-After stay what they are."""
    visitor.live.add_user(f"bob-{visitor.page.name}")
    statuses = {visitor.log_in(f"bob-{visitor.page.name}", f"guess {n}").status_code for n in range(5)}
    assert statuses == {visitor.page.failed(401, "bad_credentials")[0]}
    own = {"username": f"bob-{visitor.page.name}", "password": "guess"}
    visitor.http.post("/auth/login", json=own)
    slowed = visitor.log_in(f"bob-{visitor.page.name}")
    looks(slowed, visitor.page.failed(429, "rate_limited"))
    assert int(slowed.headers["retry-after"]) >= 1
    visitor.live.clock.advance(901)
    assert visitor.log_in(f"bob-{visitor.page.name}").status_code == 200


def test_a_locked_store_signs_nobody_out(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours is 503 with Retry-After in every dialect, and the session goes on."""
    monkeypatch.setattr("evertoken.stores.sqlite.worker.LOCK_WAIT_SECONDS", 0.05)
    tokens = visitor.sign_in()
    with locked_by_another_process(visitor.live.database):
        for answer in (visitor.refresh(tokens), visitor.log_in(), visitor.log_out(tokens)):
            looks(answer, visitor.page.failed(503, "unavailable"))
            assert int(answer.headers["retry-after"]) >= 1
    assert visitor.refresh(tokens).status_code == 200


@pytest.mark.parametrize("visitor", ROTATING, indirect=True)
def test_a_late_duplicate_is_told_to_wait(visitor: Visitor) -> None:
    """A refresh that arrives after its successor was used is 503 with the wait, never the end of the session."""
    first = visitor.sign_in()
    second = visitor.renewed(first)
    visitor.live.clock.advance(RIPE_SECONDS)
    visitor.renewed(second)
    visitor.live.clock.advance(20)
    late = visitor.refresh(first)
    assert late.status_code == 503 and late.headers["retry-after"] == "40"
    assert late.json()[visitor.page.code_at] == "stale"


@pytest.mark.parametrize("visitor", ROTATING, indirect=True)
def test_an_old_token_ends_the_session_for_owner_and_thief(visitor: Visitor) -> None:
    """A refresh token presented long after its successor counted is a replay, wherever new ones are handed out."""
    first = visitor.sign_in()
    newest = first
    for _ in range(2):
        newest = visitor.renewed(newest)
        visitor.live.clock.advance(RIPE_SECONDS)
    newest = visitor.renewed(newest)
    visitor.live.clock.advance(61)
    looks(visitor.refresh(first), visitor.page.is_over("replayed"))
    looks(visitor.refresh(newest), visitor.page.is_over("replayed"))


@pytest.mark.parametrize("name", ["raw-header", "code-in-400"])
def test_a_client_that_never_stores_a_new_token_stays_signed_in_with_its_first(
    live: LiveServer, http: httpx2.Client, name: str
) -> None:
    """Fifty refreshes over three hundred days with the very token of the sign-in: the rotation rule allows it."""
    visitor = Visitor(live, http, PAGES[name], f"/{name}")
    tokens = visitor.sign_in()
    for _ in range(50):
        live.clock.advance(6 * 86_400)
        renewed: Any = visitor.refresh(tokens).json()
        assert "etr_" not in str(renewed)
        assert visitor.is_admitted(found(renewed, visitor.page.access))
    live.clock.advance(IDLE_SECONDS)
    looks(visitor.refresh(tokens), visitor.page.is_over("expired_idle"))
