"""What every client library meets: a person who is signed in, time that passes, and a session at its turns."""

from typing import Any

import httpx2

from evertoken.accounts.clients import new_client
from tests.support.server import LiveServer

APP = "reading-app"
"""The public client that people sign in with."""

API = "orders-api"
"""The confidential client that introspects."""

INACTIVE = {"active": False}


class Stage:
    """One server, with ada signed in through `APP`; `tokens` is her token answer."""

    def __init__(self, live: LiveServer, http: httpx2.Client) -> None:
        self.live = live
        self._http = http
        self.issuer = live.url
        self.token_url = f"{live.url}/oauth/token"
        self.revocation_url = f"{live.url}/oauth/revoke"
        self.introspection_url = f"{live.url}/oauth/introspect"
        self.me_url = f"{live.url}/auth/me"
        self.tokens = live.sign_in(http, client_id=APP)

    def expire(self) -> None:
        """Let the access token expire, by the server's clock."""
        self.live.clock.advance(1801)

    def refresh(self, refresh_token: str) -> dict[str, Any]:
        """A refresh by another program that holds the same session."""
        form = {"grant_type": "refresh_token", "refresh_token": refresh_token}
        answer = self._http.post("/oauth/token", data=form)
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json()
        return tokens

    def overtake(self) -> dict[str, Any]:
        """Let another program refresh until the refresh token of `tokens` is superseded; returns the newest answer."""
        successor = self.refresh(self.tokens["refresh_token"])
        self.expire()
        return self.refresh(successor["refresh_token"])

    def sign_out(self) -> None:
        """Sign ada out elsewhere."""
        answer = self._http.post("/auth/logout", json={"refresh_token": self.tokens["refresh_token"]})
        assert answer.status_code == 204

    def is_good(self, access_token: str) -> bool:
        """Whether the server lets the holder in."""
        return self._http.get("/auth/me", headers={"Authorization": f"Bearer {access_token}"}).status_code == 200

    def add_confidential_client(self) -> str:
        """Add `API` anew, as `evertoken clients add` does; returns its secret."""
        store = self.live.server.store
        client, secret = new_client(API, now_ms=self.live.clock())
        self.live.run(store.remove_client(API))
        assert self.live.run(store.add_client(client))
        return secret.reveal()
