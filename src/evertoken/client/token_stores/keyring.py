"""Tokens in the keyring of the desktop: Keychain, Secret Service, KWallet, Windows Credential Manager."""

import contextlib
import hashlib
import importlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol, TypeVar, cast

from evertoken.client.token_stores.document import decoded, encoded
from evertoken.client.token_stores.file_lock import FileLock
from evertoken.client.token_stores.own_file import make_own_folder, refuse_shared_folder, unavailable
from evertoken.client.token_stores.protocol import Lease
from evertoken.errors import ConfigurationError, TokenStoreUnavailable

ACCESS_WITHIN_SECONDS = 10.0
"""How long a load or swap waits for another one of the same entry."""

_Answer = TypeVar("_Answer")
_USELESS_BACKENDS = {"keyring.backends.fail", "keyring.backends.null"}
_OR_A_FILE = "or use a FileStore"


class Keyring(Protocol):
    """What is asked of a backend of the `keyring` library."""

    def get_password(self, service: str, username: str, /) -> str | None:
        """The secret of that entry, if there is one."""
        ...

    def set_password(self, service: str, username: str, password: str, /) -> None:
        """Store or replace it."""
        ...

    def delete_password(self, service: str, username: str, /) -> None:
        """Delete it; it is there."""
        ...


class KeyringStore:
    """
    Keeps the document as one entry of a keyring, for all processes of one user on one machine.

    A keyring can neither compare nor lock, so two lock files stand beside it, in `$XDG_RUNTIME_DIR/evertoken` if that
    is this user's, else in `~/.cache/evertoken`. Programs that change the entry by themselves are not held off, and
    neither are processes of this user that have another runtime folder or home.

    How durable a swap is, and whether a crash in the middle of it can harm the entry, is up to the backend. Some have
    small entries: Windows keeps 2560 bytes, of UTF-16.
    """

    def __init__(
        self, service: str = "evertoken", username: str = "session", *, keyring: Keyring | None = None
    ) -> None:
        """
        Find the keyring; the entry is not touched yet.

        Args:
            service: Of the entry; name your application.
            username: Of the entry; one for each account that is signed in at a time.
            keyring: A backend of the `keyring` library; its choice for this machine if left out.

        Raises:
            ConfigurationError: The library is missing, it finds no backend, or there is no folder for the locks.
        """
        self._service = service
        self._username = username
        self._keyring = _found_keyring() if keyring is None else _checked(keyring)
        self._where = f"the keyring entry {service!r} of {username!r}"
        # Hashed: names may hold anything, and a folder may not be chosen by them.
        entry = hashlib.sha256(f"{len(service)}:{service}{username}".encode()).hexdigest()[:32]
        self._lock_folder = _lock_folder()
        self._lease = FileLock(os.path.join(self._lock_folder, f"keyring-{entry}.lock"))  # noqa: PTH118
        self._access = FileLock(os.path.join(self._lock_folder, f"keyring-{entry}.swap.lock"))  # noqa: PTH118

    def __repr__(self) -> str:
        return f"KeyringStore(service={self._service!r}, username={self._username!r})"

    def load(self) -> str | None:
        """
        The document as it is now; None where there is no entry.

        Raises:
            TokenStoreRefused: The entry is empty or over 64 KiB, or the folder of the locks is not ours alone.
            TokenStoreUnavailable: The keyring is locked or fails.
        """
        with self._accessing():
            return self._read()

    def swap(self, expected: str | None, document: str | None) -> bool:
        """
        Replace the entry if it is still `expected`, and read it back; None for `document` deletes it.

        Returns:
            False, with nothing changed, if it is not.

        Raises:
            TokenStoreRefused: As `load`; or `document` is empty, over 64 KiB or not Unicode. Nothing was written.
            TokenStoreUnavailable: The keyring is locked, fails, or has not kept what it was given.
        """
        if document is not None:
            encoded(document, where=self._where)
        with self._accessing():
            if self._read() != expected:
                return False
            if document is not None:
                self._write(self._username, document)
            elif expected is not None:
                self._ask("delete", self._keyring.delete_password, self._service, self._username)
        return True

    def prepare(self) -> None:
        """
        Write an entry of the same size beside the document's and delete it, so that a locked keyring shows now.

        Raises:
            TokenStoreRefused: As `load`.
            TokenStoreUnavailable: The keyring is locked, fails, or does not keep an entry of that size.
        """
        with self._accessing():
            room = f"{self._username} (room)"
            self._write(room, "0" * len(self._read() or "0"))
            self._ask("delete", self._keyring.delete_password, self._service, room)

    def lease(self, *, timeout_seconds: float) -> AbstractContextManager[Lease]:
        """
        Wait for the right to refresh; a kernel lock, which ends only with its holder.

        Args:
            timeout_seconds: How long to wait; 0 tries once.

        Raises:
            TokenStoreUnavailable: Another thread or process held it for that long, or it cannot be opened.
            TokenStoreRefused: The folder of the locks is not ours alone, or has no locks.
        """
        return self._leasing(timeout_seconds)

    @contextlib.contextmanager
    def _leasing(self, timeout_seconds: float) -> Iterator[Lease]:
        self._check_lock_folder()
        with self._lease.hold(timeout_seconds=timeout_seconds) as held:
            yield held

    @contextlib.contextmanager
    def _accessing(self) -> Iterator[None]:
        # Reading, too: a backend that writes its file in place shows an empty one for a moment, as if signed out.
        self._check_lock_folder()
        with self._access.hold(timeout_seconds=ACCESS_WITHIN_SECONDS):
            yield

    def _check_lock_folder(self) -> None:
        try:
            make_own_folder(self._lock_folder)
            refuse_shared_folder(self._lock_folder)
        except OSError as error:
            raise unavailable(self._lock_folder, "make this folder for locks", error) from error

    def _read(self) -> str | None:
        document = self._ask("read", self._keyring.get_password, self._service, self._username)
        if document is not None:
            data = document.encode(errors="replace")
            decoded(data, where=self._where, remedy="delete it and sign in anew")
        return document

    def _write(self, username: str, document: str) -> None:
        self._ask("write", self._keyring.set_password, self._service, username, document)
        if self._ask("read", self._keyring.get_password, self._service, username) != document:
            raise TokenStoreUnavailable(
                f"{self._where}: the keyring has not kept what it was given ({len(document)} characters): "
                f"choose another backend, {_OR_A_FILE}"
            )

    def _ask(self, doing: str, ask: Callable[..., _Answer], *arguments: str) -> _Answer:
        try:
            return ask(*arguments)
        except Exception as error:  # noqa: BLE001 - backends raise what their systems raise: D-Bus, Win32, OSError
            kind = type(error).__name__
        # Neither its text nor the error itself goes along: a backend that calls a program may name the secret there.
        advice = "unlock it" if kind == "KeyringLocked" else "see that it is unlocked and running"
        raise TokenStoreUnavailable(f"{self._where}: cannot {doing} it ({kind}): {advice}, {_OR_A_FILE}")


def _found_keyring() -> Keyring:
    try:
        library = importlib.import_module("keyring")
    except ImportError as error:
        raise ConfigurationError(
            "keyring", f"the library is missing: pip install 'evertoken[keyring]', {_OR_A_FILE}"
        ) from error
    try:
        keyring = cast(Keyring, library.get_keyring())
    except Exception as error:
        raise ConfigurationError(
            "keyring",
            f"the backend that PYTHON_KEYRING_BACKEND or keyringrc.cfg names cannot be used: mend that, {_OR_A_FILE}",
        ) from error
    return _checked(keyring)


def _checked(keyring: Keyring) -> Keyring:
    if type(keyring).__module__ in _USELESS_BACKENDS:
        raise ConfigurationError(
            "keyring",
            f"there is no keyring here that keeps anything: install a backend, for instance SecretStorage on Linux "
            f"(the documentation of the keyring library lists them), {_OR_A_FILE}",
        )
    return keyring


def _lock_folder() -> str:
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    # After `su` or `sudo` it may be another user's: a folder of ours in there would be in that user's way.
    if os.path.isabs(runtime) and hasattr(os, "geteuid"):  # noqa: PTH117 - paths are texts in this room
        with contextlib.suppress(OSError):
            if os.stat(runtime).st_uid == os.geteuid():  # noqa: PTH116
                return os.path.join(runtime, "evertoken")  # noqa: PTH118
    home = os.path.expanduser("~")  # noqa: PTH111
    if not os.path.isabs(home):  # noqa: PTH117
        raise ConfigurationError(
            "keyring", f"there is no home folder to keep locks in: set XDG_RUNTIME_DIR {_OR_A_FILE}"
        )
    return os.path.join(home, ".cache", "evertoken")  # noqa: PTH118
