"""Tokens in Redis."""

import copy
import pickle
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType

import pytest
import redis
import redis.asyncio
from redis.crc import key_slot

from evertoken.client.token_stores.redis import RedisStore, _lease_key
from evertoken.clock import monotonic_seconds
from evertoken.errors import ConfigurationError, TokenStoreRefused, TokenStoreUnavailable
from tests.token_stores.compliance import SECRET, SOON_SECONDS, WITHIN_SECONDS, Place, TokenStoreCompliance
from tests.token_stores.peer import PeerRefused, Peers, peers_of
from tests.token_stores.redis_server import PASSWORD_ITSELF, RedisServer, running_redis

KEY = "evertoken:session"
BRIEF_SECONDS = 1.0


def place_of(server: RedisServer, lease_seconds: float) -> Place:
    url = server.url()
    return Place(RedisStore(url, lease_seconds=lease_seconds), ["redis", url, str(lease_seconds)])


class TestRedisStore(TokenStoreCompliance):
    """Shared by all who reach it; its lease runs out, since no kernel watches over the holder."""

    @pytest.fixture
    def place(self, server: RedisServer) -> Place:
        return place_of(server, 30)

    @pytest.fixture
    def brief(self, server: RedisServer) -> Iterator[tuple[RedisStore, Peers]]:
        place = place_of(server, BRIEF_SECONDS)
        assert isinstance(place.store, RedisStore)
        with peers_of(place.store, place.spec) as peers:
            yield place.store, peers

    def test_the_lease_of_a_killed_process_goes_to_the_next(  # type: ignore[override]
        self, brief: tuple[RedisStore, Peers]
    ) -> None:
        """
        A process that is killed in the middle of a refresh blocks others until its lease has run out, and no longer.
        """
        store, peers = brief
        holder = peers.other()
        holder.ask("lease", WITHIN_SECONDS)
        holder.kill()
        began = monotonic_seconds()
        with store.lease(timeout_seconds=WITHIN_SECONDS) as lease:
            assert monotonic_seconds() - began < BRIEF_SECONDS + 3
            assert 0 < lease.seconds_left() <= BRIEF_SECONDS

    def test_a_killed_holder_blocks_nobody_although_a_child_of_it_lives(  # type: ignore[override]
        self, brief: tuple[RedisStore, Peers]
    ) -> None:
        """
        A child forked in the middle of a refresh does not keep the lease of its parent alive.
        """
        store, peers = brief
        holder = peers.other()
        holder.ask("lease", WITHIN_SECONDS)
        holder.ask("fork_one_that_lives")
        holder.kill()
        with store.lease(timeout_seconds=WITHIN_SECONDS):
            pass

    def test_a_suspended_holder_keeps_the_lease(  # type: ignore[override]
        self, brief: tuple[RedisStore, Peers], place: Place
    ) -> None:
        """
        A holder that sleeps for longer than the lease has lost it, can tell, and does not end the next one's.
        """
        store, peers = brief
        holder = peers.other()
        holder.ask("lease", WITHIN_SECONDS)
        assert 0 < holder.ask("seconds_left") <= BRIEF_SECONDS
        holder.suspend()
        with (
            pytest.raises(TokenStoreUnavailable, match="by another process"),
            store.lease(timeout_seconds=SOON_SECONDS),
        ):
            pytest.fail("two hold it")
        patient = peers.other()
        with place.store.lease(timeout_seconds=WITHIN_SECONDS):
            holder.resume()
            assert holder.ask("seconds_left") == 0
            holder.ask("release")
            with pytest.raises(PeerRefused, match="by another process"):
                patient.ask("lease", 0)


def test_the_lease_is_a_key_that_expires_and_is_gone_afterwards(store: RedisStore, server: RedisServer) -> None:
    """
    The lease is one key with an expiry; nothing but the document is left once it is over.
    """
    with server.admin() as admin:
        with store.lease(timeout_seconds=0) as lease:
            store.swap(None, "one")
            assert set(admin.keys()) == {KEY, f"{{{KEY}}}:lease"}
            milliseconds_left = admin.pttl(f"{{{KEY}}}:lease")
            assert lease.seconds_left() * 1000 <= milliseconds_left + 1 <= 30_001
        store.prepare()
        assert admin.keys() == [KEY]
        assert admin.get(KEY) == "one"
        assert admin.ttl(KEY) == -1


@pytest.mark.parametrize("key", ["evertoken:session", "a", "{app}:tokens", "x{app}y", "{a}{b}", "app{", "é"])
def test_document_and_lease_share_a_hash_slot(key: str) -> None:
    """
    In a Redis Cluster document and lease live on one node.
    """
    assert _lease_key(key) != key
    assert key_slot(_lease_key(key).encode()) == key_slot(key.encode())


@pytest.mark.parametrize("key", ["", "a}", "{}a", "}{"])
def test_a_key_that_cannot_share_a_slot_with_a_lease_is_refused(key: str) -> None:
    """
    A key whose braces are no hash tag is a mistake in the configuration.
    """
    with pytest.raises(ConfigurationError, match="key: "):
        RedisStore("redis://localhost", key=key)


def test_a_redis_cluster_keeps_tokens() -> None:
    """
    A Redis Cluster is as good as a single Redis.
    """
    with running_redis("cluster-enabled yes") as server:
        with server.admin() as admin:
            admin.eval("return redis.call('CLUSTER', 'ADDSLOTSRANGE', 0, 16383)", 0)
            while "cluster_state:ok" not in str(admin.eval("return redis.call('CLUSTER', 'INFO')", 0)):
                admin.wait(1, 50)  # it takes two seconds to find itself well, and has no way to be waited for
        with redis.RedisCluster(host="127.0.0.1", port=server.port, password=PASSWORD_ITSELF) as client:
            store = RedisStore(client, lease_seconds=5)
            with store.lease(timeout_seconds=0):
                store.prepare()
                assert store.swap(None, "one") and store.swap("one", "two") and not store.swap("one", "three")
                store.prepare()
            assert store.load() == "two"


def test_a_client_that_decodes_answers_is_as_good(server: RedisServer) -> None:
    """
    The client of the application may decode what Redis answers, or not.
    """
    with server.admin() as decoding, redis.Redis(port=server.port, password=PASSWORD_ITSELF) as plain:
        one, other = RedisStore(decoding), RedisStore(plain)
        assert one.swap(None, "Zoë 🦉")
        assert one.load() == other.load() == "Zoë 🦉"
        assert other.swap("Zoë 🦉", "two")
        assert one.swap("two", None)
        plain.set(KEY, b"\xff" + SECRET.encode())
        for store in (one, other):
            with pytest.raises(TokenStoreRefused, match="it is not UTF-8; delete the key") as refused:
                store.load()
            assert refused.value.__context__ is None


def test_a_client_made_from_a_url_has_timeouts_and_repeats_nothing(store: RedisStore) -> None:
    """
    Given a URL, the store waits three seconds for Redis, and sends nothing twice.
    """
    client = store._clients.current()
    assert isinstance(client, redis.Redis)
    given = client.connection_pool.connection_kwargs
    assert (given["socket_timeout"], given["socket_connect_timeout"]) == (3.0, 3.0)
    assert given["retry"].get_retries() == 0


def test_a_child_forked_beside_a_thread_inside_redis_py_has_a_client_of_its_own(store: RedisStore) -> None:
    """
    A child forked while a thread holds a lock of redis-py does not wait for that lock, given the URL.
    """
    client = store._clients.current()
    assert isinstance(client, redis.Redis)
    store.swap(None, "one")
    held, enough = threading.Event(), threading.Event()

    def hold() -> None:
        with client.connection_pool._lock:
            held.set()
            assert enough.wait(WITHIN_SECONDS)

    with peers_of(store, None) as peers, ThreadPoolExecutor(1) as thread:
        thread.submit(hold)
        assert held.wait(WITHIN_SECONDS)
        child = peers.forked()
        enough.set()
        child.ask("lease", WITHIN_SECONDS)
        assert child.ask("load") == store.load() == "one"


def test_no_repr_shows_the_password(store: RedisStore) -> None:
    """
    A store that was made from a URL with a password shows its key only.
    """
    assert repr(store) == str(store) == "RedisStore(key='evertoken:session')"


def test_an_asynchronous_client_is_refused_at_start_up() -> None:
    """
    Token stores are used from a thread, so a client for event loops does not fit.
    """
    with pytest.raises(ConfigurationError, match="synchronous client"):
        RedisStore(redis.asyncio.Redis())


@pytest.mark.parametrize("seconds", [0, 0.5, 3601, float("nan")])
def test_a_lease_of_no_use_is_refused_at_start_up(seconds: float) -> None:
    """
    A lease lasts between a second and an hour.
    """
    with pytest.raises(ConfigurationError, match="lease_seconds"):
        RedisStore("redis://localhost", lease_seconds=seconds)


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The store needs an extra, and says which.
    """
    missing: dict[str, ModuleType | None] = {"redis": None, "redis.exceptions": None}
    for name, module in missing.items():
        monkeypatch.setitem(__import__("sys").modules, name, module)
    with pytest.raises(ConfigurationError, match=r"pip install 'evertoken\[redis\]'"):
        RedisStore("redis://localhost")


@pytest.mark.parametrize("how", [pickle.dumps, copy.copy])
def test_a_pickled_redis_store_is_refused_with_a_way_out(store: RedisStore, how: object) -> None:
    """
    A RedisStore would carry its password along, so it is not pickled.
    """
    assert callable(how)
    with pytest.raises(TypeError, match="make one from the URL"):
        how(store)
