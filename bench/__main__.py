"""`python -m bench`: measure, and print the figures."""

import argparse
import shutil
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

import uvloop

from bench import (
    breakdown,
    clients,
    flood,
    guards,
    revocation,
    stores_mysql,
    stores_postgresql,
    stores_redis,
    stores_sqlite,
)
from bench.beside import comparing
from bench.disk import folder_on_a_disk
from bench.effort import FULL, QUICK, TINY, Effort, cores, pin
from bench.report import Section, render
from evertoken.edge import logs


async def _stores(folder: Path, effort: Effort) -> list[Section]:
    return [
        *await stores_sqlite.run(folder, effort),
        *await stores_postgresql.run(folder, effort),
        *await stores_mysql.run(folder, effort),
        *await stores_redis.run(folder, effort),
    ]


PARTS: dict[str, Callable[[Path, Effort], Awaitable[list[Section]]]] = {
    "refreshing": breakdown.run,
    "stores": _stores,
    "http": comparing.run,
    "guards": guards.run,
    "clients": clients.run,
    "flood": flood.run,
    "revocation": revocation.run,
}


async def measure(names: Sequence[str], folder: Path, effort: Effort) -> list[Section]:
    """One part after the other, each in a folder of its own."""
    sections: list[Section] = []
    for name in names:
        place = folder / name
        place.mkdir()
        sections += await PARTS[name](place, effort)
    return sections


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    how_long = parser.add_mutually_exclusive_group()
    how_long.add_argument("--quick", action="store_true", help="half a minute; rougher figures")
    how_long.add_argument("--tiny", action="store_true", help="a few seconds: whether it runs, no figures")
    parser.add_argument("--only", choices=PARTS, action="append", help="this part; may be repeated")
    asked = parser.parse_args()
    effort = QUICK if asked.quick else TINY if asked.tiny else FULL
    began = time.monotonic()
    pin(cores()[1])
    logs.configure(level="warning", as_json=False)
    folder = folder_on_a_disk()
    try:
        sections = uvloop.run(measure(asked.only or list(PARTS), folder, effort))
    finally:
        shutil.rmtree(folder)
    print(render(sections))
    print(f"measured in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
