"""The examples of Starlette, FastAPI and Litestar, run as their first lines say."""

from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.frameworks.asgi_examples import running_whole
from tests.frameworks.wsgi_examples import environment, guards_as_promised, running
from tests.support.server import PASSWORD, client_at, live_server


def _signed_in(http: httpx2.Client, username: str) -> dict[str, Any]:
    answer = http.post("/auth/login", json={"username": username, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


def _bearing(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


@pytest.mark.parametrize(("module", "api"), [("fastapi_app", ""), ("starlette_app", "/api")])
def test_an_example_that_holds_the_whole_server_does_what_it_says(module: str, api: str, tmp_path: Path) -> None:
    """Sign-in, guarded and admins' routes, refresh and sign-out, in one process and on one port."""
    with running_whole(module, tmp_path) as url, client_at(url) as http:
        assert http.get(api + "/").status_code == 200
        ada, grace = _signed_in(http, "ada"), _signed_in(http, "grace")
        assert [http.get(api + path).status_code for path in ("/reports", "/everything")] == [401, 401]
        assert http.get(f"{api}/reports", headers=_bearing(ada)).json()["reports for"]
        answer = http.get(f"{api}/everything", headers=_bearing(ada))
        assert (answer.status_code, answer.json()["code"]) == (403, "insufficient_rights")
        assert http.get(f"{api}/everything", headers=_bearing(grace)).status_code == 200
        renewed = http.post("/auth/refresh", json={"refresh_token": ada["refresh_token"]}).json()
        assert http.get(f"{api}/reports", headers=_bearing(renewed)).status_code == 200
        old = {"Authorization": "Bearer of-another-time"}  # the guard in front of our routes is none of its business
        assert http.post("/auth/refresh", json={"refresh_token": "x"}, headers=old).json()["code"] == "token_invalid"
        assert http.post("/auth/login", json={"username": "ada", "password": PASSWORD}, headers=old).status_code == 200
        assert http.post("/auth/logout", headers=_bearing(renewed)).status_code == 204
        assert http.get(f"{api}/reports", headers=_bearing(renewed)).status_code == 401
        assert http.get(f"{api}/everything", headers=_bearing(grace)).status_code == 200
        assert http.get("/sessions").headers["content-type"].startswith("text/html")


def test_the_starlette_example_knows_whom_it_greets(tmp_path: Path) -> None:
    """An open route knows the user where there is one."""
    with running_whole("starlette_app", tmp_path) as url, client_at(url) as http:
        assert http.get("/api/").json() == {"hello": "somebody"}
        assert http.get("/api/", headers=_bearing(_signed_in(http, "ada"))).json() == {"hello": "ada"}


def test_the_litestar_example_does_what_it_says(tmp_path: Path) -> None:
    """In another process, knowing the issuer's address and a credential: guards, and hears of an ended session."""
    with live_server(tmp_path) as live:
        live.add_user("ada")
        live.add_user("grace", roles=("admin",))
        command = ["-m", "uvicorn", "litestar_app:app", "--port", "{port}", "--no-access-log"]
        with running(command, env=environment(live), folder=tmp_path) as url:
            assert httpx2.get(url + "/schema/openapi.json").json()["components"]["securitySchemes"]["evertoken"]
            guards_as_promised(live, url, opened="/", plain=["/orders"], for_admins=["/all-orders"])
