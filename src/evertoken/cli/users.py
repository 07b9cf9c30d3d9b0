"""evertoken users: who may sign in."""

import secrets
import sys
from typing import Any

import click

from evertoken.accounts.password_rules import check_new_password
from evertoken.accounts.password_text import PasswordRefused
from evertoken.accounts.usernames import UsernameRefused, check_new_username, username_key
from evertoken.accounts.users import User, UsernameTaken
from evertoken.assembly import open_hashing
from evertoken.cli.options import store_only, with_store
from evertoken.cli.show import table, when
from evertoken.cli.users_import import import_users
from evertoken.clock import system_clock
from evertoken.edge.settings import Settings
from evertoken.secret import Secret
from evertoken.sessions.model import AccountChange, Caller, EventKind
from evertoken.sessions.rotation import Reason
from evertoken.stores.store import Store

OPERATOR = Caller("", "evertoken command line")
"""Who did it, as the audit trail has it."""


@click.group()
def users() -> None:
    """Who may sign in."""


users.add_command(import_users)


@users.command("add")
@click.argument("username")
@click.option("--role", "roles", multiple=True, help="A role; may be given more than once.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
@store_only
def add(username: str, roles: tuple[str, ...], password_stdin: bool, **given: Any) -> None:
    """Add a user."""

    async def work(store: Store, settings: Settings) -> None:
        try:
            name = check_new_username(username)
            password = _new_password(name, settings, from_stdin=password_stdin)
            await store.add_user(new_user(name, hash_of(password, settings), roles))
        except UsernameTaken as error:
            raise click.ClickException(f"there is a user {username!r} already") from error
        except (UsernameRefused, PasswordRefused) as error:
            raise click.ClickException(str(error)) from error
        click.echo(f"added {name}")

    with_store(given, work, may_create=True)


@users.command("list")
@store_only
def list_(**given: Any) -> None:
    """List users by name."""

    async def work(store: Store, _settings: Settings) -> None:
        rows = []
        last: str | None = None
        while page := await store.list_users(last, 500):
            for user in page:
                state = "disabled" if user.disabled else "enabled"
                rows.append((user.username, user.id, ",".join(user.roles), state, when(user.created_at_ms)))
            last = page[-1].username
        table(("user", "id", "roles", "state", "added"), rows)

    with_store(given, work)


@users.command("disable")
@click.argument("username")
@store_only
def disable(username: str, **given: Any) -> None:
    """Disable a user and end all of the user's sessions."""

    async def work(store: Store, _settings: Settings) -> None:
        user = await _found(store, username)
        ended = await store.change_account(
            AccountChange(user.id, Reason.ACCOUNT_DISABLED, EventKind.ACCOUNT_DISABLED, OPERATOR, disabled=True)
        )
        click.echo(f"disabled {user.username}; {len(ended.session_ids) if ended else 0} sessions ended")

    with_store(given, work)


@users.command("enable")
@click.argument("username")
@store_only
def enable(username: str, **given: Any) -> None:
    """Let a disabled user sign in again."""

    async def work(store: Store, _settings: Settings) -> None:
        user = await _found(store, username)
        was_disabled = await store.enable(user.id, OPERATOR)
        click.echo(f"enabled {user.username}" if was_disabled else f"{user.username} was enabled already")

    with_store(given, work)


@users.command("passwd")
@click.argument("username")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input instead of asking.")
@store_only
def passwd(username: str, password_stdin: bool, **given: Any) -> None:
    """Set a user's password and end all of the user's sessions."""

    async def work(store: Store, settings: Settings) -> None:
        user = await _found(store, username)
        try:
            password = _new_password(user.username, settings, from_stdin=password_stdin)
        except PasswordRefused as error:
            raise click.ClickException(str(error)) from error
        ended = await store.change_account(
            AccountChange(
                user.id,
                Reason.PASSWORD_CHANGED,
                EventKind.PASSWORD_CHANGED,
                OPERATOR,
                password_hash=hash_of(password, settings),
            )
        )
        click.echo(f"changed; {len(ended.session_ids) if ended else 0} sessions ended")

    with_store(given, work)


@users.command("roles")
@click.argument("username")
@click.argument("roles", nargs=-1)
@store_only
def set_roles(username: str, roles: tuple[str, ...], **given: Any) -> None:
    """Set a user's roles to those given; none takes all away. New access tokens carry them."""

    async def work(store: Store, _settings: Settings) -> None:
        user = await _found(store, username)
        await store.set_roles(user.id, roles)
        click.echo(f"{user.username}: {', '.join(roles) or 'no roles'}")

    with_store(given, work)


def new_user(username: str, password_hash: str, roles: tuple[str, ...]) -> User:
    """A user that has not been stored yet; ids of users never meet ids of clients (RFC 9700 §4.15)."""
    return User("usr_" + secrets.token_urlsafe(12), username, password_hash, 0, False, roles, system_clock())


def hash_of(password: Secret, settings: Settings) -> str:
    """Hash a password in this thread."""
    hashing = open_hashing(settings)
    try:
        return hashing.hash_now(password)
    finally:
        hashing.close()


async def _found(store: Store, username: str) -> User:
    user = await store.find_by_key(username_key(username))
    if user is None:
        raise click.ClickException(f"there is no user {username!r}; see: evertoken users list")
    return user


def _new_password(username: str, settings: Settings, *, from_stdin: bool) -> Secret:
    """Ask for a password that satisfies the rules; never an argument, which `ps` and the shell's history would show."""
    if from_stdin:
        password = Secret(sys.stdin.readline().rstrip("\r\n"))
    else:
        password = Secret(click.prompt("Password", hide_input=True, confirmation_prompt=True))
    check_new_password(
        password,
        username=username,
        service_name=settings.service_name,
        min_length=settings.password_min_length,
    )
    return password
