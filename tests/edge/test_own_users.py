"""A host application brings its own user table."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from evertoken.accounts.users import User
from evertoken.errors import EvertokenError
from evertoken.secret import Secret
from tests.support.clock import MovingClock
from tests.support.server import LiveServer, live_server


class Table:
    """The application's own users: a dictionary, with passwords as it likes to keep them."""

    def __init__(self) -> None:
        self.users = {"ada": User("42", "ada", None, 0, False, ("staff",), 0)}
        self.passwords = {"ada": "an application's own password"}
        self.fails = False

    async def find_by_username(self, username: str) -> User | None:
        self._may_fail()
        return self.users.get(username)

    async def find_by_id(self, user_id: str) -> User | None:
        self._may_fail()
        return next((user for user in self.users.values() if user.id == user_id), None)

    async def verify_password(self, user: User | None, password: Secret) -> bool:
        return user is not None and self.passwords[user.username] == password.reveal()

    def change(self, **changes: object) -> None:
        """Change ada's row."""
        self.users["ada"] = replace(self.users["ada"], **changes)  # type: ignore[arg-type]

    def _may_fail(self) -> None:
        if self.fails:
            raise RuntimeError("the application's database is down")


TABLE = Table()


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Table:
    """A fresh table, under the name that the setting user_directory gives."""
    fresh = Table()
    monkeypatch.setattr("tests.edge.test_own_users.TABLE", fresh)
    return fresh


@pytest.fixture
def live(tmp_path: Path, clock: MovingClock, table: Table) -> Iterator[LiveServer]:
    """A server over that table."""
    with live_server(tmp_path, clock=clock, user_directory="tests.edge.test_own_users:TABLE") as running:
        yield running


@pytest.fixture
def tokens(live: LiveServer, http: httpx2.Client, table: Table) -> dict[str, str]:
    """Ada, signed in."""
    return live.sign_in(http, password=table.passwords["ada"])


def _refresh(http: httpx2.Client, tokens: dict[str, str]) -> httpx2.Response:
    return http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})


def test_users_of_the_application_sign_in_and_refresh(http: httpx2.Client, tokens: dict[str, str]) -> None:
    """The application's user id, name and roles stand in the access token, and a refresh works."""
    renewed = _refresh(http, tokens).json()
    claims = http.get("/auth/me", headers={"Authorization": f"Bearer {renewed['access_token']}"}).json()
    assert (claims["sub"], claims["preferred_username"], claims["roles"]) == ("42", "ada", ["staff"])


def test_a_wrong_password_is_refused_by_the_application(http: httpx2.Client, live: LiveServer) -> None:
    """What the application's check says decides."""
    answer = http.post("/auth/login", json={"username": "ada", "password": "something else entirely"})
    assert answer.json()["code"] == "bad_credentials"


def test_new_roles_of_the_application_arrive_with_a_refresh(
    http: httpx2.Client, live: LiveServer, tokens: dict[str, str], table: Table
) -> None:
    """A role given in the application's table is in the access token two seconds later."""
    _refresh(http, tokens)
    table.change(roles=("admin",))
    live.clock.advance(2)
    renewed = _refresh(http, tokens).json()
    claims = http.get("/auth/me", headers={"Authorization": f"Bearer {renewed['access_token']}"}).json()
    assert claims["roles"] == ["admin"]


@pytest.mark.parametrize(
    ("changes", "reason"), [({"disabled": True}, "account_disabled"), ({"epoch": 1}, "password_changed")]
)
def test_disabling_or_raising_the_epoch_in_the_application_ends_sessions(
    http: httpx2.Client,
    live: LiveServer,
    tokens: dict[str, str],
    table: Table,
    changes: dict[str, object],
    reason: str,
) -> None:
    """Two seconds after the application changed its row, the session is over with the fitting reason."""
    assert _refresh(http, tokens).status_code == 200
    table.change(**changes)
    live.clock.advance(2)
    assert _refresh(http, tokens).json()["reason"] == reason


def test_a_sign_in_just_after_the_epoch_moved_is_not_ended_by_what_was_remembered(
    http: httpx2.Client, live: LiveServer, tokens: dict[str, str], table: Table
) -> None:
    """An old session is remembered at the old epoch; a new sign-in within two seconds refreshes all the same."""
    assert _refresh(http, tokens).status_code == 200
    table.change(epoch=1)
    renewed = live.sign_in(http, password=table.passwords["ada"])
    assert _refresh(http, renewed).status_code == 200
    assert _refresh(http, tokens).json()["reason"] == "password_changed"


def test_a_user_who_was_deleted_has_no_session_any_more(
    http: httpx2.Client, live: LiveServer, tokens: dict[str, str], table: Table
) -> None:
    """A session whose user is gone from the application's table is over."""
    table.users.clear()
    live.clock.advance(2)
    assert _refresh(http, tokens).json()["reason"] == "account_disabled"


def test_nobody_is_signed_out_while_the_application_is_down(
    http: httpx2.Client, live: LiveServer, tokens: dict[str, str], table: Table
) -> None:
    """When the application's table cannot be asked, sign-in and refresh answer 503, and both work again afterwards."""
    table.fails = True
    live.clock.advance(2)
    refused = _refresh(http, tokens)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
    body = {"username": "ada", "password": table.passwords["ada"]}
    assert http.post("/auth/login", json=body).status_code == 503
    table.fails = False
    assert _refresh(http, tokens).status_code == 200
    assert http.post("/auth/login", json=body).status_code == 200


def test_faults_of_the_application_are_not_counted_as_wrong_passwords(
    http: httpx2.Client, live: LiveServer, table: Table
) -> None:
    """Twenty sign-ins during an outage leave the right password unthrottled."""
    table.fails = True
    body = {"username": "ada", "password": table.passwords["ada"]}
    assert {http.post("/auth/login", json=body).status_code for _ in range(20)} == {503}
    table.fails = False
    assert http.post("/auth/login", json=body).status_code == 200


def test_passwords_of_the_application_are_not_changed_here(http: httpx2.Client, tokens: dict[str, str]) -> None:
    """POST /auth/password is not there when the application keeps the passwords."""
    answer = http.post(
        "/auth/password",
        json={"current_password": "an application's own password", "new_password": "a brand new long password"},
        headers={"Authorization": f"Bearer {tokens['access_token']}"},
    )
    assert answer.status_code == 404


def test_a_user_directory_that_cannot_be_imported_is_told_at_start(tmp_path: Path) -> None:
    """A mistyped user_directory stops the server with a message that names the setting."""
    with (
        pytest.raises(EvertokenError, match="user_directory: cannot import"),
        live_server(tmp_path, user_directory="tests.edge.test_own_users:NOBODY"),
    ):
        pass
