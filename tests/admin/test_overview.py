"""How many tokens are out there, and whose; and the signing keys."""

import asyncio
import threading
from typing import Any

import httpx2
import pytest

from evertoken.edge import overview as counting
from evertoken.edge.overview import Overviews
from evertoken.sessions.operating import UserTally
from tests.admin.operating import Operator, put_sessions
from tests.support.clock import MovingClock
from tests.support.server import LiveServer

HOUR = 3600


def test_the_overview_tells_how_many_tokens_are_out_there_and_whose(
    live: LiveServer, http: httpx2.Client, operator: Operator, clock: MovingClock
) -> None:
    """Sessions that can have a good access token, by user; one that was not refreshed for a lifetime has none."""
    for _ in range(3):
        live.sign_in(http)
    ended = live.sign_in(http)["session_id"]
    operator.do("DELETE", f"/admin/sessions/{ended}")
    told = operator.get("/admin/overview")
    assert told["users"] == {"total": 2, "disabled": 0}
    assert told["sessions"] == {"live": 4, "ended": {"revoked": 1}}
    assert told["access_tokens"] == {"sessions": 4, "users": 2, "lifetime_seconds": 1800, "revoked": 1}
    assert told["top_users"] == [
        {"user_id": "u_ada", "username": "ada", "live_sessions": 3, "access_tokens": 3},
        {"user_id": "u_root", "username": "root", "live_sessions": 1, "access_tokens": 1},
    ]
    clock.advance(1800)
    late = Operator(live, http).get("/admin/overview")
    assert late["sessions"]["live"] == 5
    assert late["access_tokens"] == {"sessions": 1, "users": 1, "lifetime_seconds": 1800, "revoked": 0}
    assert late["top_users"][0] == {"user_id": "u_ada", "username": "ada", "live_sessions": 3, "access_tokens": 0}


def test_the_hours_count_sign_ins_failures_and_ends(
    live: LiveServer, http: httpx2.Client, operator: Operator, clock: MovingClock
) -> None:
    """24 hours, the present one last; each with what happened in it, and nothing of yesterday."""
    http.post("/auth/login", json={"username": "ada", "password": "wrong"})
    clock.advance(2 * HOUR)
    tokens = live.sign_in(http)
    http.post("/auth/logout", json={"refresh_token": tokens["refresh_token"]})
    root = Operator(live, http)
    hours = root.get("/admin/overview")["hours"]
    assert [hour["since"] for hour in hours] == [
        clock() // 1000 // HOUR * HOUR - back * HOUR for back in range(23, -1, -1)
    ]
    assert (hours[-3]["sign_ins"], hours[-3]["sign_ins_failed"], hours[-3]["ended"]) == (1, 1, {})
    assert (hours[-1]["sign_ins"], hours[-1]["sign_ins_failed"], hours[-1]["ended"]) == (2, 0, {"signed_out": 1})
    assert sum(hour["sign_ins"] for hour in hours) == 3
    clock.advance(24 * HOUR)
    later = Operator(live, http).get("/admin/overview")["hours"]
    assert (later[0]["sign_ins"], sum(hour["sign_ins"] for hour in later)) == (0, 1)


def test_refreshes_are_counted_by_outcome_since_the_start(
    live: LiveServer, http: httpx2.Client, operator: Operator, clock: MovingClock
) -> None:
    """Ordinary refreshes leave no event; the counters of the metrics know them. Unusual ones stand in their hour."""
    first = live.sign_in(http)["refresh_token"]
    second = http.post("/auth/refresh", json={"refresh_token": first}).json()["refresh_token"]
    assert "refresh_token" not in http.post("/auth/refresh", json={"refresh_token": second}).json()
    clock.advance(240)
    http.post("/auth/refresh", json={"refresh_token": second})
    assert http.post("/auth/refresh", json={"refresh_token": first}).status_code == 503
    clock.advance(61)
    assert http.post("/auth/refresh", json={"refresh_token": first}).status_code == 401
    told = operator.get("/admin/overview")
    counted = {"reissue": 1, "early": 1, "advance": 1, "stale": 1, "replay": 1}
    assert told["refreshes_since_start"] == counted
    now = told["hours"][-1]
    assert {kind: now[kind] for kind in ("early", "stale", "heal", "replay")} == {
        "early": 1,
        "stale": 1,
        "heal": 0,
        "replay": 1,
    }


def test_an_expired_session_is_counted_under_its_reason(
    live: LiveServer, http: httpx2.Client, operator: Operator, clock: MovingClock
) -> None:
    """Nobody has ended it, yet it is over."""
    live.sign_in(http)
    clock.advance(7 * 24 * HOUR)
    assert Operator(live, http).get("/admin/overview")["sessions"] == {"live": 1, "ended": {"expired_idle": 2}}


def test_those_with_the_most_sessions_are_named_however_many_users_there_are(
    live: LiveServer, operator: Operator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Users are counted in steps; the ten on top are the ten on top of all steps."""
    monkeypatch.setattr(counting, "_USERS_PER_STEP", 3)
    for number in range(14):
        put_sessions(live, f"u_{number:02}", f"user-{number:02}", 1 + number % 7 * 2)
    told = operator.get("/admin/overview")
    assert told["sessions"]["live"] == 99
    assert [user["live_sessions"] for user in told["top_users"]] == [13, 13, 11, 11, 9, 9, 7, 7, 5, 5]


class SlowStore:
    """Stands before a store: counting waits until it is let go."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.asked = 0
        self.is_open = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def tally_users(self, **given: Any) -> list[UserTally]:
        self.asked += given["after"] is None
        while not self.is_open.is_set():
            await asyncio.sleep(0)
        found: list[UserTally] = await self._store.tally_users(**given)
        return found


def test_who_asks_while_it_is_being_counted_gets_the_same_answer(
    live: LiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many pages are open, there is one count at a time; one that took long is good for a while."""
    monkeypatch.setattr(counting, "QUICK_SECONDS", 0.0)
    monkeypatch.setattr(counting, "COUNTS_A_TENTH_OF_THE_TIME", 1_000_000)
    services = live.server.services
    store = SlowStore(services.store)
    object.__setattr__(services, "store", store)
    overviews = Overviews(services)

    async def ask_often() -> None:
        asking = [asyncio.create_task(overviews.overview()) for _ in range(20)]
        while not store.asked:
            await asyncio.sleep(0)
        asking[0].cancel()
        store.is_open.set()
        answers = await asyncio.gather(*asking[1:])
        assert all(answer is answers[0] for answer in answers)
        assert await overviews.overview() is answers[0]
        assert store.asked == 1
        overviews.forget()
        assert await overviews.overview() is not answers[0]
        assert store.asked == 2

    live.run(ask_often())


def test_a_new_key_is_announced_signs_later_and_the_old_one_stays(
    live: LiveServer, http: httpx2.Client, operator: Operator, clock: MovingClock
) -> None:
    """Rotating refuses nobody's token: the new key is published at once and signs after `key_announce`."""
    (old,) = operator.get("/admin/keys")["keys"]
    assert old == {"kid": old["kid"], "algorithm": "ES256", "state": "signing"}
    answer = operator.call("POST", "/admin/keys/rotate")
    new = answer.json()
    assert answer.status_code == 200
    assert (new["state"], new["signs_from"]) == ("announced", clock() // 1000 + 600)
    assert operator.get("/auth/me")["sub"] == "u_root"
    published = {key["kid"] for key in http.get("/.well-known/jwks.json").json()["keys"]}
    assert published == {old["kid"], new["kid"]}
    assert [key["state"] for key in operator.get("/admin/keys")["keys"]] == ["signing", "announced"]
    clock.advance(600)
    assert [key["state"] for key in operator.get("/admin/keys")["keys"]] == ["verifying", "signing"]
    assert operator.get("/auth/me")["sub"] == "u_root"
    clock.advance(1800 + 60)
    assert [key["state"] for key in Operator(live, http).get("/admin/keys")["keys"]] == ["retired", "signing"]


def test_keys_rotated_twice_leave_one_that_signs(operator: Operator, clock: MovingClock) -> None:
    """A second click makes one more key and no mess."""
    for _ in range(2):
        assert operator.call("POST", "/admin/keys/rotate").status_code == 200
    clock.advance(601)
    states = [key["state"] for key in operator.get("/admin/keys")["keys"]]
    assert states == ["verifying", "verifying", "signing"]
