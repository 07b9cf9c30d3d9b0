"""Options that many commands share, made from the definitions of the settings."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from evertoken.assembly import open_store
from evertoken.edge.settings import Settings, definitions
from evertoken.edge.settings.sources import load
from evertoken.store_address import shown
from evertoken.stores.opening import may_be_there
from evertoken.stores.store import Store

F = TypeVar("F", bound=Callable[..., Any])
T = TypeVar("T")

_CONFIG = click.option(
    "--config", type=click.Path(readable=False, path_type=Path), help="A TOML file with settings (EVERTOKEN_CONFIG)."
)


def every_setting(command: F) -> F:
    """A flag for every setting; `settings_of` reads them."""
    for definition in reversed(definitions()):
        shown = definition.shown_default()
        text = definition.help + (f"  [{shown}]" if shown and "Default:" not in definition.help else "")
        if definition.is_flag:
            flag = click.option(
                f"{definition.flag}/--no-{definition.flag[2:]}", definition.name, default=None, help=text
            )
        else:
            flag = click.option(
                definition.flag,
                definition.name,
                metavar=_metavar(definition.name),
                multiple=bool(definition.one),
                help=text,
            )
        command = flag(command)
    return _CONFIG(command)


def store_only(command: F) -> F:
    """--store, --users-store, --table-prefix and --config, for commands that look into a running installation."""
    where = click.option("--store", metavar="FILE|URL", help="Where the server keeps it all (EVERTOKEN_STORE).")
    users = click.option("--users-store", metavar="FILE|URL", help="As of `serve` (EVERTOKEN_USERS_STORE).")
    prefix = click.option("--table-prefix", metavar="TEXT", help="As of `serve` (EVERTOKEN_TABLE_PREFIX).")
    return _CONFIG(where(users(prefix(command))))


def settings_of(given: dict[str, Any]) -> Settings:
    """The settings, from the flags given, the environment and the file."""
    config = given.pop("config", None)
    flags = {name: _text(value) for name, value in given.items()}
    return load(flags, os.environ, file=config)


def with_store(
    given: dict[str, Any], work: Callable[[Store, Settings], Awaitable[T]], *, may_create: bool = False
) -> T:
    """
    Open the store of the settings, run `work`, close it.

    Args:
        may_create: Make the database where there is none. Else it must exist, so that a mistyped name makes none.
    """
    settings = settings_of(given)
    if not may_create and not may_be_there(settings.store):
        raise click.ClickException(f"there is no database at {shown(settings.store)}; name it with --store")

    async def run() -> T:
        store = open_store(settings, may_create=may_create)
        try:
            await store.start()
            return await work(store, settings)
        finally:
            await store.stop()

    return asyncio.run(run())


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):  # of a flag that may be repeated, and was not given when it is empty
        return ",".join(value) or None
    return value if value is None else str(value)


def _metavar(name: str) -> str:
    words = {
        "store": "FILE|URL",
        "users_store": "FILE|URL",
        "host": "ADDRESS",
        "port": "N",
        "issuer": "URL",
        "secret": "TEXT[,TEXT]",
    }
    words["dialects"] = "[PREFIX=]NAME|FILE"
    return words.get(name, "VALUE")
