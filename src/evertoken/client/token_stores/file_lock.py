"""A kernel lock on a file that is never deleted: it ends with its holder, however that ends."""

import errno
import math
import os
import sys

from evertoken.client.token_stores.own_file import make_own_folder, open_own, unavailable
from evertoken.client.token_stores.polled_lock import PolledLock, fork_held_off
from evertoken.errors import TokenStoreRefused

if sys.platform == "win32":  # untried: nobody has run this on Windows yet
    import msvcrt

    def _lock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)

    def _unlock(descriptor: int) -> None:
        os.lseek(descriptor, 0, os.SEEK_SET)
        msvcrt.locking(descriptor, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _lock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _unlock(descriptor: int) -> None:
        fcntl.flock(descriptor, fcntl.LOCK_UN)


_BUSY = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES, errno.EDEADLK}
_NO_LOCKS_HERE = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOTSUP}


class FileLock(PolledLock):
    """
    Excludes threads and processes of this machine by a lock on one file, which is created 0600 and never deleted.

    It belongs to the kernel: a killed holder has released it, a suspended one keeps it, and no program we start
    inherits it. On a network file system it is as good as that file system's locks are. Pickled by its path.
    """

    def __init__(self, path: str) -> None:
        """
        Name the file; nothing is opened yet.

        Args:
            path: Absolute path of the lock file; its folder is made, for this user alone, if it is missing.
        """
        super().__init__()
        self.path = path
        self._descriptor: int | None = None

    def __repr__(self) -> str:
        return f"FileLock({self.path!r})"

    def __reduce__(self) -> tuple[type["FileLock"], tuple[str]]:
        return FileLock, (self.path,)

    def _name(self) -> str:
        return self.path

    def _advice(self) -> str:
        return f"try again, or find it with `fuser {self.path}`"

    def _take(self) -> float | None:
        try:
            if self._descriptor is None:
                self._open()
            assert self._descriptor is not None
            _lock(self._descriptor)
            if self._is_current():
                return math.inf
        except OSError as error:
            if error.errno in _BUSY and self._descriptor is not None:
                return None
            if error.errno in _NO_LOCKS_HERE:
                raise TokenStoreRefused(
                    f"{self.path}: this file system has no locks ({error.strerror}): choose a path on a local disk"
                ) from error
            raise unavailable(self.path, "lock it", error) from error
        # Somebody has deleted the file, against the rules: whoever comes next would lock another one. So do we.
        self._let_go()
        return None

    def _let_go(self) -> None:
        with fork_held_off():
            descriptor, self._descriptor = self._descriptor, None
            if descriptor is None:
                return
            try:
                # Closing would not do: a copy may live on for a moment in a program that is just being started.
                _unlock(descriptor)
            except OSError:
                pass  # closing is what is left, and frees it as soon as no copy is open
            finally:
                os.close(descriptor)

    def _forget(self) -> None:
        # The lock belongs to the open file, which parent and child share: LOCK_UN here would take it from the parent.
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)

    def _open(self) -> None:
        flags = os.O_RDWR | os.O_CREAT
        with fork_held_off():
            try:
                self._descriptor = open_own(self.path, flags)
            except FileNotFoundError:
                make_own_folder(os.path.dirname(self.path))  # noqa: PTH120 - paths are texts in this room
                self._descriptor = open_own(self.path, flags)

    def _is_current(self) -> bool:
        assert self._descriptor is not None
        try:
            named = os.lstat(self.path)
        except FileNotFoundError:
            return False
        return os.path.samestat(named, os.fstat(self._descriptor))
