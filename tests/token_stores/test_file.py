"""Tokens in a file."""

import copy
import os
import pickle
import stat
from pathlib import Path

import pytest

from evertoken.client.token_stores import file as file_module
from evertoken.client.token_stores.document import MAX_BYTES
from evertoken.client.token_stores.file import FileStore
from evertoken.errors import ConfigurationError, TokenStoreUnavailable
from tests.stores.faults import folder_of_an_ordinary_user, small_disk
from tests.token_stores.compliance import LARGE, SECRET, Place, TokenStoreCompliance
from tests.token_stores.peer import PeerEnded, peers_of


class TestFileStore(TokenStoreCompliance):
    """Shared by all processes of one user."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        path = tmp_path / "missing" / "session.json"
        return Place(FileStore(path), ["file", str(path)])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "app" / "session.json"


def modes(folder: Path) -> dict[str, str]:
    return {entry.name: f"{stat.S_IMODE(entry.stat().st_mode):o}" for entry in (folder, *folder.iterdir())}


def test_what_it_creates_is_for_its_user_alone(path: Path) -> None:
    """
    Whatever the umask, the folder is made with mode 0700 and every file in it with 0600.
    """
    umask = os.umask(0)
    try:
        store = FileStore(path)
        assert not path.parent.exists()
        assert store.load() is None
        assert not path.parent.exists()
        with store.lease(timeout_seconds=0):
            store.prepare()
            store.swap(None, "one")
            store.prepare()
    finally:
        os.umask(umask)
    assert modes(path.parent) == {
        "app": "700",
        "session.json": "600",
        "session.json.new": "600",
        "session.json.lock": "600",
        "session.json.swap.lock": "600",
    }


def test_a_sign_out_leaves_locks_only(path: Path) -> None:
    """
    After a sign-out no file holds a token; the empty lock files stay, because a deleted lock locks nobody out.
    """
    store = FileStore(path)
    with store.lease(timeout_seconds=0):
        store.swap(None, SECRET)
        store.prepare()
        store.swap(SECRET, None)
    left = list(path.parent.iterdir())
    assert {entry.name for entry in left} == {"session.json.lock", "session.json.swap.lock"}
    assert all(entry.stat().st_size == 0 for entry in left)


def test_a_tilde_is_the_home_and_a_change_of_directory_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    `~` is this user's home, and a relative path stays where it was when the store was made.
    """
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    at_home, relative = FileStore("~/session.json"), FileStore(Path("session.json"))
    monkeypatch.chdir("/")
    at_home.swap(None, "one")
    assert relative.load() == "one"
    assert repr(relative) == f"FileStore('{tmp_path}/session.json')"


@pytest.mark.parametrize("path", ["", "~nobody-of-that-name/session.json"])
def test_a_path_that_leads_nowhere_is_refused_at_start_up(path: str) -> None:
    """
    A path without a name or home is a mistake in the configuration, told when the store is made.
    """
    with pytest.raises(ConfigurationError, match="path"):
        FileStore(path)


def test_a_pickled_store_is_the_same_store(path: Path) -> None:
    """
    A FileStore can be handed to a worker process; it travels as its path, without locks and tokens.
    """
    store = FileStore(path)
    store.swap(None, SECRET)
    with store.lease(timeout_seconds=0):
        pickled = pickle.dumps(store)
        assert SECRET.encode() not in pickled
        for again in (pickle.loads(pickled), copy.copy(store), copy.deepcopy(store)):
            assert again.load() == SECRET
            with pytest.raises(TokenStoreUnavailable), again.lease(timeout_seconds=0):
                pytest.fail("two hold it")


def test_prepare_sets_room_aside_and_the_next_swap_uses_it(path: Path) -> None:
    """
    The room for the next document is on the disk before the refresh is sent, and becomes the document itself.
    """
    store = FileStore(path)
    store.swap(None, "one")
    store.prepare()
    room = path.with_name("session.json.new").stat()
    assert room.st_size == MAX_BYTES
    assert room.st_blocks * 512 >= MAX_BYTES
    store.swap("one", "two")
    assert path.stat().st_ino == room.st_ino
    assert path.stat().st_size == 3
    assert not path.with_name("session.json.new").exists()


def test_a_system_without_fallocate_writes_the_room(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Where the system or its file system cannot allocate, the room is written.
    """
    store = FileStore(path)

    def unknown(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("os.posix_fallocate", unknown)
    store.prepare()
    assert path.with_name("session.json.new").stat().st_size == MAX_BYTES
    monkeypatch.delattr("os.posix_fallocate")
    store.prepare()
    assert path.with_name("session.json.new").stat().st_size == MAX_BYTES
    store.swap(None, "one")
    assert store.load() == "one"


def fill(folder: Path) -> Path:
    """Leave not one block of that disk free."""
    filling = folder / "filling"
    with filling.open("ab", buffering=0) as file:
        size = 65536
        while size:
            try:
                written = file.write(b"x" * size)
            except OSError:
                size //= 2
            else:
                size = size if written else size // 2
    return filling


def test_a_full_disk_is_found_before_a_refresh_is_sent(tmp_path: Path) -> None:
    """
    A full disk fails `prepare`, says so, and leaves the document; once there is room again, all goes on.
    """
    with small_disk(tmp_path / "disk") as disk:
        store = FileStore(disk / "session.json")
        store.swap(None, LARGE[0])
        filling = fill(disk)
        for attempt in (store.prepare, lambda: store.swap(LARGE[0], LARGE[1])):
            with pytest.raises(TokenStoreUnavailable, match=r"session.json: .*No space left.*free some room"):
                attempt()
            assert store.load() == LARGE[0]
            assert not (disk / "session.json.new").exists()
        filling.unlink()
        store.prepare()
        assert store.swap(LARGE[0], LARGE[1])


def test_a_disk_that_fills_up_during_a_refresh_does_not_lose_the_new_tokens(tmp_path: Path) -> None:
    """
    What the server answers finds the room that was set aside for it, although the disk is full by then.
    """
    with small_disk(tmp_path / "disk") as disk:
        store = FileStore(disk / "session.json")
        store.swap(None, "one")
        with store.lease(timeout_seconds=0):
            store.prepare()
            fill(disk)
            largest = "z" * MAX_BYTES
            assert store.swap("one", largest)
        assert store.load() == largest


def test_a_folder_that_may_not_be_written_is_found_before_a_refresh_is_sent() -> None:
    """
    A folder without the right to write fails `prepare` and the lease, and says whose right is missing.
    """
    with folder_of_an_ordinary_user() as folder:
        store = FileStore(folder / "session.json")
        store.swap(None, "one")
        folder.chmod(0o500)
        with pytest.raises(TokenStoreUnavailable, match=r"session.json: .*Permission denied.*give this user the right"):
            store.prepare()
        with (
            pytest.raises(TokenStoreUnavailable, match=r"session.json.lock: cannot lock it: Permission denied"),
            store.lease(timeout_seconds=5),
        ):
            pytest.fail("held without a lock file")
        with pytest.raises(TokenStoreUnavailable, match="Permission denied"):
            store.swap("one", "two")
        with pytest.raises(TokenStoreUnavailable, match="cannot delete it"):
            store.swap("one", None)
        assert store.load() == "one"


STEPS = ("write", "ftruncate", "fsync", "replace")


@pytest.mark.parametrize("step", STEPS)
def test_a_disk_that_fails_at_any_step_leaves_the_old_document(
    path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A disk that fails in the middle of a write leaves the old document, and nothing of the new one.
    """
    store = FileStore(path)
    store.swap(None, "one")
    store.prepare()

    def fail(*_: object) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(f"os.{step}", fail)
        with pytest.raises(TokenStoreUnavailable, match="the disk may be failing") as told:
            store.swap("one", SECRET)
    assert SECRET not in f"{told.value!r} {told.value.__cause__!r}"
    assert store.load() == "one"
    assert not path.with_name("session.json.new").exists()
    assert store.swap("one", "two")


@pytest.mark.parametrize("skipped", range(5))
@pytest.mark.parametrize("prepared", [True, False])
def test_a_process_killed_between_any_two_steps_leaves_a_whole_document(
    path: Path, skipped: int, prepared: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    Killed before its first, second, up to its last system call, a writer leaves the old document or the new one.
    """
    store = FileStore(path)
    store.swap(None, LARGE[0])
    if prepared:
        store.prepare()
    done = 0

    def killed_at(name: str) -> object:
        real = getattr(os, name)

        def step(*arguments: object) -> object:
            nonlocal done
            if done == skipped:
                if name == "write":
                    real(arguments[0], memoryview(LARGE[1].encode())[:4096])  # half of it got there
                os.kill(os.getpid(), 9)
            done += 1
            return real(*arguments)

        return step

    # write, ftruncate, fsync of the file, replace, fsync of the folder: then it is done
    with peers_of(store, None) as peers:
        with monkeypatch.context() as patched:
            for name in STEPS:
                patched.setattr(f"os.{name}", killed_at(name))
            child = peers.forked()
        child.begin("swap", *LARGE)
        with pytest.raises(PeerEnded):
            child.answer()
    assert store.load() == (LARGE[0] if skipped < 4 else LARGE[1])
    store.prepare()
    assert store.swap(store.load(), "goes on")
    assert store.load() == "goes on"


def test_a_suspended_process_in_mid_swap_is_told_in_time(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A process that was suspended in the middle of a swap makes other writers wait for a while, and then say so.
    """
    monkeypatch.setattr(file_module, "SWAP_WITHIN_SECONDS", 0.05)
    store = FileStore(path)
    store.swap(None, "one")
    other = FileStore(path)
    with other._swap.hold(timeout_seconds=0):
        for attempt in (store.prepare, lambda: store.swap("one", "two")):
            with pytest.raises(TokenStoreUnavailable, match=r"session.json.swap.lock has been held .*fuser"):
                attempt()
        assert store.load() == "one"
