"""
A file of users to be imported: JSON lines or CSV, read and checked as a whole before anything is stored.

What is wrong is said by line number and rule. Nothing that stands in the file is repeated: a column that slipped would
put a password where a name is expected.
"""

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from evertoken.accounts.hashes.cost import HashingParameters
from evertoken.accounts.hashes.family import HashRefused
from evertoken.accounts.hashes.known import read_hash
from evertoken.accounts.password_text import PasswordRefused, password_bytes
from evertoken.accounts.usernames import UsernameRefused, check_new_username, username_key
from evertoken.secret import Secret

Format = Literal["jsonl", "csv"]

MAX_LINE_CHARACTERS: Final = 65_536
MAX_ROLES: Final = 100

_ID: Final = re.compile(r"[A-Za-z0-9._~:@-]{1,128}")
_ROLE: Final = re.compile(r"[!#-\[\]-~]{1,100}")  # what a scope may hold (RFC 6749 §3.3): a guard may compare the two
_TRUTH: Final = {"": False, "false": False, "0": False, "no": False, "true": True, "1": True, "yes": True}
_KNOWN: Final = ("id", "username", "roles", "disabled")


@dataclass(frozen=True, slots=True)
class ImportedUser:
    """
    One line that is good.

    Args:
        line: Its number, from 1.
        id: The user's id in the old table; None to be given a new one.
        password_hash: As it stands in the file; None for a user who cannot sign in by password.
        password: In clear, where the file holds passwords; it is hashed before anything is stored.
    """

    line: int
    id: str | None
    username: str
    roles: tuple[str, ...]
    disabled: bool
    password_hash: str | None = field(default=None, repr=False)
    password: Secret | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A line that cannot be imported, and why; the whole file is refused for it."""

    line: int
    reason: str


class _Bad(Exception):
    """Why a line is refused."""


def read_users(
    text: str, file_format: Format, *, plain: bool, own: HashingParameters
) -> tuple[list[ImportedUser], list[Problem]]:
    """
    Read a whole file.

    Args:
        text: Its content.
        plain: Whether it has passwords in clear, in `password`, rather than hashes, in `password_hash`.
        own: The parameters of our own hashes.

    Returns:
        The good lines, and everything that is wrong, in the order of the file.
    """
    users: list[ImportedUser] = []
    problems: list[Problem] = []
    names: dict[str, int] = {}
    ids: dict[str, int] = {}
    secret = "password" if plain else "password_hash"
    rows = _json_rows(text) if file_format == "jsonl" else _csv_rows(text, secret)
    for line, row in rows:
        try:
            if isinstance(row, _Bad):
                raise row
            user = _user(line, row, secret, own)
            _refuse_repeats(
                _repeat(names, username_key(user.username), line, "username"),
                None if user.id is None else _repeat(ids, user.id, line, "id"),
            )
            users.append(user)
        except _Bad as bad:
            problems.append(Problem(line, str(bad)))
    return users, problems


def _refuse_repeats(*repeats: str | None) -> None:
    if any(repeats):
        raise _Bad("; ".join(filter(None, repeats)))


def _repeat(seen: dict[str, int], key: str, line: int, what: str) -> str | None:
    first = seen.setdefault(key, line)
    return None if first == line else f"{what} is the one of line {first}"


def _json_rows(text: str) -> Iterator[tuple[int, Mapping[str, Any] | _Bad]]:
    for line, content in enumerate(text.split("\n"), start=1):
        if content.strip():
            yield line, _json_row(content)


def _json_row(content: str) -> Mapping[str, Any] | _Bad:
    if len(content) > MAX_LINE_CHARACTERS:
        return _Bad(f"is longer than {MAX_LINE_CHARACTERS} characters")
    try:
        row = json.loads(content, object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError):  # its message would quote the line
        return _Bad("is not JSON, or names a member twice")
    return row if isinstance(row, dict) else _Bad("is not a JSON object")


def _without_repeats(members: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(members)
    if len(row) != len(members):
        raise ValueError
    return row


def _csv_rows(text: str, secret: str) -> Iterator[tuple[int, Mapping[str, Any] | _Bad]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    columns: list[str] | None = None
    try:
        for cells in reader:
            if not cells:
                continue
            if columns is None:
                columns = [cell.strip() for cell in cells]
                if "username" not in columns or len(set(columns)) != len(columns):
                    yield (
                        reader.line_num,
                        _Bad(f"must name the columns, each once: username, {secret}, roles"),
                    )
                    return
            elif len(cells) != len(columns):
                yield reader.line_num, _Bad(f"has {len(cells)} cells where the first line has {len(columns)}")
            else:
                yield reader.line_num, _from_cells(dict(zip(columns, cells, strict=True)))
    except csv.Error:
        yield reader.line_num, _Bad("is not CSV: a quote is not closed, or a cell is too long")


def _from_cells(row: dict[str, Any]) -> Mapping[str, Any] | _Bad:
    """What JSON would have said: an empty cell of an id is none, roles are apart by spaces, disabled is a word."""
    if not row.get("id"):
        row.pop("id", None)
    if "roles" in row:
        row["roles"] = row["roles"].split()
    if "disabled" in row:
        word = row["disabled"].strip().lower()
        if word not in _TRUTH:
            return _Bad("disabled must be true or false")
        row["disabled"] = _TRUTH[word]
    return row


def _user(line: int, row: Mapping[str, Any], secret: str, own: HashingParameters) -> ImportedUser:
    _check_members(row, secret)
    try:
        username = check_new_username(_text(row.get("username"), "username"))
    except UsernameRefused as error:
        raise _Bad(f"username: {error}") from None
    is_disabled = row.get("disabled", False)
    if not isinstance(is_disabled, bool):
        raise _Bad("disabled must be true or false")
    given = ImportedUser(line, _id(row.get("id")), username, _roles(row.get("roles", [])), is_disabled)
    if secret == "password":  # noqa: S105 - the name of a column
        return replace(given, password=_password(row["password"]))
    return replace(given, password_hash=_hash(row["password_hash"], own))


def _check_members(row: Mapping[str, Any], secret: str) -> None:
    other = "password_hash" if secret == "password" else "password"  # noqa: S105 - the name of a column
    if other in row:
        hint = "leave --plain away" if other == "password_hash" else "with passwords in clear, use --plain"
        raise _Bad(f"has {other}: {hint}")
    if secret not in row:
        raise _Bad(f"has no {secret}")
    unknown = [place for place, name in enumerate(row, start=1) if name not in {*_KNOWN, secret}]
    if unknown:
        raise _Bad(f"its member or column number {unknown[0]} is none of {', '.join(_KNOWN)}, {secret}")


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str):
        raise _Bad(f"{what} must be a text")
    return value


def _id(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or not _ID.fullmatch(value):
        raise _Bad("id must be a number, or 1 to 128 of A-Z a-z 0-9 . _ ~ : @ -")
    return value


def _roles(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(role, str) and _ROLE.fullmatch(role) for role in value):
        raise _Bad("roles must be a list of words without spaces")
    if len(value) > MAX_ROLES:
        raise _Bad(f"roles has more than {MAX_ROLES}")
    return tuple(value)


def _password(value: Any) -> Secret:
    password = Secret(_text(value, "password"))
    if not password:
        raise _Bad("password is empty")
    try:
        password_bytes(password)
    except PasswordRefused as error:
        raise _Bad(f"password: {error}") from None
    return password


def _hash(value: Any, own: HashingParameters) -> str | None:
    # Django writes `!` and 40 random characters for users who have no password; others write `*` or `!` alone.
    if value is None or (isinstance(value, str) and (value.startswith("!") or value == "*")):
        return None
    try:
        read_hash(_text(value, "password_hash"), own)
    except HashRefused as error:
        raise _Bad(f"password_hash {error}") from None
    assert isinstance(value, str)
    return value
