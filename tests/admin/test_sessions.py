"""Everybody's sessions: lists, one of them, its story, its end."""

import httpx2
import pytest

from tests.admin.operating import Operator, put_sessions
from tests.support.clock import MovingClock
from tests.support.server import LiveServer

RIPE_SECONDS = 240


def test_thousands_of_sessions_are_paged_through_each_on_one_page(live: LiveServer, operator: Operator) -> None:
    """3,000 sessions come in pages of 200, the newest sign-in first, none twice and none left out."""
    put = put_sessions(live, "u_ada", "ada", 3000)
    pages = operator.pages("/admin/sessions", "sessions", limit=200)
    assert [len(page) for page in pages] == [200] * 15 + [1]
    found = [session["id"] for page in pages for session in page]
    assert found == [operator.session_id, *reversed(put)]
    hers = operator.pages("/admin/sessions", "sessions", limit=200, user_id="u_ada")
    assert [session["id"] for page in hers for session in page] == found[1:]
    assert len(operator.get("/admin/sessions")["sessions"]) == 50


def test_a_search_among_thousands_finds_what_is_rare(live: LiveServer, operator: Operator) -> None:
    """One session of 3,000 is found by its device, its user, its address or its id."""
    live.add_user("Größe_100%")
    (rare,) = put_sessions(live, "u_Größe_100%", "Größe_100%", 1, device="Küchenradio 名 50%_off")
    put_sessions(live, "u_ada", "ada", 2999)
    for part in ("GRÖSSE_1", "küchenradio", "名", "50%_OFF", rare, rare[:8]):
        (found,) = operator.get("/admin/sessions", search=part)["sessions"]
        assert found["id"] == rare
        assert (found["username"], found["device"]) == ("Größe_100%", "Küchenradio 名 50%_off")
    for part in ("_0", "100_", "%%", "\0", "' OR 1=1 --", rare[1:]):
        assert operator.get("/admin/sessions", search=part)["sessions"] == []
    assert operator.get("/admin/sessions", search=rare, user_id="u_ada")["sessions"] == []
    assert len(operator.get("/admin/sessions", search="192.0.2.7", limit=200)["sessions"]) == 200


def test_an_ended_session_is_listed_among_all_with_its_reason(
    live: LiveServer, http: httpx2.Client, operator: Operator
) -> None:
    """`state=all` includes what is over; by default only the living are listed, by their whole id as well."""
    session_id = live.sign_in(http)["session_id"]
    operator.do("DELETE", f"/admin/sessions/{session_id}")
    listed = {session["id"]: session for session in operator.get("/admin/sessions", state="all")["sessions"]}
    assert listed.keys() == {session_id, operator.session_id}
    assert (listed[session_id]["state"], listed[session_id]["ended_at"]) == ("revoked", live.clock() // 1000)
    assert (listed[operator.session_id]["state"], "ended_at" in listed[operator.session_id]) == ("live", False)
    assert [session["id"] for session in operator.get("/admin/sessions")["sessions"]] == [operator.session_id]
    assert operator.get("/admin/sessions", search=session_id)["sessions"] == []
    assert len(operator.get("/admin/sessions", search=session_id, state="all")["sessions"]) == 1


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=1e2",
        "limit=",
        "limit=%D9%A1",
        "limit=5&limit=5",
        "state=dead",
        "state=live&state=all",
        "after=",
        "after=1",
        "after=1.AAAAAAAAAAAAAAAAAAAAAB",
        "after=-1.AAAAAAAAAAAAAAAAAAAAAA",
        "after=9999999999999999.AAAAAAAAAAAAAAAAAAAAAA",
        "after=%F0%9F%90%9A",
        "search=" + "x" * 129,
        "user_id=" + "x" * 129,
    ],
)
def test_a_query_that_means_nothing_is_refused(operator: Operator, query: str) -> None:
    """Limits, cursors and states that cannot be are 400 and say which, never a fault and never an empty page."""
    answer = operator.call("GET", f"/admin/sessions?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert f"`{query.partition('=')[0]}`" in answer.json()["detail"]


@pytest.mark.parametrize(
    "path", ["AAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAAB", "x", "%00", "%F0%9F%90%9A", "a b"]
)
def test_a_session_that_is_not_there_is_not_found(operator: Operator, path: str) -> None:
    """Whatever stands in the place of an id is 404 when no session has it."""
    for method, end in (("GET", ""), ("DELETE", ""), ("GET", "/timeline")):
        answer = operator.call(method, f"/admin/sessions/{path}{end}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_the_guard_refuses_at_once_what_an_operator_has_ended(
    live: LiveServer, http: httpx2.Client, operator: Operator
) -> None:
    """The access token is refused with the next request, the refresh is told `revoked`, and the trail says who."""
    tokens = live.sign_in(http)
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert http.get("/auth/me", headers=bearer).status_code == 200
    for _ in range(2):  # ending it twice is no error
        operator.do("DELETE", f"/admin/sessions/{tokens['session_id']}")
    assert http.get("/auth/me", headers=bearer).status_code == 401
    refused = http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert refused.json()["reason"] == "revoked"
    events = operator.get(f"/admin/sessions/{tokens['session_id']}/timeline")["items"]
    assert [(item["kind"], item.get("operator"), item.get("reason")) for item in events] == [
        ("sign_in", None, None),
        ("session_ended", "u_root", "revoked"),
    ]


def test_the_timeline_tells_a_theft_with_its_evidence(
    live: LiveServer, http: httpx2.Client, operator: Operator, clock: MovingClock
) -> None:
    """Sign-in, refreshes, the late duplicate, the replay: each with where it came from, as `explain` tells it."""
    tokens = live.sign_in(http)
    first = tokens["refresh_token"]
    second = http.post("/auth/refresh", json={"refresh_token": first}).json()["refresh_token"]
    clock.advance(RIPE_SECONDS)
    http.post("/auth/refresh", json={"refresh_token": second})
    clock.advance(30)
    thief = {"User-Agent": "thief's tool"}
    assert http.post("/auth/refresh", json={"refresh_token": first}, headers=thief).status_code == 503
    clock.advance(31)
    assert http.post("/auth/refresh", json={"refresh_token": first}, headers=thief).status_code == 401
    told = operator.get(f"/admin/sessions/{tokens['session_id']}/timeline")
    kinds = [item["kind"] for item in told["items"]]
    assert kinds == ["sign_in", "refreshed", "refreshed", "stale", "replay"]
    replay = told["items"][-1]
    assert (replay["device"], replay["address"], replay["count"]) == ("thief's tool", "127.0.0.1", 1)
    assert replay["evidence"]["since_succession_seconds"] == 61
    assert replay["evidence"]["presented_age_seconds"] == RIPE_SECONDS + 61
    assert replay["evidence"]["other_device"].startswith("python-httpx2")
    assert replay["text"].startswith("replay: an old token was presented")
    assert "1.0 min" in replay["text"]
    assert told["outcome"].endswith("replayed (an old refresh token was replayed)")
    assert (told["session"]["state"], told["session"]["rotations"]) == ("replayed", 2)


def test_one_session_is_shown_with_both_its_ends(
    live: LiveServer, http: httpx2.Client, operator: Operator, clock: MovingClock
) -> None:
    """Where it was begun and where it was refreshed last, with times in seconds."""
    begun = clock() // 1000
    tokens = http.post(
        "/auth/login",
        json={"username": "ada", "password": "correct-horse-battery", "client_id": "app"},
        headers={"User-Agent": "Phone"},
    ).json()
    clock.advance(5)
    http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}, headers={"User-Agent": "Tablet"})
    shown = operator.get(f"/admin/sessions/{tokens['session_id']}")
    assert shown == {
        "id": tokens["session_id"],
        "user_id": "u_ada",
        "username": "ada",
        "client_id": "app",
        "delivery": "body",
        "created_at": begun,
        "created_device": "Phone",
        "created_address": "127.0.0.1",
        "last_refreshed_at": begun + 5,
        "device": "Tablet",
        "address": "127.0.0.1",
        "rotations": 1,
        "expires_at": begun + 5 + 7 * 24 * 3600,
        "state": "live",
    }
