"""Tokens in memory: of one process, and of the children it forks."""

import contextlib
import math
import os
import struct
import sys
import tempfile
import weakref
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import NoReturn

from evertoken.client.token_stores.document import MAX_BYTES, decoded, encoded
from evertoken.client.token_stores.own_file import write_whole
from evertoken.client.token_stores.polled_lock import PolledLock
from evertoken.client.token_stores.protocol import Lease
from evertoken.errors import TokenStoreUnavailable

if sys.platform != "win32":
    import fcntl

ACCESS_WITHIN_SECONDS = 10.0
"""How long a load or swap waits for another one, which takes microseconds unless its process is suspended."""

_WHERE = "the token store in memory"


class MemoryStore:
    """
    Keeps the document for as long as the process runs; forked children share it, programs it starts do not.

    A server that forks its workers after this was made has one session in all of them, and one refresh at a time.
    Where there is `fork`, the document lies in an anonymous file in memory (Linux), or in an unlinked temporary file;
    elsewhere in an attribute. It cannot be pickled: to share a session between programs, use a `FileStore`.
    """

    def __init__(self) -> None:
        """
        Start empty.

        Raises:
            TokenStoreUnavailable: There is no memory, no descriptor or no room for temporary files.
        """
        self._cell: _Cell = _SharedCell() if sys.platform != "win32" and hasattr(os, "fork") else _PlainCell()
        self._access = self._cell.lock("access")
        self._lease = self._cell.lock("lease")

    def __repr__(self) -> str:
        return "MemoryStore()"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a MemoryStore cannot be pickled or copied: use a FileStore to share a session with a program")

    def load(self) -> str | None:
        """
        The document as it is now; None where there is none.

        Raises:
            TokenStoreUnavailable: A forked process has been in the middle of a swap for 10 seconds.
        """
        with self._access.hold(timeout_seconds=ACCESS_WITHIN_SECONDS):
            return self._cell.read()

    def swap(self, expected: str | None, document: str | None) -> bool:
        """
        Replace the document if it is still `expected`, as a whole; None stands for no document.

        Returns:
            False, with nothing changed, if it is not.

        Raises:
            TokenStoreRefused: `document` is empty, over 64 KiB or not Unicode.
            TokenStoreUnavailable: There is no memory, or a forked process has been in the middle of a swap for
                10 seconds.
        """
        data = None if document is None else encoded(document, where=_WHERE)
        with self._access.hold(timeout_seconds=ACCESS_WITHIN_SECONDS):
            if self._cell.read() != expected:
                return False
            self._cell.write(data)
        return True

    def prepare(self) -> None:
        """
        Reserve memory for the next `swap`.

        Raises:
            TokenStoreUnavailable: There is none.
        """
        with self._access.hold(timeout_seconds=ACCESS_WITHIN_SECONDS):
            self._cell.reserve()

    def lease(self, *, timeout_seconds: float) -> AbstractContextManager[Lease]:
        """
        Wait for the right to refresh, among the threads of this process and its relatives by fork.

        Args:
            timeout_seconds: How long to wait; 0 tries once.

        Raises:
            TokenStoreUnavailable: Another thread or process held it for that long.
        """
        return self._lease.hold(timeout_seconds=timeout_seconds)


class _Cell(ABC):
    """Where the bytes lie; read and written under the lock `access` only."""

    @abstractmethod
    def read(self) -> str | None: ...

    @abstractmethod
    def write(self, data: bytes | None) -> None: ...

    @abstractmethod
    def reserve(self) -> None: ...

    @abstractmethod
    def lock(self, name: str) -> PolledLock: ...


class _PlainCell(_Cell):
    """An attribute, where no process can be forked."""

    def __init__(self) -> None:
        self._data: bytes | None = None

    def read(self) -> str | None:
        return None if self._data is None else self._data.decode()

    def write(self, data: bytes | None) -> None:
        self._data = data

    def reserve(self) -> None:
        """Nothing to do."""

    def lock(self, name: str) -> PolledLock:
        return _ThreadLock(name)


class _ThreadLock(PolledLock):
    """Excludes threads only."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._kind = name

    def _name(self) -> str:
        return f"{_WHERE} ({self._kind})"

    def _take(self) -> float | None:
        return math.inf

    def _let_go(self) -> None:
        """Nothing beyond the threads."""

    def _forget(self) -> None:
        """Nothing was inherited."""


if sys.platform != "win32":
    _HEADER = struct.Struct("=II")  # which of two slots holds the document, and its length in bytes
    _SLOTS = (4096, 4096 + MAX_BYTES)
    _SIZE = 4096 + 2 * MAX_BYTES
    _LOCKED_BYTES = {"access": _SIZE, "lease": _SIZE + 1}  # beyond the end, where locks may lie as well

    class _SharedCell(_Cell):
        """
        A file without a name, inherited by forked children.

        A new document goes to the slot that is not in use, then the header says so in one small write: a process that
        is killed in between has changed nothing.
        """

        def __init__(self) -> None:
            with self._reporting("be made"):
                self.descriptor = _anonymous_file()
            # Not at exit: a daemon thread may still be at work then, and the number may soon be another file's.
            weakref.finalize(self, os.close, self.descriptor).atexit = False

        def read(self) -> str | None:
            with self._reporting("be read"):
                slot, length = self._header()
                if length == 0:
                    return None
                data = os.pread(self.descriptor, length, _SLOTS[slot])
            return decoded(data, where=_WHERE, remedy="start this program anew")

        def write(self, data: bytes | None) -> None:
            with self._reporting("be written"):
                if data is None:
                    os.ftruncate(self.descriptor, 0)  # an absent header reads as "no document"; nothing lingers
                    return
                slot = 1 - self._header()[0]
                write_whole(self.descriptor, data, offset=_SLOTS[slot])
                write_whole(self.descriptor, _HEADER.pack(slot, len(data)))

        def reserve(self) -> None:
            if hasattr(os, "posix_fallocate"):
                with self._reporting("be enlarged"):
                    os.posix_fallocate(self.descriptor, 0, _SIZE)

        def lock(self, name: str) -> PolledLock:
            return _RegionLock(self, name)

        def _header(self) -> tuple[int, int]:
            header = os.pread(self.descriptor, _HEADER.size, 0)
            slot, length = _HEADER.unpack(header) if header else (0, 0)
            return slot, length

        @contextlib.contextmanager
        def _reporting(self, doing: str) -> Iterator[None]:
            try:
                yield
            except OSError as error:
                raise TokenStoreUnavailable(f"{_WHERE} cannot {doing}: {error.strerror}") from error

    class _RegionLock(PolledLock):
        """
        Locks one byte of the shared file for this process.

        Not flock: parent and child have one open file between them, and would hold such a lock together. A POSIX lock
        belongs to the process, is not inherited, and ends with the process or with the file's last descriptor in it,
        which is why there is only ever one.
        """

        def __init__(self, cell: _SharedCell, name: str) -> None:
            super().__init__()
            self._cell = cell  # keeps the descriptor open while it is locked
            self._kind = name

        def _name(self) -> str:
            return f"{_WHERE} ({self._kind})"

        def _take(self) -> float | None:
            try:
                fcntl.lockf(self._cell.descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _LOCKED_BYTES[self._kind])
            except (BlockingIOError, PermissionError):  # POSIX leaves the choice between EAGAIN and EACCES
                return None
            except OSError as error:
                raise TokenStoreUnavailable(f"{self._name()} cannot be locked: {error.strerror}") from error
            return math.inf

        def _let_go(self) -> None:
            with contextlib.suppress(OSError):
                fcntl.lockf(self._cell.descriptor, fcntl.LOCK_UN, 1, _LOCKED_BYTES[self._kind])

        def _forget(self) -> None:
            """The kernel gives a child none of its parent's POSIX locks."""

    def _anonymous_file() -> int:
        if hasattr(os, "memfd_create"):
            with contextlib.suppress(OSError):  # a hardened kernel may forbid it
                return os.memfd_create("evertoken")
        with tempfile.TemporaryFile(buffering=0) as file:
            return os.dup(file.fileno())
