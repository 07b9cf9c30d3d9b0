"""evertoken store migrate: brings the tables to this version."""

import asyncio
from typing import Any

import click

from evertoken.assembly import open_store
from evertoken.cli.options import settings_of, store_only
from evertoken.edge.settings import Settings
from evertoken.errors import EvertokenError
from evertoken.store_address import shown
from evertoken.stores.copying.opening import open_place
from evertoken.stores.copying.place import CopyRefused, Version
from evertoken.stores.opening import may_be_there


@click.command()
@store_only
def migrate(**given: Any) -> None:
    """
    Bring the store's tables to this version of evertoken, forward only.

    `serve` does it too when it starts. It may be done before, beside servers of the version before: on a database
    server the older ones go on.
    """
    settings = settings_of(given)
    for location in filter(None, (settings.store, settings.users_store)):
        if not may_be_there(location):
            raise click.ClickException(f"there is no database at {shown(location)}; `evertoken serve` makes one")
    for line in asyncio.run(_migrate(settings)):
        click.echo(line)


async def _migrate(settings: Settings) -> list[str]:
    places = list(filter(None, (settings.store, settings.users_store)))
    before = [await _version(settings, location) for location in places]
    store = open_store(settings)
    try:
        await store.start()
    finally:
        await store.stop()
    after = [await _version(settings, location) for location in places]
    return [_told(*one) for one in zip(places, before, after, strict=True)]


async def _version(settings: Settings, location: str) -> Version | None:
    """None where an engine does not tell."""
    try:
        place = await open_place(location, table_prefix=settings.table_prefix, writes=False)
    except CopyRefused:
        return None
    try:
        return await place.version()
    except EvertokenError:
        return None
    finally:
        await place.close()


def _told(location: str, before: Version | None, after: Version | None) -> str:
    where = shown(location)
    if before is None or after is None:
        return f"{where} is of this version now"
    if before.found == after.found:
        return f"{where} is of version {after.found} already; there is nothing to do"
    return f"{where} was brought from {'nothing' if before.found is None else before.found} to version {after.found}"
