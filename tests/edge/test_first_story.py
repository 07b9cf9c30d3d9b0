"""The main job, end to end, over a real socket."""

import httpx2
from tests.support.server import LiveServer


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
