"""The code of docs/frameworks.md about Starlette, FastAPI and Litestar is run as it stands there."""

import asyncio
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from evertoken.accounts.users import User
from evertoken.assembly import Server
from evertoken.secret import Secret
from tests.frameworks.asgi_serving import serving_asgi
from tests.readme.blocks import blocks_of
from tests.support.server import PASSWORD, client_at

PAGE = Path(__file__).parents[2] / "docs" / "frameworks.md"
CODE = {block.text.split("\n", 1)[0].removeprefix("# "): block.text for block in blocks_of(PAGE)}


@pytest.mark.parametrize(
    ("name", "api"), [("starlette_app.py", "/api"), ("fastapi_app.py", ""), ("litestar_app.py", "")]
)
def test_the_code_of_the_page_does_what_the_page_says(
    name: str, api: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Word for word: the server is in it, /reports wants a token, /everything an admin's."""
    monkeypatch.chdir(tmp_path)
    made = _module(tmp_path / name)
    server: Server = made.server
    with serving_asgi(made.app) as url, client_at(url) as http:
        hashed = server.hashing.hash_now(Secret(PASSWORD))
        for number, (username, roles) in enumerate((("ada", ()), ("grace", ("admin",)))):
            user = User(f"u-{number}", username, hashed, 0, False, roles, 0)
            _in_a_loop_of_its_own(server, user)
        bearing = {}
        for username in ("ada", "grace"):
            tokens = http.post("/auth/login", json={"username": username, "password": PASSWORD}).json()
            bearing[username] = {"Authorization": f"Bearer {tokens['access_token']}"}
        assert http.get(f"{api}/reports").json()["code"] == "token_invalid"
        assert http.get(f"{api}/reports", headers=bearing["ada"]).json() == {"reports for": "u-0"}
        assert http.get(f"{api}/everything", headers=bearing["ada"]).json()["code"] == "insufficient_rights"
        assert http.get(f"{api}/everything", headers=bearing["grace"]).status_code == 200
        assert http.post("/auth/logout", headers=bearing["ada"]).status_code == 204
        assert http.get(f"{api}/reports", headers=bearing["ada"]).status_code == 401


def _module(path: Path) -> Any:
    path.write_text(CODE[path.name], "utf-8")
    spec = importlib.util.spec_from_file_location(f"page_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    made = sys.modules[spec.name] = importlib.util.module_from_spec(spec)  # Litestar looks annotations up there
    try:
        spec.loader.exec_module(made)
    finally:
        del sys.modules[spec.name]
    return made


def _in_a_loop_of_its_own(server: Server, user: User) -> None:
    """The store works in threads of its own: any event loop may ask it."""
    asyncio.run(server.store.add_user(user))
