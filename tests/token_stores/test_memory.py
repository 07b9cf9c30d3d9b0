"""Tokens in memory."""

import copy
import pickle
from pathlib import Path

import pytest

from evertoken.client.token_stores import memory
from evertoken.client.token_stores.memory import MemoryStore
from evertoken.errors import TokenStoreUnavailable
from tests.token_stores.compliance import SECRET, Place, TokenStoreCompliance
from tests.token_stores.peer import Peers, peers_of


class TestMemoryStore(TokenStoreCompliance):
    """Shared with forked children, and with nobody else."""

    @pytest.fixture
    def place(self) -> Place:
        return Place(MemoryStore(), None)

    def test_parent_and_child_have_one_session_after_a_fork(self, store: MemoryStore, peers: Peers) -> None:
        """
        A server that forks its workers after signing in has one session in all of them, whoever refreshes it.
        """
        store.swap(None, "one")
        child, sibling = peers.forked(), peers.forked()
        assert child.ask("swap", "one", "two")
        assert store.load() == sibling.ask("load") == "two"
        assert store.swap("two", None)
        assert child.ask("load") is None

    def test_the_file_is_not_inherited_by_programs(self, store: MemoryStore) -> None:
        """
        A program that is started from ours gets no descriptor of the tokens.
        """
        import os

        assert not os.get_inheritable(store._cell.descriptor)  # type: ignore[attr-defined]


class TestMemoryStoreWithoutMemfd(TestMemoryStore):
    """Where memory has no files, as on macOS: a temporary file that has no name any more."""

    @pytest.fixture
    def place(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
        monkeypatch.delattr("os.memfd_create", raising=False)
        monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
        store = MemoryStore()
        assert list(tmp_path.iterdir()) == []
        return Place(store, None)


def test_where_no_process_can_fork_an_attribute_keeps_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    On a system without fork the document is an attribute, and the lease excludes threads.
    """
    monkeypatch.delattr("os.fork")
    store = MemoryStore()
    assert isinstance(store._cell, memory._PlainCell)
    store.prepare()
    assert store.swap(None, "one") and store.swap("one", "two") and not store.swap("one", "three")
    assert store.load() == "two"
    with (
        store.lease(timeout_seconds=0),
        pytest.raises(TokenStoreUnavailable, match="another thread"),
        store.lease(timeout_seconds=0.01),
    ):
        pytest.fail("two hold it")
    assert store.swap("two", None)
    assert store.load() is None


@pytest.mark.parametrize("how", [pickle.dumps, copy.copy, copy.deepcopy])
def test_a_pickled_memory_store_is_refused_with_a_way_out(how: object) -> None:
    """
    A MemoryStore cannot be handed to another program, and says what can.
    """
    store = MemoryStore()
    store.swap(None, SECRET)
    assert callable(how)
    with pytest.raises(TypeError, match="use a FileStore"):
        how(store)


def test_two_memory_stores_have_nothing_in_common() -> None:
    """
    Each MemoryStore is a session of its own.
    """
    one, other = MemoryStore(), MemoryStore()
    one.swap(None, "one")
    with one.lease(timeout_seconds=0), other.lease(timeout_seconds=0):
        assert other.load() is None


def test_a_suspended_sibling_in_mid_swap_is_told_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A process that was suspended in the middle of a swap makes others wait for a while, and then say so.
    """
    monkeypatch.setattr(memory, "ACCESS_WITHIN_SECONDS", 0.05)
    store = MemoryStore()
    store._lease = store._access  # the peer can hold the one as it holds the other
    with peers_of(store, None) as peers:
        peers.forked().ask("lease", 5)
        with pytest.raises(TokenStoreUnavailable, match=r"\(access\) has been held"):
            store.load()
