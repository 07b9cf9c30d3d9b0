"""Where the session of the command line is kept, and how it is opened."""

import os
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from evertoken.cli.client import SESSION_FILE_VARIABLE
from evertoken.cli.client import manner as manners
from evertoken.cli.client.manner import Manner
from evertoken.client.refresher import record as records
from evertoken.client.refresher.record import Record
from evertoken.client.session import Session
from evertoken.client.token_stores.file import FileStore
from evertoken.errors import SignedOut, TokenStoreRefused

F = TypeVar("F", bound=Callable[..., Any])

LEASE_WITHIN_SECONDS: Final = 30.0


def session_file(command: F) -> F:
    """--file; give its value to `Place`."""
    text = f"Where the session is kept ({SESSION_FILE_VARIABLE}); by default session.json in ~/.config/evertoken."
    return click.option("--file", "file", metavar="PATH", help=text)(command)


class Place:
    """
    A file with a session, and beside it, where the server is not spoken to as evertoken is, a file that says how.

    Args:
        file: What --file says; without it the environment decides.

    Raises:
        ConfigurationError: The path cannot be one.
    """

    def __init__(self, file: str | None) -> None:
        self._option = f" --file {shlex.quote(file)}" if file is not None else ""
        self.path = file if file is not None else os.environ.get(SESSION_FILE_VARIABLE) or _usual_path()
        self.store = FileStore(self.path)
        self._manner_store = FileStore(f"{self.path}.server")

    def how_to_sign_in(self, server: str | None = None) -> str:
        """The command to type."""
        return f"evertoken login {server or 'URL'}{self._option}"

    def read(self) -> Record | None:
        """
        What is kept; None where there is nothing.

        Raises:
            TokenStoreRefused, TokenStoreUnavailable: It cannot be read, or is damaged.
        """
        return self._parsed(self.store.load())

    def live(self) -> Record:
        """
        The record of a session that nobody has said is over.

        Raises:
            SignedOut: There is none.
            TokenStoreRefused, TokenStoreUnavailable: As `read`.
        """
        found = self.read()
        if found is None:
            raise SignedOut("not_signed_in")
        if found.ended is not None:
            raise SignedOut(found.ended)
        return found

    def manner_of(self, record: Record) -> Manner:
        """
        How the server of a record is spoken to.

        Raises:
            TokenStoreRefused, TokenStoreUnavailable: The file that says it cannot be read, or is damaged.
        """
        document = self._manner_store.load()
        if document is None:
            return Manner(server=record.server)
        try:
            found = manners.parse(document)
        except manners.NotOurs as error:
            raise TokenStoreRefused(f"{self._manner_store!r}: {error}; delete it and sign in anew") from None
        # A sign-in that was killed between its two files: the other one still counts.
        return found if found.server == record.server else Manner(server=record.server)

    def session(self, record: Record) -> Session:
        """The session of a record, over the file."""
        return Session(record.server, store=self.store, dialect=self.manner_of(record).dialect)

    def put(self, document: str, manner: Manner) -> tuple[Record, Manner] | None:
        """
        Keep a new session in the place of whatever stands here, which is given back. Call it under the store's lease.

        Raises:
            TokenStoreRefused, TokenStoreUnavailable: The old session is still there.
        """
        new = records.parse(document)
        before = self.read()
        manner_before = None if before is None else self.manner_of(before)
        # The order counts where this is killed in between: see `manner_of`.
        if not manner.is_usual:
            self._put_manner(manners.render(manner))
        while True:
            standing = self.store.load()
            old = self._parsed(standing)
            numbered = replace(new, version=1 if old is None else old.version + 1)
            if self.store.swap(standing, records.render(numbered)):
                break
        if manner.is_usual:
            self._put_manner(None)
        if old is None:
            return None
        if manner_before is None or manner_before.server != old.server:  # somebody has signed in in between
            return old, Manner(server=old.server)
        return old, manner_before

    def forget(self) -> bool:
        """
        Delete what is kept, even if it is damaged, without asking any server; whether there was anything.

        Raises:
            TokenStoreRefused, TokenStoreUnavailable: It cannot be deleted.
        """
        while (document := self.store.load()) is not None:
            if self.store.swap(document, None):
                break
        self.forget_manner()
        return document is not None

    def forget_manner(self) -> None:
        """Delete what is beside the file, once the session is gone. Raises as `forget`."""
        self._put_manner(None)

    def _put_manner(self, document: str | None) -> None:
        while (standing := self._manner_store.load()) != document:
            if self._manner_store.swap(standing, document):
                return

    def _parsed(self, document: str | None) -> Record | None:
        if document is None:
            return None
        try:
            return records.parse(document)
        except records.NotOurDocument as error:
            raise TokenStoreRefused(
                f"{self.store!r} does not hold a session: {error}; choose another place with --file, or delete it with:"
                f" evertoken logout --forget{self._option}"
            ) from None


def _usual_path() -> str:
    # The XDG Base Directory Specification wants relative paths ignored.
    configured = os.environ.get("XDG_CONFIG_HOME", "")
    folder = Path(configured) if Path(configured).is_absolute() else Path("~", ".config")
    return str(folder / "evertoken" / "session.json")
