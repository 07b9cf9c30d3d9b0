"""What every token store does. A store's test class inherits this one, and gives the fixture `place`."""

import contextlib
import math
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from evertoken.client.token_stores.document import MAX_BYTES
from evertoken.client.token_stores.protocol import TokenStore
from evertoken.clock import monotonic_seconds
from evertoken.errors import TokenStoreRefused, TokenStoreUnavailable
from tests.token_stores.peer import PeerRefused, Peers, Spec, count_up, peers_of, tally

SECRET = "rt-Zm9yIHlvdXIgZXllcyBvbmx5"
LARGE = ("a" * 60_000, "b" * 50_000)
WITHIN_SECONDS = 10.0
SOON_SECONDS = 0.1


@dataclass(frozen=True)
class Place:
    """A store, and how another program opens the same; None where only forked children share it."""

    store: TokenStore
    spec: Spec | None


class TokenStoreCompliance:
    """Whatever keeps the tokens, the client can rely on this."""

    @pytest.fixture
    def store(self, place: Place) -> TokenStore:
        return place.store

    @pytest.fixture
    def peers(self, place: Place) -> Iterator[Peers]:
        with peers_of(place.store, place.spec) as peers:
            yield peers

    @pytest.fixture
    def tallied(self, tmp_path: Path) -> Path:
        path = tmp_path / "tally"
        path.write_text("0")
        return path

    def test_a_store_nobody_has_written_to_has_no_document(self, store: TokenStore) -> None:
        """
        A new token store is empty, which is not an error.
        """
        assert store.load() is None
        store.prepare()
        assert store.load() is None

    def test_a_document_swapped_in_is_what_every_process_loads(self, store: TokenStore, peers: Peers) -> None:
        """
        What one process stores, every other process that shares the store loads next.
        """
        assert store.swap(None, f'{{"refresh_token": "{SECRET}", "name": "Zoë 🦉\\n"}}')
        assert peers.other().ask("load") == store.load()
        assert peers.forked().ask("load") == store.load()

    def test_a_swap_that_expects_something_else_changes_nothing(self, store: TokenStore) -> None:
        """
        A document is replaced only by somebody who knows it, so that nobody overwrites what he has not seen.
        """
        assert not store.swap("one", "two")
        assert not store.swap("one", None)
        assert store.load() is None
        assert store.swap(None, "one")
        assert not store.swap(None, "two")
        assert not store.swap("One", "two")
        assert not store.swap("two", None)
        assert store.load() == "one"
        assert store.swap("one", "two")
        assert store.load() == "two"

    def test_a_swap_to_nothing_deletes_the_document(self, store: TokenStore, peers: Peers) -> None:
        """
        Signing out leaves no document behind, and signing in again starts one.
        """
        store.swap(None, "one")
        store.prepare()
        assert store.swap("one", None)
        assert store.load() is None
        assert store.swap(None, None)
        assert peers.other().ask("swap", None, "two")
        assert store.load() == "two"

    def test_a_document_of_64_kib_fits_and_a_larger_or_empty_one_is_refused(self, store: TokenStore) -> None:
        """
        A document has 1 byte to 64 KiB; anything else is refused before the old one is touched.
        """
        largest = "é" * (MAX_BYTES // 2)
        assert store.swap(None, largest)
        for unfit in (largest + "e", "", "\ud800"):
            with pytest.raises(TokenStoreRefused):
                store.swap(largest, unfit)
        assert store.load() == largest
        store.prepare()
        assert store.swap(largest, "small")
        assert store.load() == "small"

    def test_threads_that_swap_at_once_lose_no_update(self, place: Place) -> None:
        """
        However many threads write at once, each write is built on the one before.
        """
        with ThreadPoolExecutor(6) as threads:
            list(threads.map(lambda _: count_up(place.store, 5), range(6)))
        assert place.store.load() == "30"

    def test_processes_that_swap_at_once_lose_no_update(self, store: TokenStore, peers: Peers) -> None:
        """
        However many processes write at once, each write is built on the one before.
        """
        all_of_them = [peers.other(), peers.other(), peers.forked(), peers.forked()]
        for peer in all_of_them:
            peer.begin("count_up", 8)
        count_up(store, 8)
        for peer in all_of_them:
            peer.answer()
        assert store.load() == "40"

    def test_a_swap_goes_through_whoever_holds_the_lease(self, store: TokenStore, peers: Peers) -> None:
        """
        The lease is the right to refresh, not to write: its holder can swap, and so can a sign-out in between.
        """
        other = peers.other()
        with store.lease(timeout_seconds=WITHIN_SECONDS):
            store.prepare()
            assert store.swap(None, "one")
            assert other.ask("swap", "one", "two")
            with ThreadPoolExecutor(1) as thread:
                assert thread.submit(store.swap, "two", "three").result()
            assert not store.swap("one", "four")
        assert other.ask("load") == "three"

    def test_the_lease_is_held_by_one_thread_at_a_time(self, store: TokenStore, tallied: Path) -> None:
        """
        Of all threads that want to refresh, one does at a time.
        """
        with ThreadPoolExecutor(6) as threads:
            list(threads.map(lambda _: tally(store, str(tallied), 5), range(6)))
        assert tallied.read_text() == "30"

    def test_the_lease_is_held_by_one_process_at_a_time(self, store: TokenStore, peers: Peers, tallied: Path) -> None:
        """
        Of all processes that want to refresh, one does at a time.
        """
        all_of_them = [peers.other(), peers.other(), peers.forked(), peers.forked()]
        for peer in all_of_them:
            peer.begin("tally", str(tallied), 5)
        tally(store, str(tallied), 5)
        for peer in all_of_them:
            peer.answer()
        assert tallied.read_text() == "25"

    def test_a_lease_that_is_held_is_refused_in_time_and_given_once_it_is_free(
        self, store: TokenStore, peers: Peers
    ) -> None:
        """
        Whoever waits for the lease waits no longer than he said, and has it as soon as its holder is done.
        """
        other = peers.other()
        other.ask("load")  # its start is not what is measured
        with store.lease(timeout_seconds=WITHIN_SECONDS):
            began = monotonic_seconds()
            with pytest.raises(PeerRefused) as refused:
                other.ask("lease", SOON_SECONDS)
            assert SOON_SECONDS <= monotonic_seconds() - began < WITHIN_SECONDS
            assert refused.value.kind == "TokenStoreUnavailable"
            assert "held for 0.1 s by another process" in refused.value.message
            other.begin("lease", WITHIN_SECONDS)
        other.answer()
        with pytest.raises(TokenStoreUnavailable), store.lease(timeout_seconds=0):
            pytest.fail("two hold it")
        other.ask("release")
        with store.lease(timeout_seconds=WITHIN_SECONDS):
            pass

    def test_a_thread_waits_no_longer_for_another_thread_than_it_said(self, store: TokenStore) -> None:
        """
        A thread that finds the lease with another thread of its process gives up in time, too, and spoils nothing.
        """

        def in_vain() -> str:
            with pytest.raises(TokenStoreUnavailable) as refused, store.lease(timeout_seconds=SOON_SECONDS):
                pytest.fail("two hold it")
            return str(refused.value)

        with ThreadPoolExecutor(1) as thread:
            with store.lease(timeout_seconds=WITHIN_SECONDS):
                assert "another thread of this process" in thread.submit(in_vain).result()
            with store.lease(timeout_seconds=0):
                pass

    def test_a_refresh_that_fails_gives_the_lease_back(self, store: TokenStore, peers: Peers) -> None:
        """
        However a refresh ends, the lease ends with it.
        """
        with pytest.raises(ZeroDivisionError), store.lease(timeout_seconds=WITHIN_SECONDS) as lease:
            raise ZeroDivisionError
        assert lease.seconds_left() == 0
        peers.other().ask("lease", WITHIN_SECONDS)

    def test_the_lease_of_a_killed_process_goes_to_the_next(self, store: TokenStore, peers: Peers) -> None:
        """
        A process that is killed in the middle of a refresh blocks nobody.
        """
        for holder in (peers.other(), peers.forked()):
            holder.ask("lease", WITHIN_SECONDS)
            holder.kill()
            with store.lease(timeout_seconds=WITHIN_SECONDS) as lease:
                assert lease.seconds_left() > 0

    def test_a_killed_holder_blocks_nobody_although_a_child_of_it_lives(self, store: TokenStore, peers: Peers) -> None:
        """
        A child forked in the middle of a refresh does not inherit the lease, and does not keep it once the parent died.
        """
        holder = peers.other()
        holder.ask("lease", WITHIN_SECONDS)
        holder.ask("fork_one_that_lives")
        with pytest.raises(TokenStoreUnavailable), store.lease(timeout_seconds=SOON_SECONDS):
            pytest.fail("two hold it")
        holder.kill()
        with store.lease(timeout_seconds=WITHIN_SECONDS):
            pass

    def test_a_suspended_holder_keeps_the_lease(self, store: TokenStore, peers: Peers) -> None:
        """
        A laptop that sleeps in the middle of a refresh still has the lease when it wakes; others are told in time.
        """
        holder = peers.other()
        holder.ask("lease", WITHIN_SECONDS)
        assert holder.ask("seconds_left") == math.inf
        holder.suspend()
        with pytest.raises(TokenStoreUnavailable), store.lease(timeout_seconds=SOON_SECONDS):
            pytest.fail("two hold it")
        holder.resume()
        holder.ask("release")
        with store.lease(timeout_seconds=WITHIN_SECONDS):
            pass

    def test_a_child_forked_under_the_lease_does_not_have_it(self, store: TokenStore, peers: Peers) -> None:
        """
        A child forked while the lease is held waits for it like any other process, and excludes its parent in turn.
        """
        with store.lease(timeout_seconds=WITHIN_SECONDS) as lease:
            child = peers.forked()
            with pytest.raises(PeerRefused, match="TokenStoreUnavailable"):
                child.ask("lease", SOON_SECONDS)
            assert lease.seconds_left() > 0
            child.begin("lease", WITHIN_SECONDS)
        child.answer()
        with pytest.raises(TokenStoreUnavailable), store.lease(timeout_seconds=SOON_SECONDS):
            pytest.fail("parent and child hold it")
        child.ask("release")
        with store.lease(timeout_seconds=WITHIN_SECONDS):
            pass

    def test_a_child_that_leaves_its_parents_lease_does_not_end_it(self, store: TokenStore, peers: Peers) -> None:
        """
        A child forked under the lease may leave the context it was forked in: the parent's lease is not its to end.
        """
        other = peers.other()
        held = contextlib.ExitStack()
        lease = held.enter_context(store.lease(timeout_seconds=WITHIN_SECONDS))
        child = peers.forked(held)
        child.ask("leave_inherited")
        for peer in (child, other):
            with pytest.raises(PeerRefused, match="TokenStoreUnavailable"):
                peer.ask("lease", SOON_SECONDS)
        assert lease.seconds_left() > 0
        held.close()
        child.ask("lease", WITHIN_SECONDS)
        child.ask("release")
        other.ask("lease", WITHIN_SECONDS)

    def test_a_child_forked_beside_a_thread_with_the_lease_can_have_it_next(
        self, store: TokenStore, peers: Peers
    ) -> None:
        """
        A fork at any moment, also while one thread refreshes and another waits, leaves a child that can refresh.
        """
        holding, enough = threading.Event(), threading.Event()

        def hold() -> None:
            with store.lease(timeout_seconds=WITHIN_SECONDS):
                holding.set()
                assert enough.wait(WITHIN_SECONDS)

        def hold_next() -> None:
            with store.lease(timeout_seconds=WITHIN_SECONDS):
                pass

        with ThreadPoolExecutor(2) as threads:
            first = threads.submit(hold)
            assert holding.wait(WITHIN_SECONDS)
            second = threads.submit(hold_next)
            child = peers.forked()
            with pytest.raises(PeerRefused, match="TokenStoreUnavailable"):
                child.ask("lease", SOON_SECONDS)
            enough.set()
            first.result()
            second.result()
        child.ask("lease", WITHIN_SECONDS)
        assert child.ask("swap", None, "one")

    def test_forks_in_the_middle_of_anything_leave_children_that_work(self, store: TokenStore, peers: Peers) -> None:
        """
        Children forked while other threads read, write and refresh can do all of that themselves.
        """
        enough = threading.Event()

        def work() -> None:
            while not enough.is_set():
                with store.lease(timeout_seconds=WITHIN_SECONDS):
                    count_up(store, 1)

        with ThreadPoolExecutor(3) as threads:
            working = [threads.submit(work) for _ in range(3)]
            children = [peers.forked() for _ in range(8)]
            enough.set()
            for future in working:
                future.result()
        before = int(store.load() or "0")
        for child in children:
            child.begin("lease", WITHIN_SECONDS)
            child.begin("count_up", 1)
            child.begin("release")
        for child in children:
            for _ in range(3):
                child.answer()
        assert store.load() == str(before + len(children))

    def test_a_writer_killed_at_any_moment_leaves_the_old_or_the_new_document(
        self, store: TokenStore, peers: Peers
    ) -> None:
        """
        A crash in the middle of a write leaves one whole document, the old or the new, and a store that goes on.
        """
        store.swap(None, LARGE[0])
        for _ in range(30):
            writer = peers.forked()
            writer.begin("flip", *LARGE)
            for _ in range(random.randrange(5)):
                writer.answer()
            writer.kill()
            assert store.load() in LARGE
        # Twice: what the last one had sent to Redis may arrive in between.
        assert any(store.swap(store.load(), "goes on") for _ in range(2))

    def test_no_repr_and_no_error_shows_the_document(self, store: TokenStore, place: Place) -> None:
        """
        Tokens do not end up in logs: neither the store's repr nor its errors hold them.
        """
        store.swap(None, SECRET)
        shown = [repr(store), str(store), repr(place)]
        for unfit in (SECRET + "\ud800", SECRET * 10_000):
            with pytest.raises(TokenStoreRefused) as refused:
                store.swap(SECRET, unfit)
            shown.append(repr(refused.value))
            assert refused.value.__context__ is None
        assert not [text for text in shown if SECRET[:12] in text]
