"""evertoken in the host application's own database, with its own users: the example, and the Django of the docs."""

import contextlib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.frameworks.asgi_examples import EXAMPLES, running
from tests.readme.blocks import blocks_of
from tests.stores.faults import locked_by_another_process
from tests.support.process import ServerProcess, environment_of, lasting_port
from tests.support.server import PASSWORD, client_at

PAGE = Path(__file__).parents[2] / "docs" / "one-database.md"
CODE = {block.text.split("\n", 1)[0].removeprefix("# "): block.text for block in blocks_of(PAGE)}
REMEMBERED_SECONDS = 2.0


def _refresh(http: httpx2.Client, tokens: dict[str, Any]) -> httpx2.Response:
    return http.post("/auth/refresh", json={"refresh_token": tokens["refresh_token"]})


def _bearing(tokens: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens['access_token']}"}


def _sign_in(http: httpx2.Client, username: str = "ada", password: str = PASSWORD) -> dict[str, Any]:
    answer = http.post("/auth/login", json={"username": username, "password": password})
    assert answer.status_code == 200, answer.text
    tokens: dict[str, Any] = answer.json()
    return tokens


def _ends(http: httpx2.Client, tokens: dict[str, Any], reason: str) -> None:
    """The session's refreshes are refused within the time that is promised, and a little for the machine."""
    give_up_at = time.monotonic() + REMEMBERED_SECONDS + 10
    while _refresh(http, tokens).status_code != 401:
        assert time.monotonic() < give_up_at
        time.sleep(0.02)  # a server in a process of its own looks into the database again when it does
    assert _refresh(http, tokens).json()["reason"] == reason


def _python(folder: Path, *arguments: str, env: dict[str, str] | None = None) -> str:
    ran = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment_of(env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


# SQLAlchemy, FastAPI and the whole server in one process


@pytest.fixture
def orders(tmp_path: Path) -> Iterator[httpx2.Client]:
    """The example as its first lines start it, with the user ada."""
    folder = EXAMPLES / "one_database"
    env = {"EVERTOKEN_PORT": str(lasting_port()), "DATABASE": str(tmp_path / "app.db")}
    _python(folder, "-c", f"import people; people.add('ada', {PASSWORD!r})", env=env)
    with (
        running("app", folder, env, tmp_path / "output.txt") as url,
        client_at(url, timeout=20) as http,
    ):
        yield http


def test_one_file_holds_the_applications_orders_and_users_and_our_sessions(
    orders: httpx2.Client, tmp_path: Path
) -> None:
    """The password is checked in the application's table, the session begins in ours, a user deleted there has none."""
    wrong = orders.post("/auth/login", json={"username": "ada", "password": "something else entirely"})
    assert wrong.json()["code"] == "bad_credentials"
    tokens = _sign_in(orders, "ADA")
    assert orders.post("/orders/tea", headers=_bearing(tokens)).status_code == 201
    renewed = _refresh(orders, tokens)
    assert orders.get("/orders", headers=_bearing(renewed.json())).json() == ["tea"]
    with contextlib.closing(sqlite3.connect(tmp_path / "app.db")) as database:
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert {"users", "orders", "evertoken_users", "evertoken_sessions"} <= tables
        counts = [database.execute(f"SELECT count(*) FROM {name}").fetchone()[0] for name in ("users", "orders")]
        ours = [
            database.execute(f"SELECT count(*) FROM evertoken_{name}").fetchone()[0] for name in ("users", "sessions")
        ]
    assert (counts, ours) == ([1, 1], [0, 1])
    assert orders.delete("/me", headers=_bearing(renewed.json())).status_code == 204
    _ends(orders, tokens, "account_disabled")
    assert orders.post("/auth/login", json={"username": "ada", "password": PASSWORD}).status_code == 401


def test_a_user_locked_in_the_applications_table_refreshes_no_more(orders: httpx2.Client, tmp_path: Path) -> None:
    """Whatever program writes the row: within two seconds refreshes are refused, and so is a sign-in."""
    tokens = _sign_in(orders)
    assert _refresh(orders, tokens).status_code == 200
    with contextlib.closing(sqlite3.connect(tmp_path / "app.db")) as elsewhere, elsewhere:
        elsewhere.execute("UPDATE users SET locked = 1")
    _ends(orders, tokens, "account_disabled")
    assert orders.post("/auth/login", json={"username": "ada", "password": PASSWORD}).status_code == 401


def test_a_write_of_the_application_that_stays_open_signs_nobody_out(orders: httpx2.Client, tmp_path: Path) -> None:
    """Refreshes wait for it, then are told to come again; guarded reads go on; the session is as it was."""
    tokens = _sign_in(orders)
    assert orders.post("/orders/tea", headers=_bearing(tokens)).status_code == 201
    with locked_by_another_process(tmp_path / "app.db"):
        refused = _refresh(orders, tokens)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert int(refused.headers["retry-after"]) >= 1
        assert orders.get("/orders", headers=_bearing(tokens)).json() == ["tea"]
        assert orders.get("/auth/me", headers=_bearing(tokens)).status_code == 200
    assert _refresh(orders, tokens).status_code == 200


# Django in a process of its own


@pytest.fixture
def mysite(tmp_path: Path) -> Path:
    """What `django-admin startproject` makes, with what the page adds, migrated, and with the user ada."""
    made = tmp_path / "project"
    made.mkdir()
    _python(made, "-m", "django", "startproject", "mysite", str(made))
    with (made / "mysite" / "settings.py").open("a") as settings:
        settings.write(CODE["settings.py"])
    (made / "evertoken_users.py").write_text(CODE["evertoken_users.py"])
    _python(made, "manage.py", "migrate")
    _in_django(made, f"User.objects.create_user('ada', password={PASSWORD!r}).groups.create(name='chief editors')")
    return made


def _in_django(mysite: Path, code: str) -> str:
    return _python(mysite, "manage.py", "shell", "-c", f"from django.contrib.auth.models import User; {code}")


def _of_django(mysite: Path) -> list[Any]:
    with contextlib.closing(sqlite3.connect(mysite / "db.sqlite3")) as database:
        tables = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE '%evertoken%' ORDER BY name"
        found: list[Any] = database.execute(tables).fetchall()
        return found + [database.execute(f"PRAGMA {name}").fetchone() for name in ("user_version", "application_id")]


def test_the_django_of_the_page_shares_its_file_and_its_users(mysite: Path) -> None:
    """Sign-in by Django's password, groups as roles; a new password, an inactive or a deleted user ends sessions."""
    before = _of_django(mysite)
    told = {"EVERTOKEN_TABLE_PREFIX": "evertoken_", "EVERTOKEN_USER_DIRECTORY": "evertoken_users:users"}
    told |= {"PYTHONPATH": str(mysite)}
    with (
        ServerProcess(mysite, environment=told, store=mysite / "db.sqlite3") as server,
        client_at(server.url, timeout=20) as http,
    ):
        tokens = _sign_in(http)
        claims = http.get("/auth/me", headers=_bearing(tokens)).json()
        assert (claims["preferred_username"], claims["roles"]) == ("ada", ["chief-editors"])
        assert _refresh(http, tokens).status_code == 200
        for username in ("bob", "", "a\0b", "\ud800", "x" * 1_000):
            refused = http.post(
                "/auth/login",
                content=f'{{"username": {_as_json(username)}, "password": "something"}}',
                headers={"Content-Type": "application/json"},
            )
            assert refused.status_code in {400, 401}, (username[:5], refused.text)

        _in_django(mysite, "u = User.objects.get(); u.set_password('another-good-password'); u.save()")
        _ends(http, tokens, "password_changed")
        tokens = _sign_in(http, password="another-good-password")
        _in_django(mysite, "User.objects.update(is_active=False)")
        _ends(http, tokens, "account_disabled")
        _in_django(mysite, "User.objects.update(is_active=True)")
        tokens = _sign_in(http, password="another-good-password")
        _in_django(mysite, "User.objects.all().delete()")
        _ends(http, tokens, "account_disabled")

        assert _of_django(mysite) == before
        _python(mysite, "manage.py", "migrate", "auth", "0011")
        _python(mysite, "manage.py", "migrate")
        assert "No changes detected" in _python(mysite, "manage.py", "makemigrations", "--check", "--dry-run")
        _python(mysite, "manage.py", "flush", "--noinput")
        _in_django(mysite, f"User.objects.create_user('grace', password={PASSWORD!r})")
        assert _refresh(http, _sign_in(http, "grace")).status_code == 200
        ended = http.get("/auth/sessions", headers=_bearing(_sign_in(http, "grace")))
        assert ended.status_code == 200
        assert "is in WAL mode from now on" in server.stderr


def _as_json(text: str) -> str:
    return '"' + "".join(f"\\u{ord(character):04x}" for character in text) + '"'


def test_a_database_of_the_applications_is_not_taken_for_our_own(mysite: Path) -> None:
    """Whoever forgets the prefix is told of it, and the file stays as it was."""
    database = mysite / "db.sqlite3"
    before = database.read_bytes()
    ran = subprocess.run(
        [Path(sys.executable).with_name("evertoken"), "sessions", "list", "--store", database],
        env=environment_of(),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode != 0
    assert "set table_prefix to share it" in ran.stderr + ran.stdout
    assert database.read_bytes() == before
