"""Tokens in a file of this user: replaced as a whole, locked among processes, refused when it is not ours alone."""

import contextlib
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager

from evertoken.client.token_stores.document import MAX_BYTES, decoded, encoded
from evertoken.client.token_stores.file_lock import FileLock
from evertoken.client.token_stores.own_file import open_own, unavailable, write_whole
from evertoken.client.token_stores.protocol import Lease
from evertoken.errors import ConfigurationError

SWAP_WITHIN_SECONDS = 10.0
"""How long a swap waits for another one, which takes milliseconds unless its process is suspended or its disk is."""

_NO_FALLOCATE_HERE = {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}


class FileStore:
    """
    Keeps the document in one file, for all processes of one user on one machine.

    Four files in one folder, all of mode 0600: `NAME` is the document, `NAME.lock` the lease, `NAME.swap.lock` is
    held for the milliseconds of a swap, and `NAME.new` is room for the next document and lives as briefly as a
    refresh. The locks are never deleted. Two locks, because sign-in and sign-out swap without the lease, and a
    refresh swaps under it: one lock for both would be awaited by its own holder.

    On a disk shared by machines it is as safe as that disk's locks are. Pickled by its path.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """
        Name the file; nothing is opened or created yet.

        Args:
            path: The document; `~` is this user's home. A missing folder is made, with mode 0700, at the first lease
                or swap.

        Raises:
            ConfigurationError: The path is empty, or there is no home for `~`.
        """
        given = os.fspath(path)
        expanded = os.path.expanduser(given)  # noqa: PTH111 - Path.expanduser raises where this one leaves the tilde
        if not given or expanded.startswith("~"):
            raise ConfigurationError("path", "the token file needs a path; write ./~name for a file of that name")
        # Absolute from here on: a change of directory must not change the session.
        self._path = os.path.abspath(expanded)  # noqa: PTH100 - not resolve(): a symbolic link is to be refused
        self._new_path = f"{self._path}.new"
        self._lease = FileLock(f"{self._path}.lock")
        self._swap = FileLock(f"{self._path}.swap.lock")

    def __repr__(self) -> str:
        return f"FileStore({self._path!r})"

    def __reduce__(self) -> tuple[type["FileStore"], tuple[str]]:
        return FileStore, (self._path,)

    def load(self) -> str | None:
        """
        The document as it is now; None where there is no file.

        Raises:
            TokenStoreRefused: The file is a symbolic link, no regular file, another user's, open to others, empty,
                over 64 KiB or not UTF-8.
            TokenStoreUnavailable: It cannot be read.
        """
        with self._reporting("read it"):
            try:
                descriptor = open_own(self._path, os.O_RDONLY)
            except FileNotFoundError:
                return None
            with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, not a path
                data = file.read(MAX_BYTES + 1)
        # An atomic writer never leaves an empty file, so an empty one is damage, not "signed out".
        return decoded(data, where=self._path, remedy="restore it, or delete it and sign in anew")

    def swap(self, expected: str | None, document: str | None) -> bool:
        """
        Replace the file if it still holds `expected`: durably, and as a whole, wherever a crash falls.

        It is written beside, flushed to the disk and renamed. None for `document` deletes it.

        Returns:
            False, with nothing changed, if it does not.

        Raises:
            TokenStoreRefused: As `load`, for the file or for its neighbours; or `document` is empty, over 64 KiB or
                not Unicode. Nothing was written.
            TokenStoreUnavailable: The disk is full, read-only or failing, or another process has been in the middle
                of a swap for 10 seconds. The file then holds the old document; after a failure of the very last step,
                flushing the folder, it holds the new one.
        """
        data = None if document is None else encoded(document, where=self._path)
        with self._swap.hold(timeout_seconds=SWAP_WITHIN_SECONDS):
            if self.load() != expected:
                return False
            if data is None:
                self._delete()
            else:
                self._replace(data)
        return True

    def prepare(self) -> None:
        """
        Reserve 64 KiB beside the file for the next `swap`, so that a full disk shows before a refresh is sent.

        Raises:
            TokenStoreRefused: Something unsafe stands where the room is to be.
            TokenStoreUnavailable: There is no room, or no right to write.
        """
        with self._swap.hold(timeout_seconds=SWAP_WITHIN_SECONDS), self._writing("reserve room for the next document"):
            descriptor = open_own(self._new_path, os.O_RDWR | os.O_CREAT)
            try:
                os.ftruncate(descriptor, 0)  # a writer that was killed may have left half a document
                _allocate(descriptor)
            finally:
                os.close(descriptor)

    def lease(self, *, timeout_seconds: float) -> AbstractContextManager[Lease]:
        """
        Wait for the right to refresh; a kernel lock on `NAME.lock`, which ends only with its holder.

        Args:
            timeout_seconds: How long to wait; 0 tries once.

        Raises:
            TokenStoreUnavailable: Another thread or process held it for that long, or it cannot be opened.
            TokenStoreRefused: The lock file is unsafe, or its file system has no locks.
        """
        return self._lease.hold(timeout_seconds=timeout_seconds)

    def _replace(self, data: bytes) -> None:
        with self._writing("store the document"):
            descriptor = open_own(self._new_path, os.O_RDWR | os.O_CREAT)
            try:
                # In place, and only then shortened: the room that was reserved must not be given up first.
                write_whole(descriptor, data)
                os.ftruncate(descriptor, len(data))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            os.replace(self._new_path, self._path)  # noqa: PTH105 - paths are texts in this room
            self._flush_folder()

    def _delete(self) -> None:
        with self._reporting("delete it"):
            for path in (self._path, self._new_path):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)  # noqa: PTH108 - as above
            self._flush_folder()

    def _flush_folder(self) -> None:
        if sys.platform == "win32":
            return  # a folder cannot be opened there
        folder = os.open(os.path.dirname(self._path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # noqa: PTH120
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextlib.contextmanager
    def _writing(self, doing: str) -> Iterator[None]:
        with self._reporting(doing):
            try:
                yield
            except OSError:
                # Half a document is of no use, and is in the way on a full disk.
                with contextlib.suppress(OSError):
                    os.unlink(self._new_path)  # noqa: PTH108 - as above
                raise

    @contextlib.contextmanager
    def _reporting(self, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise unavailable(self._path, doing, error) from error


def _allocate(descriptor: int) -> None:
    """Make the disk set 64 KiB aside, not only promise them."""
    if hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, 0, MAX_BYTES)
        except OSError as error:
            if error.errno not in _NO_FALLOCATE_HERE:
                raise
        else:
            return
    write_whole(descriptor, bytes(MAX_BYTES))
    os.fsync(descriptor)  # a file system that allocates late would otherwise say yes, and fail later
