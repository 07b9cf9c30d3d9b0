"""
`python -m bench.millions --store sqlite --sessions 10000000`: how a store does that holds so many sessions.

It works in a folder of its own on a disk, which is removed at the end, and refuses to begin where the disk has not
twice the room that it will need.
"""

import argparse
import contextlib
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import uvloop

from bench.disk import file_system, folder_on_a_disk
from bench.effort import cores, pin
from bench.millions import table
from bench.millions.filling import Engine
from bench.millions.measuring import EMPTY, Measured, measure_empty, measure_full
from bench.millions.on_mysql import OnMysql
from bench.millions.on_postgresql import OnPostgresql
from bench.millions.on_redis import OnRedis
from bench.millions.on_sqlite import OnSqlite
from bench.report import render
from evertoken.edge import logs

BYTES_PER_SESSION = {"sqlite": 1_600, "postgresql": 1_700, "mysql": 2_000, "redis": 1_500}
"""What is reckoned with, on the disk, for a session with its lines and its share of users."""

MOST = 20_000_000
STORES = tuple(BYTES_PER_SESSION)


def engine(store: str, folder: Path, stack: ExitStack, settings: dict[str, str]) -> Engine:
    """A database of this kind below a folder; the stack ends it."""
    if store == "postgresql":
        return OnPostgresql(folder, stack, settings)
    if store == "mysql":
        return OnMysql(folder, stack, settings)
    return OnRedis(folder, stack) if store == "redis" else OnSqlite(folder)


async def measure(
    store: str,
    folder: Path,
    measured: Measured,
    *,
    seconds: float,
    settings: dict[str, str],
    say: Callable[[str], None],
) -> str:
    """An empty store, then a full one; gives its title."""
    with _database(store, folder / "empty", settings) as few:
        measured.empty = await measure_empty(few, seconds=seconds)
    with _database(store, folder / "full", settings) as many:
        await measure_full(many, measured, seconds=seconds, say=say)
        return many.title


@contextlib.contextmanager
def _database(store: str, place: Path, settings: dict[str, str]) -> Iterator[Engine]:
    """The database on one core, we on another."""
    place.mkdir()
    with ExitStack() as stack:
        pin(cores()[1])
        database = engine(store, place, stack, settings)
        pin(cores()[0])
        yield database


def _setting(text: str) -> tuple[str, str]:
    name, is_given, value = text.partition("=")
    if not is_given:
        raise argparse.ArgumentTypeError("is NAME=VALUE")
    return name, value


def _sessions(text: str) -> int:
    number = int(text.replace("_", ""))
    if not EMPTY <= number <= MOST:
        raise argparse.ArgumentTypeError(f"must be between {EMPTY:,} and {MOST:,}")
    return number


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.millions", description=__doc__)
    parser.add_argument("--store", choices=STORES, required=True)
    parser.add_argument("--sessions", type=_sessions, default=1_000_000, help="how many; 1000000 unless said")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long refreshes are measured, three times")
    parser.add_argument(
        "--setting",
        type=_setting,
        action="append",
        default=[],
        help="of PostgreSQL or MariaDB, as shared_buffers=4GB",
    )
    asked = parser.parse_args()
    began = time.monotonic()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # that the folder is removed then too
    logs.configure(level="warning", as_json=False)
    folder = folder_on_a_disk()
    try:
        needed = 2 * asked.sessions * BYTES_PER_SESSION[asked.store]
        free = shutil.disk_usage(folder).free
        if free < needed:
            sys.exit(
                f"{folder.parent} has {free / 1e9:.1f} GB left, and {needed / 1e9:.1f} GB are asked for: see TMPDIR"
            )
        measured = Measured(asked.sessions)
        where = file_system(folder)

        def say(doing: str) -> None:
            print(f"{time.monotonic() - began:6.0f} s  {doing}", file=sys.stderr, flush=True)

        title = uvloop.run(
            measure(asked.store, folder, measured, seconds=asked.seconds, settings=dict(asked.setting), say=say)
        )
    finally:
        shutil.rmtree(folder)
    print(render(table.sections(title, where, measured)))
    print(f"measured in {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
