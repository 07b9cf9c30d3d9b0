"""examples/flask_app.py, run as its first lines say."""

from pathlib import Path

from tests.frameworks.wsgi_examples import environment, guards_as_promised, running
from tests.support.server import live_server


def test_the_flask_example_does_what_it_says(tmp_path: Path) -> None:
    """With `flask run`: open, guarded, async and admins' routes, and an ended session is refused on all of them."""
    with live_server(tmp_path) as live:
        live.add_user("ada")
        live.add_user("grace", roles=("admin",))
        command = ["-m", "flask", "--app", "flask_app", "run", "--port", "{port}", "--no-debugger", "--no-reload"]
        with running(command, env=environment(live), folder=tmp_path) as url:
            guards_as_promised(live, url, opened="/", plain=["/orders", "/reports"], for_admins=["/admin/orders"])
