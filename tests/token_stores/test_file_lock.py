"""The kernel's lock on a file."""

import contextlib
import os
import pickle
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from evertoken.client.token_stores.file_lock import FileLock
from evertoken.errors import TokenStoreRefused, TokenStoreUnavailable

WITHIN_SECONDS = 10.0


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "a.lock"


class CountingLock(FileLock):
    """Counts how often the kernel is asked."""

    asked = 0

    def _take(self) -> float | None:
        self.asked += 1
        return super()._take()


def test_threads_of_one_process_queue_without_polling(path: Path) -> None:
    """
    Threads that wait for a thread of their own process cost nothing until it is their turn.
    """
    lock = CountingLock(str(path))
    waiting = threading.Barrier(5)

    def hold() -> None:
        waiting.wait(WITHIN_SECONDS)
        with lock.hold(timeout_seconds=WITHIN_SECONDS):
            pass

    with ThreadPoolExecutor(4) as threads:
        with lock.hold(timeout_seconds=WITHIN_SECONDS):
            holding = [threads.submit(hold) for _ in range(4)]
            waiting.wait(WITHIN_SECONDS)
            with pytest.raises(TokenStoreUnavailable, match="another thread"), lock.hold(timeout_seconds=0.1):
                pytest.fail("two hold it")
            assert lock.asked == 1
        for future in holding:
            future.result()
    assert lock.asked == 5


def test_two_locks_on_one_file_exclude_each_other(path: Path) -> None:
    """
    Two store objects on the same path in one process are two holders.
    """
    one, other = FileLock(str(path)), pickle.loads(pickle.dumps(FileLock(str(path))))
    with (
        one.hold(timeout_seconds=0) as held,
        pytest.raises(TokenStoreUnavailable, match=r"a\.lock has been held for 0 s .*fuser"),
        other.hold(timeout_seconds=0),
    ):
        pytest.fail("two hold it")
    assert held.seconds_left() == 0
    with other.hold(timeout_seconds=0):
        pass


def test_a_program_started_under_the_lock_does_not_inherit_it(path: Path) -> None:
    """
    A program that is started while the lock is held neither has it nor keeps it.
    """
    lock, other = FileLock(str(path)), FileLock(str(path))
    with lock.hold(timeout_seconds=0):
        assert lock._descriptor is not None
        assert not os.get_inheritable(lock._descriptor)
        program = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    try:
        with other.hold(timeout_seconds=0):
            pass
    finally:
        program.communicate(b"\n")


def test_no_descriptor_is_left_open(path: Path) -> None:
    """
    Locks that were held or missed leave no descriptor open.
    """
    lock, other = FileLock(str(path)), FileLock(str(path))
    before = len(list(Path("/dev/fd").iterdir()))
    for _ in range(3):
        with lock.hold(timeout_seconds=0), pytest.raises(TokenStoreUnavailable), other.hold(timeout_seconds=0):
            pytest.fail("two hold it")
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_a_lock_file_that_somebody_deleted_is_made_again(path: Path) -> None:
    """
    Who waited for a lock file that was deleted meanwhile takes the one that everybody else will take.
    """
    one, other, third = (FileLock(str(path)) for _ in range(3))
    with ThreadPoolExecutor(1) as thread, contextlib.ExitStack() as held:
        with one.hold(timeout_seconds=0):
            real = other._open
            opened = threading.Event()

            def open_and_tell() -> None:
                real()
                opened.set()

            other._open = open_and_tell  # type: ignore[method-assign]
            waiting = thread.submit(held.enter_context, other.hold(timeout_seconds=WITHIN_SECONDS))
            assert opened.wait(WITHIN_SECONDS)
            path.unlink()
        waiting.result()
        with pytest.raises(TokenStoreUnavailable), third.hold(timeout_seconds=0):
            pytest.fail("two hold it")


def test_a_file_system_without_locks_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where the file system has no locks, nothing is held, and the error asks for a local disk.
    """

    def no_locks(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    with pytest.raises(TokenStoreRefused, match="local disk"), FileLock(str(path)).hold(timeout_seconds=5):
        pytest.fail("held without a lock")


def test_a_lock_in_a_place_that_cannot_be_is_unavailable(tmp_path: Path) -> None:
    """
    A path through something that is no folder fails at once, with the reason.
    """
    (tmp_path / "file").touch()
    with (
        pytest.raises(TokenStoreUnavailable, match=r"a\.lock: cannot lock it: Not a directory"),
        FileLock(str(tmp_path / "file" / "a.lock")).hold(timeout_seconds=5),
    ):
        pytest.fail("held without a lock file")
