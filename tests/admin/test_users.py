"""Users, as an operator manages them."""

from pathlib import Path

import httpx2
import pytest

from evertoken.sessions.model import EventKind
from tests.admin.operating import Operator
from tests.support.clock import MovingClock
from tests.support.server import PASSWORD, LiveServer, live_server


def test_users_are_listed_by_name_with_their_live_sessions(
    live: LiveServer, http: httpx2.Client, operator: Operator, clock: MovingClock
) -> None:
    """Page by page: name, roles, state, and in how many places each is signed in."""
    for _ in range(3):
        live.sign_in(http)
    pages = operator.pages("/admin/users", "users", limit=1)
    assert [user["username"] for page in pages for user in page] == ["ada", "root"]
    assert pages[0][0] == {
        "id": "u_ada",
        "username": "ada",
        "disabled": False,
        "roles": [],
        "created_at": clock() // 1000,
        "live_sessions": 3,
    }
    assert (pages[1][0]["roles"], pages[1][0]["live_sessions"]) == (["staff", "admin"], 1)


@pytest.mark.parametrize("name", ["100%_sure", "STRAßE", "名前", "a'b"])
def test_users_are_found_by_a_part_of_the_name_as_it_is(live: LiveServer, operator: Operator, name: str) -> None:
    """No character has a meaning of its own, and case makes no difference."""
    live.add_user(name)
    for part in (name, name.upper(), name[1:], name[:-1]):
        assert [user["username"] for user in operator.get("/admin/users", search=part)["users"]] == [name]
    for part in ("%", "_", "no such name"):
        found = operator.get("/admin/users", search=part)["users"]
        assert [user["username"] for user in found] == ([name] if part in name else [])


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=x", "limit=1&limit=1", "search=" + "x" * 129, "after=" + "x" * 513]
)
def test_a_query_that_means_nothing_is_refused(operator: Operator, query: str) -> None:
    """400, and the detail names the member."""
    answer = operator.call("GET", f"/admin/users?{query}")
    assert (answer.status_code, answer.json()["code"]) == (400, "invalid_request")
    assert f"`{query.partition('=')[0]}`" in answer.json()["detail"]


def test_any_text_is_a_place_among_the_names(operator: Operator) -> None:
    """A cursor that no page gave is merely a place in the alphabet."""
    assert operator.get("/admin/users", after="名\0'")["users"] == []
    assert [user["username"] for user in operator.get("/admin/users", after="b")["users"]] == ["root"]


def test_a_disabled_user_is_signed_out_at_once_and_can_be_enabled(
    live: LiveServer, http: httpx2.Client, operator: Operator
) -> None:
    """The access token is refused with the next request and nobody signs in, until the user is enabled again."""
    tokens = live.sign_in(http)
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    credentials = {"username": "ada", "password": PASSWORD}
    for _ in range(2):
        operator.do("POST", "/admin/users/u_ada/disable")
    assert http.get("/auth/me", headers=bearer).status_code == 401
    refused = http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert refused.json()["reason"] == "account_disabled"
    assert http.post("/auth/login", json=credentials).status_code == 401
    assert operator.get("/admin/users", search="ada")["users"][0]["disabled"]
    for _ in range(2):
        operator.do("POST", "/admin/users/u_ada/enable")
    assert http.post("/auth/login", json=credentials).status_code == 200
    assert http.get("/auth/me", headers=bearer).status_code == 401


def test_all_sessions_of_a_user_end_and_the_epoch_moves(
    live: LiveServer, http: httpx2.Client, operator: Operator
) -> None:
    """So a sign-in whose password was verified before does not slip through; others' sessions go on."""
    sessions = [live.sign_in(http) for _ in range(3)]
    operator.do("DELETE", "/admin/users/u_ada/sessions")
    for tokens in sessions:
        bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert http.get("/auth/me", headers=bearer).status_code == 401
    assert live.run(live.server.store.find_by_id("u_ada")).epoch == 1
    assert operator.get("/admin/users", search="ada")["users"][0]["live_sessions"] == 0
    assert operator.call("GET", "/auth/me").status_code == 200
    live.sign_in(http)


def test_what_an_operator_does_is_recorded_under_his_id(live: LiveServer, operator: Operator) -> None:
    """The trail holds every change with who made it, from where; another's User-Agent cannot feign it."""
    for method, path in (
        ("POST", "/admin/users/u_ada/disable"),
        ("POST", "/admin/users/u_ada/enable"),
        ("DELETE", "/admin/users/u_ada/sessions"),
    ):
        operator.do(method, path)
    assert operator.call("POST", "/admin/keys/rotate").status_code == 200
    trail = live.run(live.server.store.newest_events(4))
    assert [event.kind for event in trail] == [
        EventKind.KEY_ROTATED,
        EventKind.SIGNED_OUT_EVERYWHERE,
        EventKind.ACCOUNT_ENABLED,
        EventKind.ACCOUNT_DISABLED,
    ]
    assert {(event.caller.operator, event.caller.address) for event in trail} == {("u_root", "127.0.0.1")}


@pytest.mark.parametrize("user_id", ["nobody", "%00", "%F0%9F%90%9A", "u_ADA"])
def test_a_user_who_is_not_there_is_not_found(operator: Operator, user_id: str) -> None:
    """404 for whatever is no user's id, and it says where to look."""
    for method, end in (("POST", "disable"), ("POST", "enable"), ("DELETE", "sessions")):
        answer = operator.call(method, f"/admin/users/{user_id}/{end}")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
        assert "GET /admin/users" in answer.json()["detail"]


def test_users_kept_by_the_application_are_managed_there(tmp_path: Path, clock: MovingClock) -> None:
    """Their routes answer 404 and say so; sessions can be seen and ended here all the same."""
    directory = "tests.admin.application_users:directory"
    with live_server(tmp_path, clock=clock, user_directory=directory) as live, live.client() as http:
        operator = Operator(live, http)
        hers = live.sign_in(http, "ada")
        for method, path in (
            ("GET", "/admin/users"),
            ("POST", "/admin/users/u_ada/disable"),
            ("POST", "/admin/users/u_ada/enable"),
            ("DELETE", "/admin/users/u_ada/sessions"),
        ):
            answer = operator.call(method, path)
            assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
            assert "user_directory" in answer.json()["detail"]
        (found,) = operator.get("/admin/sessions", search="ADA")["sessions"]
        assert found["id"] == hers["session_id"]
        overview = operator.get("/admin/overview")
        assert "users" not in overview
        assert overview["sessions"]["live"] == 2
        operator.do("DELETE", f"/admin/sessions/{found['id']}")
        bearer = {"Authorization": f"Bearer {hers['access_token']}"}
        assert http.get("/auth/me", headers=bearer).status_code == 401
