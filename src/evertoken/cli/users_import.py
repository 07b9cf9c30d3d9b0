"""evertoken users import: many users at once, from another application's table."""

import asyncio
import os
import secrets
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from evertoken.accounts.passwords import PasswordHashing
from evertoken.accounts.user_file import Format, ImportedUser, Problem, read_users
from evertoken.accounts.usernames import username_key
from evertoken.accounts.users import User, UsernameTaken
from evertoken.assembly import open_hashing
from evertoken.cli.options import settings_of, store_only, with_store
from evertoken.clock import system_clock
from evertoken.edge.settings import Settings
from evertoken.sessions.model import AccountChange, Caller, EventKind
from evertoken.sessions.rotation import Reason
from evertoken.stores.opening import may_be_there
from evertoken.stores.store import Store

_AT_ONCE = 256
"""Users that go to the store together: it commits them in groups, and Ctrl-C loses at most so many."""

_TELL_EVERY = 1_000
_OPERATOR = Caller("", "evertoken command line")

T = TypeVar("T")
R = TypeVar("R")


@dataclass(slots=True)
class _Tally:
    """What became of the lines."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    sessions_ended: int = 0


@click.command("import")
@click.argument("file")
@click.option("--format", "file_format", type=click.Choice(["jsonl", "csv"]), help="Default: by the file's name.")
@click.option("--plain", is_flag=True, help="The file has passwords in clear, in `password`; they are hashed at once.")
@click.option("--update-hash", is_flag=True, help="Give users who are there already the file's password, too.")
@click.option("--dry-run", is_flag=True, help="Check the file and say what would be done; store nothing.")
@store_only
def import_users(
    file: str, file_format: Format | None, plain: bool, update_hash: bool, dry_run: bool, **given: Any
) -> None:
    """
    Import users from FILE, or from standard input where FILE is -.

    Each line has username, password_hash (of Django, passlib, Werkzeug, bcrypt or argon2), and may have id, roles and
    disabled. The whole file is checked first; if a line is wrong, nothing is stored. Users who are there already are
    left as they are, so it may be run again. See docs/adopting.md.
    """
    chosen = file_format or _format_of(file)
    settings = settings_of(dict(given))
    if settings.user_directory:
        raise click.ClickException("users live in your own table (user_directory); there is nothing to import into")
    hashing = open_hashing(settings)
    try:
        users, problems = read_users(_read(file), chosen, plain=plain, own=hashing.parameters)
        _refuse_if_any(problems)

        async def work(store: Store, _settings: Settings) -> None:
            await _import(store, users, hashing, update_hash=update_hash, dry_run=dry_run)

        is_there = may_be_there(settings.store)
        if dry_run and not is_there:
            click.echo(f"{len(users)} to add; nothing was stored")
            return
        with_store(given, work, may_create=True)
    finally:
        hashing.close()
    if plain and file != "-" and not dry_run:
        click.echo(f"remove {file} now: it holds passwords in clear", err=True)


async def _import(
    store: Store, users: list[ImportedUser], hashing: PasswordHashing, *, update_hash: bool, dry_run: bool
) -> None:
    present, problems = await _present(store, users)
    _refuse_if_any(problems)
    new = [user for user in users if username_key(user.username) not in present]
    there = [user for user in users if username_key(user.username) in present]
    if dry_run:
        what = "to be compared" if update_hash else "there already"
        click.echo(f"{len(new)} to add, {len(there)} {what}; nothing was stored")
        return
    tally = _Tally()
    tell = _teller(len(new) + (len(there) if update_hash else 0))
    # One hash needs one core and the memory of the settings; argon2 lets go of the interpreter's lock.
    with ThreadPoolExecutor(os.cpu_count() or 1, "evertoken-import") as cores:
        for some in _in_groups(new):
            made = await _on_all_cores(cores, lambda user: _new_user(user, hashing), some)
            await _add(store, made, tally)
            tell(len(some))
        if update_hash:
            for some in _in_groups(there):
                pairs = [(user, present[username_key(user.username)]) for user in some]
                hashes = await _on_all_cores(cores, lambda pair: _changed_hash(*pair, hashing), pairs)
                for (_, found), changed in zip(pairs, hashes, strict=True):
                    await _update(store, found, changed, tally)
                tell(len(some))
        else:
            tally.unchanged += len(there)
    updated = f", {tally.updated} given another password ({tally.sessions_ended} sessions ended)" if update_hash else ""
    click.echo(f"{tally.added} added{updated}, {tally.unchanged} left as they were")


async def _present(store: Store, users: Sequence[ImportedUser]) -> tuple[dict[str, User], list[Problem]]:
    """Who is there already, by key; and whose id is somebody else's."""
    present: dict[str, User] = {}
    problems: list[Problem] = []
    for some in _in_groups(users):
        by_key = await asyncio.gather(*(store.find_by_key(username_key(user.username)) for user in some))
        by_id = await asyncio.gather(*(_by_id(store, user.id) for user in some))
        for user, named, owner in zip(some, by_key, by_id, strict=True):
            if named is not None:
                present[username_key(user.username)] = named
            if owner is not None and (named is None or named.id != owner.id):
                problems.append(Problem(user.line, "id is that of another user in the store"))
            elif named is not None and user.id is not None and named.id != user.id:
                problems.append(Problem(user.line, "username is there already, with another id"))
    return present, problems


async def _by_id(store: Store, user_id: str | None) -> User | None:
    return None if user_id is None else await store.find_by_id(user_id)


async def _add(store: Store, users: Sequence[User], tally: _Tally) -> None:
    outcomes = await asyncio.gather(*(store.add_user(user) for user in users), return_exceptions=True)
    for outcome in outcomes:
        if outcome is None:
            tally.added += 1
        elif isinstance(outcome, UsernameTaken):  # added by somebody else meanwhile
            tally.unchanged += 1
        else:
            raise outcome


async def _update(store: Store, user: User, changed: str | None, tally: _Tally) -> None:
    """A hash of another password ends the user's sessions, as every change of a password does."""
    if changed is None:
        tally.unchanged += 1
        return
    change = AccountChange(
        user.id,
        Reason.PASSWORD_CHANGED,
        EventKind.PASSWORD_CHANGED,
        _OPERATOR,
        expected_epoch=user.epoch,
        password_hash=changed,
    )
    ended = await store.change_account(change)
    if ended is None:  # changed by its owner meanwhile, which is newer than the file
        tally.unchanged += 1
        return
    tally.updated += 1
    tally.sessions_ended += len(ended.session_ids)


def _new_user(given: ImportedUser, hashing: PasswordHashing) -> User:
    hashed = given.password_hash if given.password is None else hashing.hash_now(given.password)
    new_id = given.id or "usr_" + secrets.token_urlsafe(12)
    return User(new_id, given.username, hashed, 0, given.disabled, given.roles, system_clock())


def _changed_hash(given: ImportedUser, found: User, hashing: PasswordHashing) -> str | None:
    """The hash to store in place of the one that is there; None where that is the same, or the file has none."""
    if given.password is None:
        return None if given.password_hash == found.password_hash else given.password_hash
    if hashing.verify_now(given.password, found.password_hash).matches:
        return None
    return hashing.hash_now(given.password)


async def _on_all_cores(cores: ThreadPoolExecutor, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    loop = asyncio.get_running_loop()
    return list(await asyncio.gather(*(loop.run_in_executor(cores, work, item) for item in items)))


def _in_groups(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[start : start + _AT_ONCE] for start in range(0, len(items), _AT_ONCE)]


def _teller(total: int) -> Callable[[int], None]:
    """Tells on standard error how far it is, once every thousand users."""
    done = 0

    def tell(more: int) -> None:
        nonlocal done
        if done // _TELL_EVERY != (done + more) // _TELL_EVERY and done + more < total:
            click.echo(f"{done + more} of {total}", err=True)
        done += more

    return tell


def _refuse_if_any(problems: Sequence[Problem]) -> None:
    if not problems:
        return
    for problem in problems:
        click.echo(f"line {problem.line}: {problem.reason}", err=True)
    lines = "1 line is" if len(problems) == 1 else f"{len(problems)} lines are"
    raise click.ClickException(f"{lines} wrong; nothing was stored")


def _format_of(file: str) -> Format:
    suffix = Path(file).suffix.lower()
    if suffix in {".jsonl", ".ndjson", ".json"}:
        return "jsonl"
    if suffix == ".csv":
        return "csv"
    raise click.UsageError("say --format jsonl or --format csv; the name of the file does not")


def _read(file: str) -> str:
    try:
        raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:  # whose text would show the bytes
        line = error.object[: error.start].count(b"\n") + 1
        raise click.ClickException(f"line {line}: is not UTF-8; nothing was stored") from None
    except OSError as error:
        raise click.ClickException(f"cannot read {file}: {error.strerror}") from error
