"""Guessing, probing and flooding the sign-in, by their numbers in the list of attacks."""

import json
import math
import statistics
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest

from evertoken.edge import accounts_elsewhere
from evertoken.edge.settings import Definition, definitions
from evertoken.sessions.model import AccountChange, EventKind
from evertoken.sessions.rotation import Reason
from tests.edge.attacking import (
    JSON,
    Answer,
    all_at_once,
    bearer,
    me,
    post_json,
    refresh,
    request,
    send,
    sent_or_hung_up,
)
from tests.edge.host_application import ADA, directory, writing_directory
from tests.support.clock import MovingClock
from tests.support.server import PASSWORD, LiveServer, live_server

NEW_PASSWORD: Final = "staple-orbit-lantern-92"


def login(live: LiveServer, username: str, password: str, *headers: tuple[str, str]) -> Answer:
    return post_json(live, "/auth/login", {"username": username, "password": password}, *headers)


def disable(live: LiveServer, user_id: str) -> None:
    change = AccountChange(user_id, Reason.ACCOUNT_DISABLED, EventKind.ACCOUNT_DISABLED, disabled=True)
    assert live.run(live.server.services.sessions.change_account(change))


def test_no_answer_tells_which_users_exist(live: LiveServer) -> None:
    """Attack 70: unknown user, wrong password and disabled account: equal status, headers and text to the byte."""
    live.add_user("dis")
    disable(live, "u_dis")
    seen = set()
    for username, password in (("ada", "wrong"), ("eve", "wrong"), ("dis", "wrong"), ("dis", PASSWORD), ("eve", "")):
        answer = login(live, username, password or " ")
        headers = tuple((name, value) for name, value in answer.headers if name != "date")
        seen.add((answer.status, headers, answer.body))
    ((status, _, body),) = seen
    assert (status, json.loads(body)["code"]) == (401, "bad_credentials")


def mann_whitney_p(first: Sequence[float], second: Sequence[float]) -> float:
    """How likely two samples of one distribution differ in rank at least this much (normal approximation)."""
    n, m = len(first), len(second)
    ranked = sorted([(value, 0) for value in first] + [(value, 1) for value in second])
    rank_sum = sum(rank for rank, (_, which) in enumerate(ranked, 1) if which == 0)
    u = rank_sum - n * (n + 1) / 2
    z = (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
    return math.erfc(abs(z) / math.sqrt(2))


def test_no_time_tells_which_users_exist(tmp_path: Path, clock: MovingClock) -> None:
    """
    Attack 70: as much work is done for a user who does not exist, or is disabled, as for one who does.

    With OWASP's parameters a hash takes some twenty milliseconds, so one that is left out cannot hide in the noise of
    a busy machine. The pairs are measured in turns; a difference must show in the medians and in the ranks, three
    times in a row, to count.
    """
    with live_server(tmp_path, clock=clock, hash_memory_kib=19_456) as live, live.client() as client:
        for name in ("ada", "dis"):
            live.add_user(name)
        disable(live, "u_dis")

        def sample(username: str) -> float:
            clock.advance(86_400)  # so that nobody is throttled
            began = time.perf_counter()
            answer = client.post("/auth/login", json={"username": username, "password": "wrong"})
            assert answer.status_code == 401
            return time.perf_counter() - began

        def differ(one: str, other: str) -> bool:
            pairs = [(sample(one), sample(other)) for _ in range(15)]
            first, second = ([pair[at] for pair in pairs] for at in (0, 1))
            ratio = statistics.median(first) / statistics.median(second)
            return not 0.8 < ratio < 1.25 and mann_whitney_p(first, second) < 0.01

        sample("ada")
        for other in ("eve", "dis"):
            assert not all(differ("ada", other) for _ in range(3))


def test_every_number_of_free_failures_that_a_setting_takes_can_be_served(tmp_path: Path) -> None:
    """The limits of the settings are those of the throttle: no value passes the one and fails the other."""
    for definition in definitions():
        if not definition.name.startswith("free_failures"):
            continue
        most: dict[str, Any] = {definition.name: max(n for n in range(2000) if _is_taken(definition, str(n)))}
        with live_server(tmp_path, **most) as live:
            assert login(live, "ada", "wrong").status == 401


def _is_taken(definition: Definition, text: str) -> bool:
    try:
        definition.parse(text)
    except ValueError:
        return False
    return True


def test_guessing_at_one_account_is_slowed_down_and_ends_nothing(live: LiveServer) -> None:
    """Attack 71: after five wrong passwords waits begin and double; the right one is let in after the wait."""
    session = login(live, "ada", PASSWORD).json()
    statuses = [login(live, "ada", f"guess {n}").status for n in range(8)]
    assert statuses[:6] == [401] * 6 and statuses[6:] == [429, 429]
    refused = login(live, "ada", PASSWORD)
    assert (refused.status, refused.code) == (429, "rate_limited")
    assert 1 <= int(refused.one("Retry-After")) <= 2
    assert refresh(live, session["refresh_token"]).status == 200
    live.clock.advance(int(refused.one("Retry-After")))
    assert login(live, "ada", PASSWORD).status == 200


def test_hammering_for_an_hour_never_waits_longer_than_the_bound(live: LiveServer) -> None:
    """Attack 71: an account cannot be locked out for good: no wait is longer than fifteen minutes."""
    for n in range(60):
        answer = login(live, "ada", f"guess {n}")
        if answer.status == 429:
            wait = int(answer.one("Retry-After"))
            assert 1 <= wait <= 900
            live.clock.advance(wait)
    live.clock.advance(900)
    assert login(live, "ada", PASSWORD).status == 200


def test_fifty_guesses_at_once_are_fifty_guesses(live: LiveServer) -> None:
    """Attack 71: guesses that arrive together are counted one by one, before any is judged."""
    statuses = [answer.status for answer in all_at_once(50, lambda: login(live, "ada", "wrong"))]
    assert statuses.count(401) == 6 and statuses.count(429) == 44


def test_one_password_against_many_accounts_is_slowed_down_by_address(tmp_path: Path, clock: MovingClock) -> None:
    """Attack 71: a slow spray from one address meets that address's own limit."""
    with live_server(tmp_path, clock=clock, free_failures_per_address=20) as live:
        statuses = [login(live, f"user{n}", "summer-2026").status for n in range(30)]
        assert set(statuses[:20]) == {401} and set(statuses[22:]) == {429}


def test_a_forwarded_address_counts_only_from_a_trusted_proxy(live: LiveServer) -> None:
    """Attack 71: a caller who writes X-Forwarded-For anew for each guess is still one caller."""
    statuses = [login(live, "ada", "wrong", ("X-Forwarded-For", f"10.0.0.{n}")).status for n in range(8)]
    assert statuses[-1] == 429


@pytest.fixture
def proxied(tmp_path: Path, clock: MovingClock) -> Iterator[LiveServer]:
    """A server behind a proxy on this machine that is believed."""
    with live_server(tmp_path, clock=clock, trusted_proxies=("127.0.0.0/8",)) as live:
        live.add_user("ada")
        yield live


def test_what_a_caller_writes_before_the_proxy_changes_nothing(proxied: LiveServer) -> None:
    """Attack 71: behind a trusted proxy the rightmost foreign address counts, whatever stands to the left of it."""
    for n in range(8):
        answer = login(proxied, "ada", "wrong", ("X-Forwarded-For", f"10.0.0.{n}, nonsense, 192.0.2.7"))
    assert answer.status == 429
    for header in ("", "nonsense", ",,,", "192.0.2.7:80", "a" * 9000, "127.0.0.1," * 900):
        assert login(proxied, "eve", "wrong", ("X-Forwarded-For", header)).status in {401, 429}


def test_a_trailer_is_no_header(proxied: LiveServer) -> None:
    """What comes after a chunked body cannot add to the headers: no forged address, no second credentials."""
    body = json.dumps({"username": "ada", "password": PASSWORD}).encode()
    head = b"POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
    chunked = b"%x\r\n%b\r\n0\r\nX-Forwarded-For: 203.0.113.9\r\nUser-Agent: forged\r\n\r\n" % (len(body), body)
    tokens = send(proxied.url, head + b"X-Forwarded-For: 192.0.2.7\r\n\r\n" + chunked).json()
    listed = send(proxied.url, request("GET", "/auth/sessions", bearer(tokens["access_token"]))).json()["sessions"]
    assert [(session["address"], session["device"]) for session in listed] == [("192.0.2.7", "")]


def test_the_owner_gets_in_from_home_while_others_hammer(proxied: LiveServer) -> None:
    """Attack 71: from an address that the account is known at, strangers elsewhere cannot make the owner wait."""
    home = ("X-Forwarded-For", "192.0.2.1")
    assert login(proxied, "ada", PASSWORD, home).status == 200
    statuses = {login(proxied, "ada", "wrong", ("X-Forwarded-For", f"198.51.{n}.1")).status for n in range(60)}
    assert statuses == {401, 429}
    assert login(proxied, "ada", PASSWORD, ("X-Forwarded-For", "203.0.113.5")).status == 429
    assert login(proxied, "ada", PASSWORD, home).status == 200


def test_an_endless_password_is_refused_without_hashing_it(live: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack 72: kilobytes and megabytes are 400 or 413 at once, and cost neither a hash nor an attempt."""
    monkeypatch.setattr(live.server.hashing, "_verify", None)
    began = time.monotonic()
    for size, status in ((1025, 400), (5_000, 400), (100_000, 413), (1_000_000, 413)):
        body = json.dumps({"username": "ada", "password": "x" * size})
        answer = sent_or_hung_up(live.url, request("POST", "/auth/login", JSON, body=body))
        assert answer is None or answer.status == status
    assert login(live, "ada", "ä" * 513).code == "invalid_request"
    assert time.monotonic() - began < 20
    monkeypatch.undo()
    assert login(live, "ada", PASSWORD).status == 200


@pytest.mark.parametrize("length", [64, 72, 73, 128])
def test_every_character_of_a_password_counts(live: LiveServer, length: int) -> None:
    """Attack 72: nothing is cut off at 64, 72 or 128; leading spaces and case count too."""
    password = " Ab3" + "x" * (length - 5) + "y"
    live.add_user("long", password)
    others = (password[:-1], password[:-1] + "z", password + "y", password.strip(), password.lower())
    assert {login(live, "long", other).status for other in others} == {401}
    assert login(live, "long", password).status == 200


ODD_NAMES: Final = (
    "' OR '1'='1' --",
    'ada"; DROP TABLE users;--',
    "*)(uid=*))(|(uid=*",
    "ada\r\nSet-Cookie: a=b",
    "ada\0",
    "\u202eada",
    "ad\u0430",
    "\ud800",
    "a\udfff",
    "${jndi:ldap://evil}",
    "{{7*7}}",
    "../../etc/passwd",
    "\x1b[2J",
    "a" * 512,
    "a" * 10_000,
)


def test_an_odd_user_name_is_only_unknown(live: LiveServer) -> None:
    """Attack 74: SQL, LDAP, line breaks, NUL, half surrogates, right-to-left marks: nobody of that name."""
    for username in ODD_NAMES:
        answer = login(live, username, PASSWORD)
        assert (answer.status, answer.code) in {(401, "bad_credentials"), (400, "invalid_request")}
        assert not answer.all("Set-Cookie")
    assert login(live, "ADA ", PASSWORD).status == 200  # one person, however they type it
    assert login(live, "\uff41da", PASSWORD).status == 200


def test_a_body_that_is_not_as_it_must_be_is_refused_without_repeating_it(live: LiveServer) -> None:
    """Attack 74: wrong types, over-long names and noise are 400, and the answer repeats nothing of them."""
    marker = "do-not-repeat-me"
    for body in (
        {"username": "ada"},
        {"username": marker, "password": [marker]},
        {"username": {"$ne": marker}, "password": {"$ne": ""}},
        {"username": "ada", "password": PASSWORD, "delivery": marker},
        {"username": "ada", "password": PASSWORD, "client_id": f"{marker} "},
        {"username": marker * 1000, "password": PASSWORD},
        [marker],
        marker,
    ):
        answer = post_json(live, "/auth/login", body)
        assert (answer.status, answer.code) == (400, "invalid_request"), body
        assert marker.encode() not in answer.body, body


def test_mass_sign_ins_are_capped_per_user(tmp_path: Path, clock: MovingClock) -> None:
    """Attack 75: above the cap the session that was used least recently ends, not the newest."""
    with live_server(tmp_path, clock=clock, sessions_per_user=3) as live:
        live.add_user("ada")
        tokens = []
        for _ in range(5):
            clock.advance(1)
            tokens.append(login(live, "ada", PASSWORD).json()["refresh_token"])
        assert [refresh(live, token).status for token in tokens] == [401, 401, 200, 200, 200]


@pytest.mark.parametrize("mood", ["raises", "hangs"])
def test_a_broken_user_directory_signs_nobody_out(
    tmp_path: Path, clock: MovingClock, monkeypatch: pytest.MonkeyPatch, mood: str
) -> None:
    """A host application's user table that raises or never answers is 503, counts as no failure and ends nothing."""
    monkeypatch.setattr(accounts_elsewhere, "ANSWER_WITHIN_SECONDS", 0.1)
    monkeypatch.setattr(directory, "mood", "answers")
    with live_server(tmp_path, clock=clock, user_directory="tests.edge.host_application:directory") as live:
        tokens = login(live, "ada", PASSWORD).json()
        clock.advance(3)
        monkeypatch.setattr(directory, "mood", mood)
        for answer in (refresh(live, tokens["refresh_token"]), *(login(live, "ada", PASSWORD) for _ in range(7))):
            assert (answer.status, answer.code) == (503, "unavailable")
            assert answer.one("Retry-After") == "1" and PASSWORD.encode() not in answer.body
        assert me(live, tokens["access_token"]).status == 200
        monkeypatch.setattr(directory, "mood", "answers")
        assert login(live, "ada", PASSWORD).status == 200
        assert refresh(live, tokens["refresh_token"]).status == 200
        monkeypatch.setattr(directory, "user", ADA.__class__(ADA.id, "ada", None, 1, False, (), 0))
        clock.advance(3)
        assert refresh(live, tokens["refresh_token"]).json()["reason"] == "password_changed"


def test_a_password_kept_elsewhere_is_not_changed_here(tmp_path: Path, clock: MovingClock) -> None:
    """Where the application keeps the passwords, the route is not there, even if its directory could hash one."""
    assert writing_directory.mood == "answers"
    with live_server(tmp_path, clock=clock, user_directory="tests.edge.host_application:writing_directory") as live:
        tokens = login(live, "ada", PASSWORD).json()
        answer = change(live, tokens, PASSWORD, NEW_PASSWORD)
        assert (answer.status, answer.code) == (404, "not_found")
        assert refresh(live, tokens["refresh_token"]).status == 200


def change(live: LiveServer, tokens: dict[str, Any], current: str, new: str) -> Answer:
    body = {"current_password": current, "new_password": new}
    return post_json(live, "/auth/password", body, bearer(tokens["access_token"]))


def test_changing_the_password_ends_every_other_session(live: LiveServer, http: httpx2.Client) -> None:
    """The session that changed it goes on; all others, and the old password, are good for nothing."""
    mine, other = live.sign_in(http), live.sign_in(http)
    assert change(live, mine, PASSWORD, NEW_PASSWORD).status == 204
    assert refresh(live, other["refresh_token"]).json()["reason"] == "password_changed"
    assert me(live, other["access_token"]).code == "token_invalid"
    assert me(live, mine["access_token"]).status == 200
    assert refresh(live, mine["refresh_token"]).status == 200
    assert login(live, "ada", PASSWORD).status == 401
    assert login(live, "ada", NEW_PASSWORD).status == 200


def test_a_stolen_access_token_guesses_no_password(live: LiveServer, http: httpx2.Client) -> None:
    """The current password is demanded, guesses are slowed down like sign-ins, and they stand in the audit trail."""
    tokens = live.sign_in(http)
    other = live.sign_in(http)
    for new in ("short", "ada" * 6, "x" * 1025):
        answer = change(live, tokens, PASSWORD, new)
        assert (answer.status, answer.code) == (422, "password_refused") and new.encode() not in answer.body
    answers = [change(live, tokens, f"guess {n}", NEW_PASSWORD) for n in range(8)]
    assert (answers[0].status, answers[0].code) == (403, "bad_credentials")
    assert (answers[-1].status, answers[-1].code) == (429, "rate_limited")
    kinds = [event.kind for event in live.run(live.server.store.newest_events(20))]
    assert kinds.count(EventKind.SIGN_IN_FAILED) == 6 and EventKind.RATE_LIMITED in kinds
    assert refresh(live, other["refresh_token"]).status == 200
    assert post_json(live, "/auth/password", {"current_password": PASSWORD, "new_password": NEW_PASSWORD}).status == 401
