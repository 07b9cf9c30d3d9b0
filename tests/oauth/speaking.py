"""What the tests of the OAuth endpoints share: how a client asks, and what a refusal looks like."""

import base64
import re
from collections.abc import Mapping
from typing import Any, Final

import httpx2

from evertoken.accounts.clients import new_client
from tests.support.server import LiveServer

APP = "reading-app"
OTHER_APP = "another-app"
API = "orders-api"
INACTIVE = {"active": False}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
ENDPOINTS: Final = ["/oauth/token", "/oauth/revoke", "/oauth/introspect"]

_DESCRIPTION = re.compile(r"[\x20\x21\x23-\x5B\x5D-\x7E]+")


def add_client(live: LiveServer, client_id: str) -> str:
    """Add a confidential client anew; returns its secret."""
    client, made = new_client(client_id, now_ms=live.clock())
    live.run(live.server.store.remove_client(client_id))
    assert live.run(live.server.store.add_client(client))
    return made.reveal()


def renew(http: httpx2.Client, refresh_token: str, **more: Any) -> httpx2.Response:
    """The refresh_token grant; `more` holds further parameters, and `auth` or `headers` for the request."""
    options = {name: more.pop(name) for name in ("auth", "headers") if name in more}
    form = {"grant_type": "refresh_token", "refresh_token": refresh_token, **more}
    return http.post("/oauth/token", data=form, **options)


def basic(client_id: str, client_secret: str = "") -> dict[str, str]:
    """An Authorization header as RFC 6749 §2.3.1 wants it where nothing needs encoding."""
    return {"Authorization": "Basic " + base64.b64encode(f"{client_id}:{client_secret}".encode()).decode()}


def introspected(http: httpx2.Client, secret: str, token: str) -> Any:
    """What the client `API` learns of a token."""
    answer = http.post("/oauth/introspect", data={"token": token}, auth=(API, secret))
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()


def assert_refused(answer: httpx2.Response, error: str, *, status: int = 400) -> None:
    """An error as RFC 6749 §5.2 spells it, and nothing else: no problem document, nothing for a cache."""
    assert (answer.status_code, answer.json().get("error")) == (status, error), answer.text
    assert answer.json().keys() == {"error", "error_description"}
    assert _DESCRIPTION.fullmatch(answer.json()["error_description"])
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["pragma"] == "no-cache"
    if status == 401:
        assert answer.headers["www-authenticate"] == 'Basic realm="evertoken"'


def assert_lives_on(http: httpx2.Client, tokens: Mapping[str, Any]) -> None:
    """Nothing has happened to this session."""
    answer = renew(http, tokens["refresh_token"])
    assert answer.status_code == 200, answer.text
    assert answer.json()["session_id"] == tokens["session_id"]
