"""A server and a clock for a conversation, whichever server it is, and what of its answers is compared."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2

COMPARED_HEADERS = ("content-type", "cache-control", "www-authenticate", "retry-after", "pragma")


@dataclass
class Stage:
    """Where a conversation is played; `seen` is what it heard."""

    http: httpx2.Client
    advance: Callable[[float], None]
    seen: list[tuple[Any, ...]] = field(default_factory=list)

    def say(self, method: str, path: str, **options: Any) -> Any:
        """Send a request, remember what is compared of its answer, and give its members."""
        answer = self.http.request(method, path, **options)
        members = answer.json() if answer.content else {}
        told = tuple(members.get(name) for name in ("code", "error", "reason", "status", "title", "token_type"))
        numbers = tuple(members.get(name) for name in ("expires_in", "refresh_token_expires_in"))
        headers = [answer.headers.get(name) for name in COMPARED_HEADERS]
        allowed = sorted(answer.headers.get("allow", "").split(", "))
        self.seen.append(
            (method, path.partition("?")[0], answer.status_code, sorted(members), told, numbers, headers, allowed)
        )
        return members

    def sign_in(self, **more: Any) -> dict[str, Any]:
        """Sign ada in."""
        body = {"username": "ada", "password": "correct-horse-battery", **more}
        tokens: dict[str, Any] = self.say("POST", "/auth/login", json=body)
        return tokens

    def refresh(self, token: str) -> dict[str, Any]:
        """Use a refresh token."""
        tokens: dict[str, Any] = self.say("POST", "/auth/refresh", json={"refresh_token": token})
        return tokens

    def grant(self, token: str, **more: str) -> dict[str, Any]:
        """Use a refresh token as OAuth clients do."""
        form = {"grant_type": "refresh_token", "refresh_token": token, **more}
        tokens: dict[str, Any] = self.say("POST", "/oauth/token", data=form)
        return tokens

    def me(self, access_token: str) -> dict[str, Any]:
        """Use an access token."""
        claims: dict[str, Any] = self.say("GET", "/auth/me", headers={"Authorization": f"Bearer {access_token}"})
        return claims


LOST = (httpx2.RemoteProtocolError, httpx2.ReadError)
"""What a client meets whose request or answer was lost."""


def refresh(url: str, token: str) -> httpx2.Response:
    """Use a refresh token, on a connection of its own."""
    return httpx2.post(f"{url}/auth/refresh", json={"refresh_token": token})
