"""examples/django_app.py, run as its first lines say."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.frameworks.wsgi_examples import EXAMPLES, environment, guards_as_promised, running
from tests.support.process import environment_of
from tests.support.server import live_server

SERVERS = {
    "runserver": ["django_app.py", "runserver", "{port}", "--noreload"],
    "uvicorn": ["-m", "uvicorn", "django_app:asgi", "--port", "{port}", "--lifespan", "off"],
}


@pytest.mark.parametrize("server", SERVERS)
def test_the_django_example_does_what_it_says(server: str, tmp_path: Path) -> None:
    """Over WSGI and ASGI: a guarded project, an admins' view, REST views; an ended session is refused on all."""
    with live_server(tmp_path) as live:
        live.add_user("ada")
        live.add_user("grace", roles=("admin",))
        with running(SERVERS[server], env=environment(live), folder=tmp_path) as url:
            guards_as_promised(
                live,
                url,
                opened="/healthz",
                plain=["/orders", "/api/reports"],
                for_admins=["/admin/orders", "/api/admin/reports"],
            )


def test_the_django_example_is_checked_without_a_server() -> None:
    """`check` passes with an issuer that nobody answers for, and names what is wrong with a setting."""
    good = {"ISSUER": "https://auth.example", "CLIENT_ID": "orders", "CLIENT_SECRET": "ecs_x"}
    for wrong, status, says in (({}, 0, "no issues"), ({"ISSUER": "ftp://x"}, 1, "EVERTOKEN['ISSUER']")):
        ran = subprocess.run(
            [sys.executable, "django_app.py", "check"],
            cwd=EXAMPLES,
            env=environment_of(good | wrong),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (ran.returncode, says in ran.stdout + ran.stderr) == (status, True), ran.stdout + ran.stderr
