"""Files that hold tokens: opened only if they are ours alone, and errors of the system that say what to do."""

import errno
import os
import stat

from evertoken.errors import TokenStoreRefused, TokenStoreUnavailable

PRIVATE_FILE = 0o600
PRIVATE_FOLDER = 0o700
_OTHERS = 0o077

_SAFELY = (
    getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)  # a pipe under this name must be refused, not waited for
    | getattr(os, "O_BINARY", 0)
)

_ADVICE = {
    errno.ENOSPC: "free some room on that disk and try again",
    errno.EDQUOT: "free some room in this user's quota and try again",
    errno.EROFS: "make that file system writable, or choose another path",
    errno.EACCES: "give this user the right to read and write there, or choose another path",
    errno.EPERM: "give this user the right to read and write there, or choose another path",
    errno.EIO: "the disk may be failing: look into the system's log",
    errno.EMFILE: "this process has too many open files: close some, or raise the limit",
    errno.ENFILE: "this machine has too many open files",
}


def unavailable(path: str, doing: str, error: OSError) -> TokenStoreUnavailable:
    """The error for a system call that failed on `path`: the reason, and what to do."""
    reason = error.strerror or type(error).__name__
    advice = _ADVICE.get(error.errno or 0, "mend that, or choose another path")
    return TokenStoreUnavailable(f"{path}: cannot {doing}: {reason}; {advice}")


def refuse_unsafe(path: str, status: os.stat_result) -> None:
    """
    Refuse what is not a regular file of this user that others can neither read nor write.

    Raises:
        TokenStoreRefused: It says which of these, and what to do.
    """
    if stat.S_ISLNK(status.st_mode):
        raise TokenStoreRefused(f"{path} is a symbolic link: give the path of the file itself, or delete the link")
    if not stat.S_ISREG(status.st_mode):
        raise TokenStoreRefused(f"{path} is not a regular file: move it away, or choose another path")
    _refuse_shared(path, status, allowed=PRIVATE_FILE)


def open_own(path: str, flags: int) -> int:
    """
    Open a file that is ours alone, or that is created so; the descriptor is not inherited by programs we start.

    Args:
        path: The file; its folder must exist.
        flags: As for `os.open`, without O_TRUNC: nothing may be lost of a file that is refused.

    Raises:
        TokenStoreRefused: It is a symbolic link, no regular file, another user's, or open to others.
        OSError: As `os.open`.
    """
    try:
        refuse_unsafe(path, os.lstat(path))
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    descriptor = os.open(path, flags | _SAFELY, PRIVATE_FILE)
    try:
        refuse_unsafe(path, os.fstat(descriptor))  # it may have been exchanged since
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def make_own_folder(path: str) -> None:
    """
    Create a folder for this user alone, if it is missing; one that exists is left as it is.

    Raises:
        OSError: As `os.makedirs`.
    """
    os.makedirs(path, PRIVATE_FOLDER, exist_ok=True)  # noqa: PTH103 - paths are texts in this room


def refuse_shared_folder(path: str) -> None:
    """
    Refuse a folder that others may enter or write to, or that is another user's.

    Raises:
        TokenStoreRefused: It is one of these.
        OSError: As `os.stat`.
    """
    _refuse_shared(path, os.stat(path), allowed=PRIVATE_FOLDER)  # noqa: PTH116 - as above


def write_whole(descriptor: int, data: bytes, *, offset: int = 0) -> None:
    """
    Write all of `data`, which one system call may not do.

    Raises:
        OSError: As `os.write`.
    """
    os.lseek(descriptor, offset, os.SEEK_SET)
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def _refuse_shared(path: str, status: os.stat_result, *, allowed: int) -> None:
    if not hasattr(os, "geteuid"):
        return  # Windows has neither these owners nor these modes
    if status.st_uid != os.geteuid():
        raise TokenStoreRefused(
            f"{path} belongs to user {status.st_uid}, and this process runs as user {os.geteuid()}: "
            f"run as its owner, or choose another path"
        )
    if status.st_mode & _OTHERS:
        raise TokenStoreRefused(
            f"{path} is open to other users (mode {stat.S_IMODE(status.st_mode):04o}): "
            f"run `chmod {allowed:o} {path}`, and sign in anew if others may have read it"
        )
