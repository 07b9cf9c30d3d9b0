"""evertoken sessions: who is signed in, and end it; and why a session ended."""

from typing import Any

import click

from evertoken.accounts.usernames import username_key
from evertoken.cli.explain import explanation
from evertoken.cli.options import store_only, with_store
from evertoken.cli.show import how_long, table, when
from evertoken.cli.users import OPERATOR
from evertoken.clock import system_clock
from evertoken.edge.settings import Settings
from evertoken.sessions.model import AccountChange, EventKind, SessionRecord, session_id_bytes, session_id_text
from evertoken.sessions.rotation import Reason
from evertoken.stores.store import Store

_PAGE = 500


class _OfASession(click.Command):
    """A session's id may begin with a hyphen, as one in 64 does, and is no option then."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put such ids behind the options."""
        if "--" not in args:
            ids = [arg for arg in args if arg.startswith("-") and session_id_bytes(arg) is not None]
            args = [*(arg for arg in args if arg not in ids), *(["--", *ids] if ids else [])]
        return super().parse_args(ctx, args)


@click.group()
def sessions() -> None:
    """Who is signed in, and end it."""


@sessions.command("list")
@click.option("--user", "username", help="Only this user's; by id where users live in your own table.")
@click.option("--all", "with_ended", is_flag=True, help="Also those that ended within the last 30 days.")
@store_only
def list_(username: str | None, with_ended: bool, **given: Any) -> None:
    """List sessions."""

    async def work(store: Store, settings: Settings) -> None:
        user_id = await _user_id(store, settings, username)
        rows: list[tuple[str, ...]] = []
        last = None
        while page := await store.list_sessions(user_id=user_id, live_only=not with_ended, after=last, limit=_PAGE):
            rows += map(_row, page)
            last = page[-1].id
        table(("session", "user", "device", "address", "signed in", "last refreshed", "state"), rows)
        click.echo(f"{len(rows)} sessions", err=True)

    with_store(given, work)


@sessions.command("show", cls=_OfASession)
@click.argument("session_id")
@store_only
def show(session_id: str, **given: Any) -> None:
    """Show one session."""

    async def work(store: Store, _settings: Settings) -> None:
        record = await _found(store, session_id)
        for name, value in _details(record).items():
            click.echo(f"{name:<16}{value}")

    with_store(given, work)


@sessions.command("explain", cls=_OfASession)
@click.argument("session_id")
@store_only
def explain(session_id: str, **given: Any) -> None:
    """Tell the story of one session: sign-in, rotations, everything unusual, and why it ended."""

    async def work(store: Store, _settings: Settings) -> None:
        record = await _found(store, session_id)
        for line in explanation(record, await store.timeline(record.id), now_ms=system_clock()):
            click.echo(line)

    with_store(given, work)


@sessions.command("revoke", cls=_OfASession)
@click.argument("session_id", required=False)
@click.option("--user", "username", help="End all sessions of this user instead.")
@store_only
def revoke(session_id: str | None, username: str | None, **given: Any) -> None:
    """End one session, or with --user all of a user's."""
    if (session_id is None) == (username is None):
        raise click.UsageError("name a session or --user, not both")

    async def work(store: Store, settings: Settings) -> None:
        if session_id is not None:
            record = await _found(store, session_id)
            ended = await store.end(record.id, Reason.REVOKED, OPERATOR)
            click.echo("ended" if ended.session_ids else "it was over already")
            return
        user_id = await _user_id(store, settings, username)
        assert user_id is not None
        change = AccountChange(user_id, Reason.REVOKED, EventKind.SIGNED_OUT_EVERYWHERE, OPERATOR)
        changed = await store.change_account(change)  # raises the epoch: a sign-in under way does not slip through
        click.echo(f"{len(changed.session_ids) if changed else 0} sessions ended")

    with_store(given, work)


async def _found(store: Store, text: str) -> SessionRecord:
    session_id = session_id_bytes(text)
    record = None if session_id is None else await store.find(session_id)
    if record is None:
        raise click.ClickException(f"there is no session {text!r}; they are kept for 30 days after their end")
    return record


async def _user_id(store: Store, settings: Settings, username: str | None) -> str | None:
    if username is None or settings.user_directory:
        return username  # users in the application's own table are named by their id
    user = await store.find_by_key(username_key(username))
    if user is None:
        raise click.ClickException(f"there is no user {username!r}; see: evertoken users list")
    return user.id


def _row(record: SessionRecord) -> tuple[str, ...]:
    return (
        session_id_text(record.id),
        record.username,
        record.refreshed_from.device,
        record.refreshed_from.address,
        when(record.created_at_ms),
        when(record.refreshed_at_ms),
        _state(record),
    )


def _details(record: SessionRecord) -> dict[str, str]:
    return {
        "session": session_id_text(record.id),
        "user": f"{record.username} ({record.user_id})",
        "client": record.client_id,
        "delivery": record.delivery.name.lower(),
        "signed in": f"{when(record.created_at_ms)} from {record.created_from.address} {record.created_from.device}",
        "last refreshed": (
            f"{when(record.refreshed_at_ms)} from {record.refreshed_from.address} {record.refreshed_from.device}"
        ),
        "rotations": str(record.rotations),
        "expires": when(record.expires_at_ms()),
        "state": _state(record),
    }


def _state(record: SessionRecord) -> str:
    now_ms = system_clock()
    ended = record.ended(now_ms=now_ms)
    if ended is None:
        return f"live, {how_long(record.expires_at_ms() - now_ms)} left"
    return f"ended: {ended}"
