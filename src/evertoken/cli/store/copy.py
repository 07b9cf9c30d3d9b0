"""evertoken store copy: moves everything to another store, also of another engine."""

import asyncio
import contextlib
import json
import os
import sys
from dataclasses import dataclass, replace
from typing import Final

import click

from evertoken.assembly import open_store
from evertoken.cli.options import settings_of
from evertoken.cli.store.progress import Shown
from evertoken.edge.settings import Settings, parsing
from evertoken.spoken import when
from evertoken.store_address import is_redis, is_server, shown
from evertoken.stores.copying.copier import Copier, Ends, State, identity_of, summary
from evertoken.stores.copying.opening import open_current
from evertoken.stores.copying.place import Place

_VARIABLE: Final = "env:"


@dataclass(frozen=True, slots=True)
class _End:
    """One end of the copy, as it was typed."""

    location: str
    users: str
    prefix: str

    @property
    def users_at(self) -> str:
        """Where its users are; nothing where the application has them."""
        return self.users if is_redis(self.location) else self.location


@click.command()
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--finish", is_flag=True, help="The last pass: no server uses FROM any more.")
@click.option("--from-users", default="", metavar="FILE|URL", help="Where FROM's users are, if FROM is Redis.")
@click.option("--to-users", default="", metavar="FILE|URL", help="Where TO's users shall be, if TO is Redis.")
@click.option("--from-prefix", default="", metavar="TEXT", help="FROM's table_prefix.")
@click.option("--to-prefix", default="", metavar="TEXT", help="TO's table_prefix.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON; show no progress.")
@click.option("--config", help="A TOML file with the server's settings (EVERTOKEN_CONFIG).")
def copy(
    *,
    source: str,
    target: str,
    finish: bool,
    from_users: str,
    to_users: str,
    from_prefix: str,
    to_prefix: str,
    as_json: bool,
    config: str | None,
) -> None:
    """
    Copy a whole store, FROM one place TO another, while servers use FROM.

    Run it once: it copies everything. Run it again, and it copies what has changed since. Then stop the servers, run it
    with --finish, and start them on TO. If it is interrupted, run it again. See docs/stores/moving.md.

    FROM and TO are as --store of `serve`; env:NAME takes one from a variable, for one that holds a password.
    """
    settings = settings_of({"config": config})
    ends = (
        _End(_location(source, "FROM"), _users(from_users, "--from-users"), _prefix(from_prefix, "--from-prefix")),
        _End(_location(target, "TO"), _users(to_users, "--to-users"), _prefix(to_prefix, "--to-prefix")),
    )
    _refuse_nonsense(*ends, settings)
    with Shown(sys.stderr, quiet=as_json) as progress:
        was_finished, state = asyncio.run(_copy(*ends, settings, finish=finish, progress=progress))
    if as_json:
        click.echo(json.dumps(summary(state)))
        return
    for line in _told(state, shown(ends[1].location), was_finished=was_finished):
        click.echo(line)


def _refuse_nonsense(source: _End, target: _End, settings: Settings) -> None:
    if (_identity(source.location), source.prefix) == (_identity(target.location), target.prefix):
        raise click.UsageError("FROM and TO are the same store")
    for end, flag in ((source, "--from-users"), (target, "--to-users")):
        if is_redis(end.location) and not end.users and not settings.user_directory:
            raise click.UsageError(f"{shown(end.location)} keeps no users; say with {flag} where they are")
        if end.users and (settings.user_directory or not is_redis(end.location)):
            raise click.UsageError(f"{flag} is for Redis, and where the application has no users of its own")


async def _copy(source: _End, target: _End, settings: Settings, *, finish: bool, progress: Shown) -> tuple[bool, State]:
    await _prepare(target, settings)
    async with contextlib.AsyncExitStack() as stack:

        async def opened(location: str, prefix: str, *, writes: bool) -> Place:
            place = await open_current(location, table_prefix=prefix, writes=writes)
            stack.push_async_callback(place.close)
            return place

        from_place = await opened(source.location, source.prefix, writes=False)
        to_place = await opened(target.location, target.prefix, writes=True)
        from_users: Place | None = None
        to_users: Place | None = None
        if not settings.user_directory and not _share_users(source, target):
            from_users, to_users = from_place, to_place
            if is_redis(source.location):
                from_users = await opened(source.users, source.prefix, writes=False)
            if is_redis(target.location):
                to_users = await opened(target.users, target.prefix, writes=True)
        ends = Ends(from_place, to_place, from_users, to_users, shown(source.location))
        copier = Copier(ends, identity=identity_of(f"{_identity(source.location)} {source.prefix}"), progress=progress)
        was_finished = await _is_finished(to_place)
        return was_finished, await copier.run(finish=finish)


async def _is_finished(target: Place) -> bool:
    stored = await target.read_state()
    return stored is not None and State.parse(stored).finished_ms is not None


async def _prepare(target: _End, settings: Settings) -> None:
    """Make the target's tables, or see that they are of this version."""
    store = open_store(replace(settings, store=target.location, users_store=target.users, table_prefix=target.prefix))
    try:
        await store.start()
    finally:
        await store.stop()


def _share_users(source: _End, target: _End) -> bool:
    """Whether both keep their users in one place, as when only the sessions move to Redis."""
    return (_identity(source.users_at), source.prefix) == (_identity(target.users_at), target.prefix)


def _identity(location: str) -> str:
    """A location without what may differ between two ways to write it: user, password, parameters, a relative path."""
    if not is_server(location):
        return os.path.realpath(location)
    scheme, _, rest = shown(location).partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def _told(state: State, target: str, *, was_finished: bool) -> list[str]:
    if state.finished_ms is not None and was_finished:
        return [f"{target} was finished on {when(state.finished_ms)}; nothing was copied"]
    rows = ", ".join(f"{name} {count}" for name, count in state.copied.items())
    told = [f"after pass {state.passes}, copied so far: {rows or 'nothing'}"]
    if state.finished_ms is not None:
        return [*told, f"finished: start the servers on {target}, with the same EVERTOKEN_SECRET"]
    return [*told, "next: run it again for what changes, or stop the servers on FROM and run it with --finish"]


def _location(text: str, what: str) -> str:
    try:
        return parsing.store(_revealed(text))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=what) from None


def _users(text: str, what: str) -> str:
    try:
        return parsing.users_store(_revealed(text))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=what) from None


def _prefix(text: str, what: str) -> str:
    try:
        return parsing.table_prefix(text)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=what) from None


def _revealed(text: str) -> str:
    if not text.startswith(_VARIABLE):
        return text
    found = os.environ.get(text.removeprefix(_VARIABLE))
    if not found:
        raise ValueError(f"the variable {text.removeprefix(_VARIABLE)} is not set")
    return found
