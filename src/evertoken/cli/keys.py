"""evertoken keys: the keys that sign access tokens."""

from datetime import timedelta
from typing import Any

import click

from evertoken.assembly import open_keys, open_secrets
from evertoken.cli.options import every_setting, store_only, with_store
from evertoken.cli.show import how_long, table, when
from evertoken.cli.users import OPERATOR
from evertoken.edge.settings import LEAST_ANNOUNCE_SECONDS, Settings, milliseconds, parsing
from evertoken.sessions.keys import key_states
from evertoken.sessions.model import Event, EventKind
from evertoken.stores.store import Store


@click.group()
def keys() -> None:
    """The keys that sign access tokens."""


@keys.command("list")
@store_only
def list_(**given: Any) -> None:
    """List signing keys and what each does now."""

    async def work(store: Store, _settings: Settings) -> None:
        now_ms = await store.now_ms()
        stored = await store.list_keys()
        rows = [
            (
                key.kid,
                key.algorithm,
                state.value,
                "the first start" if key.signs_from_ms == 0 else when(key.signs_from_ms),
                when(key.verifies_until_ms),
            )
            for key, state in zip(stored, key_states(stored, now_ms=now_ms), strict=True)
        ]
        table(("key", "algorithm", "state", "signs from", "verifies until"), rows)

    with_store(given, work)


@keys.command("rotate")
@click.option("--announce", metavar="DURATION", help="How long to publish the new key before it signs (key_announce).")
@every_setting
def rotate(announce: str | None, **given: Any) -> None:
    """
    Make a new key; it is announced now and signs once every guard can know it.

    Run it with the server's own settings: its secret, algorithm and access lifetime count.
    """

    async def work(store: Store, settings: Settings) -> None:
        keeper = open_keys(settings, store, open_secrets(settings))
        now_ms = await store.now_ms()  # by which all machines go, whatever this one's clock says
        await keeper.start(now_ms=now_ms)
        before = keeper.signing_key(now_ms=now_ms).algorithm
        if before is not settings.algorithm:
            click.echo(f"note: this changes the algorithm from {before} to {settings.algorithm}", err=True)
        announce_ms = milliseconds(_duration(announce) if announce else settings.key_announce)
        key = await keeper.rotate(now_ms=now_ms, announce_ms=announce_ms)
        await store.record(Event(EventKind.KEY_ROTATED, now_ms, caller=OPERATOR, detail={"kid": key.kid}))
        click.echo(f"{key.kid} ({key.algorithm}) is published and signs in {how_long(announce_ms)}")

    with_store(given, work)


def _duration(text: str) -> timedelta:
    try:
        return parsing.duration(LEAST_ANNOUNCE_SECONDS)(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--announce") from error
