"""An ASGI application called without a socket: for WebSockets, and for what is not about HTTP."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

from evertoken.errors import FeedLost
from evertoken.guards import AccessCheck, AccessTokenClaims
from evertoken.guards.revoked import RevokedSessions
from evertoken.tokens.access_token import AccessTokenRules
from evertoken.tokens.keyring import KeyRecord, KeyRing
from evertoken.tokens.signing_keys import Algorithm, SigningKey
from tests.support.clock import MovingClock
from tests.tokens.forging import forge

ISSUER, AUDIENCE = "https://auth.example", "https://api.example"
KEY = SigningKey.generate(Algorithm.HS256)
"""HS256: the cheapest; which algorithm a key has makes no difference to a framework's guard."""


class Material:
    """A guard without a server, and tokens for it."""

    def __init__(self, clock: MovingClock) -> None:
        self.clock = clock
        ring = KeyRing([KeyRecord(KEY, 0)])
        self.revoked = RevokedSessions(access_lifetime_ms=1_800_000)
        self.guard = AccessCheck(ring, AccessTokenRules(ISSUER, AUDIENCE), self.revoked)

    def token(self, **claims: Any) -> str:
        now = self.clock() // 1000
        return forge(KEY, payload={"iss": ISSUER, "aud": AUDIENCE, "iat": now, "exp": now + 1800} | claims)


class Shut:
    """A guard that has lost the feed."""

    def check(self, encoded: str, *, now_ms: int) -> AccessTokenClaims:
        raise FeedLost("of the test", retry_after_seconds=5)

    async def check_async(self, encoded: str, *, now_ms: int) -> AccessTokenClaims:
        return self.check(encoded, now_ms=now_ms)

    def recall(self, authorization: bytes, *, now_ms: int) -> AccessTokenClaims | None:
        return None


@dataclass
class Spoken:
    """What an application sent to a WebSocket, or as an answer."""

    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def kinds(self) -> list[str]:
        return [message["type"] for message in self.messages]

    @property
    def text(self) -> str | None:
        """The one text that was sent."""
        texts = [message["text"] for message in self.messages if message.get("text") is not None]
        return texts[0] if texts else None

    @property
    def closed(self) -> tuple[int, str]:
        """Code and reason with which a socket was closed that had not been accepted."""
        assert self.kinds == ["websocket.close"], self.messages
        return self.messages[0]["code"], self.messages[0].get("reason") or ""

    @property
    def status(self) -> int:
        status: int = self.messages[0]["status"]
        return status

    @property
    def headers(self) -> dict[str, str]:
        return {name.decode().lower(): value.decode() for name, value in self.messages[0]["headers"]}

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages[1:])


def call(
    app: Any,
    path: str,
    token: str | None = None,
    *,
    kind: str = "http",
    body: bytes = b"",
    content_type: bytes | None = None,
    **more: Any,
) -> Spoken:
    """
    One request, or one WebSocket whose client leaves after the first message.

    Args:
        more: Members of the scope.
    """
    headers = [(b"host", b"localhost"), (b"content-length", str(len(body)).encode())]
    if content_type is not None:
        headers.append((b"content-type", content_type))
    if token is not None:
        headers.append((b"authorization", b"Bearer " + token.encode()))
    scope: dict[str, Any] = {
        "type": kind,
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "http" if kind == "http" else "ws",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "server": ("localhost", 80),
        "client": ("127.0.0.1", 50000),
        "state": {},
        **({"method": "GET"} if kind == "http" else {"subprotocols": [], "extensions": {}}),
        **more,
    }
    arriving: list[dict[str, Any]] = (
        [{"type": "http.request", "body": body, "more_body": False}, {"type": "http.disconnect"}]
        if kind == "http"
        else [{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}]
    )
    spoken = Spoken()

    async def receive() -> dict[str, Any]:
        return arriving.pop(0)

    async def send(message: dict[str, Any]) -> None:
        spoken.messages.append(message)

    asyncio.run(app(scope, receive, send))
    return spoken


def connect(app: Any, path: str, token: str | None = None) -> Spoken:
    """A WebSocket whose client leaves after the first message."""
    return call(app, path, token, kind="websocket")
