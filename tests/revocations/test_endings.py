"""Every way in which a session can end arrives in the feed, over HTTP, while somebody waits."""

from collections.abc import Callable
from typing import Any

import httpx2
import pytest

from evertoken.sessions.model import Caller, session_id_bytes
from evertoken.sessions.rotation import Reason
from tests.edge.attacking import RIPE_SECONDS, browser_sign_in
from tests.revocations.asking import WITHIN_SECONDS, Asker, Waits, told
from tests.support.server import PASSWORD, LiveServer

Tokens = dict[str, Any]


class Stage:
    """Ada's session, her operator's, and a client to speak with."""

    def __init__(self, live: LiveServer, http: httpx2.Client) -> None:
        self.live, self.http = live, http
        live.add_user("root", roles=("admin",))
        self.ada = live.sign_in(http)
        self.root = live.sign_in(http, "root")

    def as_ada(self, method: str, path: str, **request: Any) -> httpx2.Response:
        return self._sent(self.ada, method, path, **request)

    def as_root(self, method: str, path: str, **request: Any) -> httpx2.Response:
        return self._sent(self.root, method, path, **request)

    def _sent(self, tokens: Tokens, method: str, path: str, **request: Any) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        answer = self.http.request(method, path, headers=headers, **request)
        assert answer.status_code < 300, answer.text
        return answer


@pytest.fixture
def stage(live: LiveServer, http: httpx2.Client) -> Stage:
    return Stage(live, http)


def sign_out(stage: Stage) -> None:
    stage.as_ada("POST", "/auth/logout")


def sign_out_everywhere(stage: Stage) -> None:
    stage.as_ada("DELETE", "/auth/sessions")


def end_own_session(stage: Stage) -> None:
    stage.as_ada("DELETE", f"/auth/sessions/{stage.ada['session_id']}")


def change_password_elsewhere(stage: Stage) -> None:
    other = stage.live.sign_in(stage.http)
    change = {"current_password": PASSWORD, "new_password": "violet-anchor-stapler"}
    stage._sent(other, "POST", "/auth/password", json=change)


def disable_account(stage: Stage) -> None:
    stage.as_root("POST", "/admin/users/u_ada/disable")


def admin_ends_session(stage: Stage) -> None:
    stage.as_root("DELETE", f"/admin/sessions/{stage.ada['session_id']}")


def admin_ends_all(stage: Stage) -> None:
    stage.as_root("DELETE", "/admin/users/u_ada/sessions")


def oauth_revoke(stage: Stage) -> None:
    answer = stage.http.post("/oauth/revoke", data={"token": stage.ada["refresh_token"]})
    assert answer.status_code == 200


def replay(stage: Stage) -> None:
    """The old token, ripe, after its successor has counted."""
    first = stage.ada["refresh_token"]
    stage.live.clock.advance(RIPE_SECONDS)
    second = _refreshed(stage, first, 200)["refresh_token"]
    stage.live.clock.advance(RIPE_SECONDS)
    _refreshed(stage, second, 200)
    stage.live.clock.advance(RIPE_SECONDS)
    assert _refreshed(stage, first, 401)["reason"] == "replayed"


def _refreshed(stage: Stage, token: str, status: int) -> Tokens:
    answer = stage.http.post("/auth/refresh", json={"refresh_token": token})
    assert answer.status_code == status, answer.text
    found: Tokens = answer.json()
    return found


def from_another_process(stage: Stage) -> None:
    """As `evertoken sessions revoke` does it: in the store, without a word to this server."""
    session_id = session_id_bytes(stage.ada["session_id"]) or b""
    stage.live.run(stage.live.server.store.end(session_id, Reason.REVOKED, Caller()))


ENDINGS: list[Callable[[Stage], None]] = [
    sign_out,
    sign_out_everywhere,
    end_own_session,
    change_password_elsewhere,
    disable_account,
    admin_ends_session,
    admin_ends_all,
    oauth_revoke,
    replay,
    from_another_process,
]


@pytest.mark.parametrize("end", ENDINGS, ids=lambda end: end.__name__)
def test_every_end_of_a_session_arrives(stage: Stage, asker: Asker, waits: Waits, end: Callable[[Stage], None]) -> None:
    """Sign-out here and everywhere, a new password, a disabled account, an operator, a replay: guards hear of each."""
    cursor = asker.ask()["cursor"]
    poll = asker.waits(after=cursor)
    waits.begun()
    end(stage)
    seen = told(poll.result(WITHIN_SECONDS))
    assert stage.ada["session_id"] in seen
    assert stage.root["session_id"] not in seen


def test_a_sign_in_over_another_in_one_browser_ends_the_first(live: LiveServer, asker: Asker, waits: Waits) -> None:
    """The session whose cookie came along with a new sign-in is over, and guards hear of it."""
    first = browser_sign_in(live, "ada", PASSWORD)
    poll = asker.waits(after=asker.ask()["cursor"])
    waits.begun()
    browser_sign_in(live, "ada", PASSWORD, first.cookie)
    assert told(poll.result(WITHIN_SECONDS)) == [first.session_id]


def test_a_refresh_ends_nothing(live: LiveServer, http: httpx2.Client, asker: Asker) -> None:
    """The counter-proof: a session that goes on is not told."""
    tokens = live.sign_in(http)
    cursor = asker.ask()["cursor"]
    assert http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]}).status_code == 200
    live.run(live.server.background.follow())
    assert asker.ask(after=cursor)["revoked"] == []
