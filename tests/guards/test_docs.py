"""What docs/guards.md shows is run as it stands there."""

import json
import re
from pathlib import Path
from typing import Any

import httpx2
import pytest

from evertoken.accounts.clients import new_client
from tests.edge.attacking import bearer, get
from tests.guards.elsewhere import sign_out, until
from tests.guards.serving import serving
from tests.oauth.speaking import API, add_client
from tests.support.server import LiveServer, live_server

DOCS = (Path(__file__).parents[2] / "docs" / "guards.md").read_text("utf-8")


def test_the_service_of_the_docs_guards_its_route(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two services: the second knows the issuer's address and a client credential, and hears of a sign-out."""
    (source,) = re.findall(r"```python\n# orders\.py\n(.*?)```", DOCS, re.DOTALL)
    with live_server(tmp_path) as live, live.client() as http:
        live.add_user("ada")
        secret = _client(live)
        for name, value in {
            "ISSUER": live.url,
            "AUDIENCE": live.url,
            "CLIENT_ID": API,
            "CLIENT_SECRET": secret,
        }.items():
            monkeypatch.setenv(name, value)
        made: dict[str, Any] = {}
        exec(compile(source, "orders.py", "exec"), made)
        tokens = live.sign_in(http)
        authorization = bearer(tokens["access_token"])
        with made["guard"], serving(made["app"]) as base:
            assert get(base, "/orders").status == 401
            assert get(base, "/orders", authorization).json() == {"orders of": "u_ada"}
            sign_out(http, tokens)
            until(lambda: get(base, "/orders", authorization).status == 401)


def _client(live: LiveServer) -> str:
    client, secret = new_client(API, now_ms=0)
    assert live.run(live.server.store.add_client(client))
    return secret.reveal()


def test_the_answer_of_the_docs_has_the_members_of_a_real_one(live: LiveServer, http: httpx2.Client) -> None:
    """The JSON that the docs show for the feed is of the shape that a server answers."""
    (shown,) = re.findall(r"```json\n(.*?)```", DOCS, re.DOTALL)
    sign_out(http, live.sign_in(http))
    real = http.get("/auth/revocations", auth=(API, add_client(live, API))).json()
    assert json.loads(shown).keys() == real.keys()
    assert json.loads(shown)["revoked"][0].keys() == real["revoked"][0].keys()
    assert json.loads(shown)["kept_seconds"] == real["kept_seconds"]
