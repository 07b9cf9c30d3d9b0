"""evertoken clients: the callers that may introspect tokens and follow revocations."""

from typing import Any

import click

from evertoken.accounts.clients import ClientRefused, new_client
from evertoken.cli.options import store_only, with_store
from evertoken.cli.show import table, when
from evertoken.clock import system_clock
from evertoken.edge.settings import Settings
from evertoken.stores.store import Store


@click.group()
def clients() -> None:
    """The callers that may introspect tokens and follow revocations."""


@clients.command("add")
@click.argument("client_id")
@store_only
def add(client_id: str, **given: Any) -> None:
    """Add a client; its secret is printed once and kept nowhere."""

    async def work(store: Store, _settings: Settings) -> None:
        try:
            client, secret = new_client(client_id, now_ms=system_clock())
        except ClientRefused as error:
            raise click.ClickException(str(error)) from error
        if not await store.add_client(client):
            raise click.ClickException(f"there is a client {client_id!r} already; remove it first")
        click.echo(f"client_id     {client.id}\nclient_secret {secret.reveal()}")

    with_store(given, work, may_create=True)


@clients.command("list")
@store_only
def list_(**given: Any) -> None:
    """List clients."""

    async def work(store: Store, _settings: Settings) -> None:
        rows = [(client.id, when(client.created_at_ms)) for client in await store.list_clients()]
        table(("client", "added"), rows)

    with_store(given, work)


@clients.command("remove")
@click.argument("client_id")
@store_only
def remove(client_id: str, **given: Any) -> None:
    """Remove a client; its secret is good for nothing from then on."""

    async def work(store: Store, _settings: Settings) -> None:
        if not await store.remove_client(client_id):
            raise click.ClickException(f"there is no client {client_id!r}; see: evertoken clients list")
        click.echo(f"removed {client_id}")

    with_store(given, work)
