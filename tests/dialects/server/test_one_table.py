"""Several dialects at once are one server: one table of sessions, one kind of access token, one way to end them."""

import httpx2
import pytest

from tests.dialects.server.pages import PAGES, Visitor, found, looks
from tests.support.server import LiveServer


def at(live: LiveServer, http: httpx2.Client, name: str) -> Visitor:
    return Visitor(live, http, PAGES[name], f"/{name}")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_a_session_of_a_dialect_is_listed_and_ended_where_all_are(visitor: Visitor) -> None:
    """What was signed in at an old page stands in /auth/sessions, and ends there at once."""
    tokens = visitor.sign_in()
    session_id = visitor.http.get("/auth/me", headers=bearer(tokens.access)).json()["sid"]
    listed = visitor.http.get("/auth/sessions", headers=bearer(tokens.access)).json()["sessions"]
    assert session_id in [session["id"] for session in listed]
    own = visitor.live.sign_in(visitor.http)["access_token"]
    assert visitor.http.delete(f"/auth/sessions/{session_id}", headers=bearer(own)).status_code == 204
    looks(visitor.refresh(tokens), visitor.page.is_over("revoked"))
    assert not visitor.is_admitted(tokens.access)


def test_a_session_moves_from_one_dialect_to_another(live: LiveServer, http: httpx2.Client) -> None:
    """When a page is replaced, its users stay signed in: the new page's dialect takes the refresh token of the old."""
    old, new = at(live, http, "nest"), at(live, http, "code-in-200")
    tokens = old.sign_in()
    for visitor in (new, old):
        renewed = visitor.renewed(tokens)
        assert visitor.is_admitted(renewed.access)
        live.clock.advance(241)
        tokens = renewed
    answer = http.post("/auth/refresh", json={"refresh_token": tokens.refresh})
    assert answer.status_code == 200
    assert http.post("/auth/logout", json={"refresh_token": tokens.refresh}).status_code == 204
    looks(new.refresh(tokens), new.page.is_over("signed_out"))


def test_a_sign_out_in_one_dialect_leaves_the_other_sessions_alone(live: LiveServer, http: httpx2.Client) -> None:
    """Two dialects, two sessions of one user: each ends for itself, and with all others when the user says so."""
    one, other = at(live, http, "raw-header"), at(live, http, "cookie-envelope")
    first, second, third = one.sign_in(), other.sign_in(), one.sign_in()
    assert one.log_out(first).status_code == 204
    assert other.refresh(second).status_code == 200
    assert http.delete("/auth/sessions", headers=bearer(third.access)).status_code == 204
    looks(one.refresh(third), one.page.is_over("signed_out"))
    looks(other.refresh(second), other.page.is_over("signed_out"))


def test_the_answers_say_what_old_pages_ignore_and_our_clients_use(visitor: Visitor) -> None:
    """Every built-in tells the session's id and both lifetimes beside the tokens."""
    document = visitor.log_in().json()
    members = document.get("data", document)
    said = {name.replace("_", "").lower(): value for name, value in members.items()}
    assert said["expiresin"] == 1800
    assert said.get("refreshtokenexpiresin", said.get("refreshexpiresin")) == 604_800
    access = found(document, visitor.page.access)
    assert said["sessionid"] == visitor.http.get("/auth/me", headers=bearer(access)).json()["sid"]


@pytest.mark.parametrize("name", ["nest", "raw-header"])
def test_a_dialects_access_token_is_taken_by_the_servers_own_routes_in_their_own_way(
    live: LiveServer, http: httpx2.Client, name: str
) -> None:
    """/auth/me speaks evertoken's dialect whatever page the token comes from: Bearer, and problems."""
    access = at(live, http, name).sign_in().access
    assert http.get("/auth/me", headers=bearer(access)).status_code == 200
    bare = http.get("/auth/me", headers={"Authorization": access})
    assert (bare.status_code, bare.headers["content-type"]) == (401, "application/problem+json")
