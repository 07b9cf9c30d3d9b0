"""A refresh token in a URL is written down by nobody of ours."""

import http.client
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.dialects.server.pages import PAGES, found
from tests.support.process import ServerProcess, add_users
from tests.support.server import PASSWORD


def ask(server: ServerProcess, method: str, path: str, body: str = "", **headers: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
    try:
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_no_log_line_holds_a_query_or_a_token(tmp_path: Path) -> None:
    """
    A real server at its most talkative, good and bad refreshes by URL, also with what the parser itself refuses: its
    log, which is all that it writes, has neither a token nor a query.
    """
    add_users(tmp_path / "evertoken.db", "ada")
    names = [name for name, page in PAGES.items() if page.refresh.place == "query"]
    variables = {"EVERTOKEN_DIALECTS": ",".join(f"/{name}={name}" for name in names)}
    settings: dict[str, Any] = {"log_level": "debug", "log_format": "text", "allow_token_in_url": True}
    seen: set[str] = set()
    with ServerProcess(tmp_path, environment=variables, **settings) as server:
        for name in names:
            page = PAGES[name]
            body = json.dumps({"username": "ada", "password": PASSWORD})
            status, raw = ask(server, "POST", f"/{name}{page.login}", body, **{"Content-Type": "application/json"})
            assert status == 200
            token = found(json.loads(raw), page.refresh_at)
            path = f"/{name}{page.refresh.path}?{urlencode({page.refresh.name: token})}"
            assert ask(server, page.refresh.method, path)[0] == 200
            for method, bad in (
                (page.refresh.method, path[:-1]),
                (page.refresh.method, f"{path}&{page.refresh.name}=again"),
                ("PATCH", path),
                ("HEAD", path),
                (page.refresh.method, path.replace("refresh?", "nowhere?")),
                (page.refresh.method, path + "&more=" + "x" * 40_000),
            ):
                assert 200 <= ask(server, method, bad)[0] < 500
            seen |= {token, page.refresh.name + "="}
    said = server.stderr + server.stdout
    assert "carries the refresh token in the URL" in said and "sign_in" in said
    assert not [secret for secret in seen if secret in said]
    assert "etr_" not in said and "[masked]" not in said and "?" not in said
