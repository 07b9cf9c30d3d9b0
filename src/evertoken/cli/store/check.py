"""evertoken store check: reads a whole store and says what is wrong with it."""

import asyncio
import json
import sys
from dataclasses import asdict
from typing import Any

import click

from evertoken.cli.options import settings_of, store_only
from evertoken.cli.store.checking import findings
from evertoken.cli.store.progress import Shown
from evertoken.clock import system_clock
from evertoken.edge.settings import Settings
from evertoken.errors import EvertokenError
from evertoken.stores.copying.place import Trait


@click.command()
@click.option("--quick", is_flag=True, help="Leave out what reads every session.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@store_only
def check(quick: bool, as_json: bool, **given: Any) -> None:
    """
    Look at the store: is it reachable, durable, whole? Reads only.

    Ends with 1 if there is a fault. Give it the server's settings: EVERTOKEN_SECRET and the lifetimes count.
    """
    settings = settings_of(given)
    is_sound = asyncio.run(_check(settings, quick=quick, as_json=as_json))
    raise SystemExit(0 if is_sound else 1)


async def _check(settings: Settings, *, quick: bool, as_json: bool) -> bool:
    is_sound = True
    with Shown(sys.stderr, quiet=as_json) as progress:
        walked = 0

        def tell(seen: int, total: int) -> None:
            nonlocal walked
            if not walked:
                progress.begin("sessions", total)
            progress.advance(seen - walked)
            walked = seen

        try:
            async for trait in findings(settings, quick=quick, clock=system_clock, tell=tell):
                _say(trait, as_json=as_json)
                is_sound &= not trait.is_fault
        except EvertokenError as error:
            _say(Trait("store", str(error), "mend this first", is_fault=True), as_json=as_json)
            is_sound = False
    return is_sound


def _say(trait: Trait, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(asdict(trait)))
        return
    mark = "FAULT" if trait.is_fault else ("warn " if trait.wrong else "ok   ")
    click.echo(f"{mark}  {trait.part}: {trait.text}" + (f"; {trait.wrong}" if trait.wrong else ""))
