"""Files that are refused: unsafe, foreign or damaged. Nothing is written then, and the error says what to do."""

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from evertoken.client.token_stores.document import MAX_BYTES
from evertoken.client.token_stores.file import FileStore
from evertoken.errors import TokenStoreRefused
from tests.token_stores.compliance import SECRET


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "session.json"


def private(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def as_link(path: Path) -> None:
    path.symlink_to(private(path.with_name("elsewhere"), SECRET.encode()))


def as_dangling_link(path: Path) -> None:
    path.symlink_to(path.with_name("nothing"))


def as_folder(path: Path) -> None:
    path.mkdir(mode=0o700)


def as_pipe(path: Path) -> None:
    os.mkfifo(path, 0o600)


def as_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
    path.chmod(0o600)


def of_mode(mode: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        private(path, SECRET.encode(), mode)

    make.__name__ = f"of_mode_{mode:o}"
    return make


def of_another_user(path: Path) -> None:
    private(path, SECRET.encode())
    try:
        os.chown(path, 65534, -1)
    except PermissionError:
        pytest.skip("only root can give a file to another user")


UNSAFE: list[tuple[Callable[[Path], None], str]] = [
    (as_link, "is a symbolic link: give the path of the file itself"),
    (as_dangling_link, "is a symbolic link"),
    (as_folder, "is not a regular file: move it away"),
    (as_pipe, "is not a regular file"),
    (as_socket, "is not a regular file"),
    (of_mode(0o640), "mode 0640.*run `chmod 600 PATH`"),
    (of_mode(0o604), "mode 0604.*run `chmod 600 PATH`"),
    (of_mode(0o620), "mode 0620.*run `chmod 600 PATH`"),
    (of_mode(0o602), "mode 0602.*run `chmod 600 PATH`"),
    (of_another_user, "belongs to user 65534, and this process runs as user 0: run as its owner"),
]

DAMAGED: list[tuple[bytes, str]] = [
    (b"", "it is empty; restore it, or delete it and sign in anew"),
    (b"\xff" + SECRET.encode(), "it is not UTF-8"),
    (SECRET.encode() + b"x" * MAX_BYTES, f"more than {MAX_BYTES} bytes"),
]


def everything(folder: Path) -> dict[str, tuple[int, int, bytes | None]]:
    """All there is in a folder, but for the locks; opened by nothing that could wait."""
    found = {}
    for entry in folder.iterdir():
        if not entry.name.endswith(".lock"):
            status = entry.lstat()
            content = entry.read_bytes() if entry.is_file() else None
            found[entry.name] = (status.st_mode, status.st_ino, content)
    return found


def refuses(path: Path, reason: str, *attempts: Callable[[], object]) -> None:
    before = everything(path.parent)
    for attempt in attempts:
        with pytest.raises(TokenStoreRefused) as refused:
            attempt()
        assert re.search(reason.replace("PATH", re.escape(str(path))), str(refused.value))
        assert str(path) in str(refused.value)
        assert SECRET not in repr(refused.value)
        assert refused.value.__context__ is None
        assert everything(path.parent) == before


@pytest.mark.parametrize(("make", "reason"), UNSAFE, ids=lambda value: getattr(value, "__name__", ""))
def test_a_file_that_is_not_ours_alone_is_refused(path: Path, make: Callable[[Path], None], reason: str) -> None:
    """
    Tokens are neither read from nor written to a link, a pipe, another user's file, or one that others can open.
    """
    make(path)
    store = FileStore(path)
    refuses(
        path,
        reason,
        store.load,
        lambda: store.swap(None, "x"),
        lambda: store.swap(SECRET, "x"),
        lambda: store.swap(SECRET, None),
    )


@pytest.mark.parametrize(("content", "reason"), DAMAGED, ids=["empty", "not-utf-8", "too-large"])
def test_a_damaged_file_is_refused(path: Path, content: bytes, reason: str) -> None:
    """
    A damaged file is neither taken for "signed out" nor overwritten: a person may still want to look at it.
    """
    private(path, content)
    store = FileStore(path)
    refuses(path, reason, store.load, lambda: store.swap(None, "x"), lambda: store.swap(None, None))


@pytest.mark.parametrize(("make", "reason"), UNSAFE, ids=lambda value: getattr(value, "__name__", ""))
def test_room_that_is_not_ours_alone_is_refused(path: Path, make: Callable[[Path], None], reason: str) -> None:
    """
    The new document is not written to something that another user has put in its place beforehand.
    """
    store = FileStore(path)
    store.swap(None, "one")
    room = path.with_name("session.json.new")
    make(room)
    refuses(room, reason, store.prepare, lambda: store.swap("one", "two"))
    assert store.load() == "one"


@pytest.mark.parametrize(("make", "reason"), UNSAFE, ids=lambda value: getattr(value, "__name__", ""))
def test_a_lock_that_is_not_ours_alone_is_refused(path: Path, make: Callable[[Path], None], reason: str) -> None:
    """
    A lock file that others can open is refused, because they could hold it for ever.
    """
    store = FileStore(path)
    lock = path.with_name("session.json.lock")
    make(lock)

    def hold() -> None:
        with store.lease(timeout_seconds=5):
            pytest.fail("held")

    refuses(lock, reason, hold)


def test_a_file_exchanged_while_it_is_opened_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    What was opened is looked at once more, so that an exchange in the last moment gains nothing.
    """
    store = FileStore(path)
    private(path, SECRET.encode(), 0o644)
    other = private(path.with_name("other"), b"harmless")
    harmless = os.lstat(other)
    monkeypatch.setattr("os.lstat", lambda _: harmless)
    refuses(path, "run `chmod 600 PATH`", store.load)
