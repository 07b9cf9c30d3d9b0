"""The code of docs/frameworks.md about Flask and Django is run as it stands there."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.edge.attacking import bearer, get
from tests.frameworks.wsgi_examples import environment, guards_as_promised, once_followed, running
from tests.support.process import environment_of
from tests.support.server import LiveServer, live_server

PAGE: Final = Path(__file__).parents[2] / "docs" / "frameworks.md"


def block(name: str) -> str:
    """The block of code whose first line is the name of its file."""
    (found,) = re.findall(rf"^```python\n# {re.escape(name)}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert isinstance(found, str)
    return found


def people(live: LiveServer) -> dict[str, str]:
    live.add_user("ada")
    live.add_user("grace", roles=("admin",))
    return environment(live) | {"AUDIENCE": live.url}


def test_the_flask_of_the_docs_does_what_they_say(tmp_path: Path) -> None:
    """Functions, async functions and a blueprint behind the guard."""
    (tmp_path / "flask_app.py").write_text(block("flask_app.py"))
    command = ["-m", "flask", "--app", "flask_app", "run", "--port", "{port}", "--no-debugger", "--no-reload"]
    with (
        live_server(tmp_path) as live,
        running(command, env=people(live), folder=tmp_path, within=tmp_path) as url,
    ):
        guards_as_promised(live, url, opened=None, plain=["/reports"], for_admins=["/everything", "/admin/users"])


@pytest.fixture
def mysite(tmp_path: Path) -> Path:
    """What `django-admin startproject` makes, with what the docs add to it."""
    made = tmp_path / "project"
    made.mkdir()
    django = [sys.executable, "-m", "django", "startproject", "mysite", str(made)]
    subprocess.run(django, env=environment_of(), check=True, timeout=60)
    with (made / "mysite" / "settings.py").open("a") as settings:
        settings.write(block("settings.py"))
    routes = "from api import Everything as Every, Reports\n" + block("urls.py")
    routes += 'urlpatterns += [path("api/reports", Reports.as_view()), path("api/everything", Every.as_view())]\n'
    (made / "mysite" / "urls.py").write_text(routes)
    for name in ("users.py", "api.py"):
        (made / name).write_text(block(name))
    return made


def _manage(mysite: Path, env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=mysite,
        env=environment_of(env),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_django_of_the_docs_does_what_they_say(mysite: Path, tmp_path: Path) -> None:
    """A project as Django makes it, with the docs' settings: users by the tokens' names, views and REST views."""
    with live_server(tmp_path) as live:
        env = people(live)
        live.add_user("stranger")
        assert _manage(mysite, env, "migrate").returncode == 0
        for name in ("ada", "grace"):
            made = _manage(mysite, env, "createsuperuser", "--noinput", "--username", name, "--email", "a@b.example")
            assert "created" in made.stdout or "password" in made.stderr.lower(), made.stderr
        told = _manage(mysite, env, "check")
        assert (told.returncode, "no issues" in told.stdout) == (0, True), told.stderr
        found = _manage(mysite, env, "evertoken_guard")
        assert "revocations: followed" in found.stdout, found.stderr
        command = ["manage.py", "runserver", "{port}", "--noreload"]
        with running(command, env=env, folder=tmp_path, within=mysite) as url:
            with live.client() as client:
                ada, stranger = (live.sign_in(client, name)["access_token"] for name in ("ada", "stranger"))
            for path in ("/reports", "/api/reports"):
                answer = once_followed(url, path, ada)
                assert answer.json() == {"reports for": "u_ada", "user": "ada"}
                assert get(url, path, bearer(stranger)).status == 403
            assert get(url, "/admin/login/").status == 404  # PUBLIC, and the docs' urls.py has no such route
            guards_as_promised(
                live,
                url,
                opened="/healthz",
                plain=["/reports", "/api/reports"],
                for_admins=["/everything", "/api/everything"],
            )
