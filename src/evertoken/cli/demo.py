"""evertoken demo: a server with a demo user and short lifetimes, and a walk-through to paste."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from evertoken.accounts.users import UsernameTaken
from evertoken.assembly import build, open_store
from evertoken.cli.options import settings_of
from evertoken.cli.serve import run_server
from evertoken.cli.users import hash_of, new_user
from evertoken.cli.walkthrough import walkthrough
from evertoken.edge import logs
from evertoken.edge.settings import Settings
from evertoken.secret import Secret
from evertoken.web.demo_routes import CLAIMS_HOOK, DemoRoutes, DemoUser, LosesAnswers

USERNAME = "ada"
PASSWORD = "correct-horse-battery"  # noqa: S105 - printed by the demo, for a demo user


@click.command()
@click.option("--port", default="8000", show_default=True, help="Port to listen on.")
@click.option("--data", default="demo-data", show_default=True, help="Folder for the database and its secret.")
@click.option("--access", default="15", show_default=True, help="Access token lifetime in seconds.")
@click.option("--overlap", default="3", show_default=True, help="Overlap in seconds, at most the access lifetime.")
def demo(port: str, data: str, access: str, overlap: str) -> None:
    """Serve a demo on localhost, with the user ada: a page to play with, and commands to paste."""
    given: dict[str, Any] = {
        "port": port,
        "store": str(Path(data) / "evertoken.db"),
        "access_lifetime": access,
        "overlap": overlap,
        "log_level": "warning",
        "log_format": "text",
        "workers": "1",  # what the page breaks is kept in the process
        "pages": "true",
        "claims_hook": CLAIMS_HOOK,
    }
    settings = settings_of(given)
    logs.configure(level=settings.log_level, as_json=False)
    asyncio.run(_add_demo_user(settings))
    click.echo(walkthrough(settings.issuer_url, USERNAME, PASSWORD, _seconds(settings.access_lifetime)))
    run_server(settings, app_of=demo_app)


def demo_app(settings: Settings) -> LosesAnswers:
    """
    A server with the demo's page and routes.

    Raises:
        ConfigurationError: the server cannot start on these settings.
    """
    user = DemoUser(USERNAME, Secret(PASSWORD))
    server = build(settings, demo_routes=lambda services: DemoRoutes(services, user).routes())
    return LosesAnswers(server.app)


async def _add_demo_user(settings: Settings) -> None:
    store = open_store(settings)
    try:
        if await store.find_by_key(USERNAME) is None:
            await store.add_user(new_user(USERNAME, hash_of(Secret(PASSWORD), settings), ("admin",)))
    except UsernameTaken:
        pass  # another demo on the same folder was quicker
    finally:
        store.close()


def _seconds(duration: timedelta) -> str:
    return f"{duration.total_seconds():g}"
