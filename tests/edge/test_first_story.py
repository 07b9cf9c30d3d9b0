"""The main job, end to end, over a real socket."""

import httpx2

from tests.support.server import PASSWORD, LiveServer


def test_a_token_that_expired_is_renewed_and_the_session_goes_on(live: LiveServer, http: httpx2.Client) -> None:
    """An expired access token is refused, a refresh gives a new one, and the same request succeeds with it."""
    tokens = live.sign_in(http)
    live.clock.advance(1801)
    refused = http.get("/auth/me", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert (refused.status_code, refused.json()["code"]) == (401, "token_expired")
    renewed = http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).json()
    accepted = http.get("/auth/me", headers={"Authorization": f"Bearer {renewed['access_token']}"})
    assert accepted.json()["preferred_username"] == "ada"
    assert renewed["session_id"] == tokens["session_id"]


def test_a_page_signs_out_by_its_cookie_although_its_access_token_has_expired(live: LiveServer) -> None:
    """A dashboard that was left alone can sign out: the expired access token it sends along is no obstacle."""
    with live.client(headers={"Sec-Fetch-Site": "same-origin"}) as page:
        answer = page.post("/auth/login", json={"username": "ada", "password": PASSWORD, "delivery": "cookie"})
        # A browser sends a Secure cookie to localhost over http; this client does not, so it is sent by hand.
        page.headers["Cookie"] = answer.headers["set-cookie"].split(";")[0]
        page.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
        live.clock.advance(1801)
        gone = page.post("/auth/logout", headers={"Authorization": f"Bearer {answer.json()['access_token']}"})
        assert gone.status_code == 204
        assert "Max-Age=0" in gone.headers["set-cookie"]
        assert page.post("/auth/refresh").json()["reason"] == "signed_out"
