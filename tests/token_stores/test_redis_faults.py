"""A Redis that is down, full, closed to us or silent; and passwords that are shown to nobody."""

import os
import signal
import traceback

import pytest

from evertoken.client.token_stores.redis import RedisStore
from evertoken.clock import monotonic_seconds
from evertoken.errors import ConfigurationError, TokenStoreRefused, TokenStoreUnavailable
from tests.support.process import lasting_port
from tests.token_stores.compliance import SECRET, WITHIN_SECONDS
from tests.token_stores.redis_server import PASSWORD, RedisServer

KEY = "evertoken:session"
PARTS_OF_SECRETS = (SECRET[:12], "p4ss", "w0rd")


def told(error: BaseException) -> str:
    """All that a log would show of an error, with everything that it is chained to."""
    text = "".join(traceback.format_exception(error)) + repr(error) + repr(error.__cause__) + repr(error.__context__)
    assert not [part for part in PARTS_OF_SECRETS if part in text]
    return str(error)


def failing(store: RedisStore, kind: type[Exception]) -> list[str]:
    """What each method says when all of them fail in that way."""
    attempts = (store.load, store.prepare, lambda: store.swap(SECRET, "x"), lambda: store.swap(None, SECRET))
    texts = []
    for attempt in attempts:
        with pytest.raises(kind) as failed:
            attempt()
        texts.append(told(failed.value))
    with pytest.raises(kind) as failed, store.lease(timeout_seconds=WITHIN_SECONDS):
        pytest.fail("held without Redis")
    return [*texts, told(failed.value)]


def test_a_key_with_something_else_is_refused(store: RedisStore, server: RedisServer) -> None:
    """
    A key that holds somebody else's data is left alone.
    """
    with server.admin() as admin:
        admin.hset(KEY, "name", SECRET)
        for attempt in (store.load, store.prepare, lambda: store.swap(None, "x")):
            with pytest.raises(TokenStoreRefused, match="holds something else: choose another key") as refused:
                attempt()
            told(refused.value)
        assert admin.hgetall(KEY) == {"name": SECRET}
        admin.delete(KEY)
        admin.set(KEY, "")
        with pytest.raises(TokenStoreRefused, match="it is empty"):
            store.load()


def test_a_redis_that_is_full_is_found_before_a_refresh_is_sent(store: RedisStore, server: RedisServer) -> None:
    """
    A Redis without memory fails `prepare` and the lease, and keeps the document.
    """
    store.swap(None, SECRET)
    with server.admin() as admin:
        admin.config_set("maxmemory", 1)
        try:
            for attempt in (store.prepare, lambda: store.swap(SECRET, "x")):
                with pytest.raises(TokenStoreUnavailable, match="Redis is full: raise its maxmemory") as full:
                    attempt()
                told(full.value)
            assert store.load() == SECRET
        finally:
            admin.config_set("maxmemory", 0)
    store.prepare()


def test_a_replica_that_may_not_be_written_is_found_before_a_refresh_is_sent(
    store: RedisStore, server: RedisServer
) -> None:
    """
    A read-only replica fails `prepare` and names the way out.
    """
    store.swap(None, SECRET)
    with server.admin() as admin:
        admin.replicaof("127.0.0.1", str(lasting_port()))
        try:
            with pytest.raises(TokenStoreUnavailable, match="read-only replica: name its primary") as told_so:
                store.prepare()
            told(told_so.value)
        finally:
            admin.replicaof("NO", "ONE")


def test_a_redis_that_is_down_is_not_mistaken_for_a_lease_that_is_held() -> None:
    """
    Where no Redis listens, every method says so at once, and names the address.
    """
    port = lasting_port()
    began = monotonic_seconds()
    store = RedisStore(f"redis://:{PASSWORD}@127.0.0.1:{port}/0")
    for text in failing(store, TokenStoreUnavailable):
        assert f"Redis at 127.0.0.1:{port}, key 'evertoken:session': Redis cannot be reached" in text
        assert "held" not in text
    assert monotonic_seconds() - began < WITHIN_SECONDS


def test_a_redis_that_does_not_answer_makes_nobody_hang(server: RedisServer) -> None:
    """
    A Redis that accepts connections and answers nothing is given up on after the socket timeout.
    """
    store = RedisStore(server.url(query="?socket_timeout=0.05"))
    held = store.lease(timeout_seconds=0)
    lease = held.__enter__()
    os.kill(server.pid, signal.SIGSTOP)
    try:
        with pytest.raises(TokenStoreUnavailable, match="cannot be reached") as failed:
            store.load()
        told(failed.value)
        held.__exit__(None, None, None)  # the lease cannot be given back, and that hides nothing
        assert lease.seconds_left() == 0
        failing(store, TokenStoreUnavailable)
    finally:
        os.kill(server.pid, signal.SIGCONT)


def test_a_connection_that_redis_has_closed_is_replaced(store: RedisStore, server: RedisServer) -> None:
    """
    A connection that Redis has closed for idleness is replaced without anybody's noticing.
    """
    store.swap(None, "one")
    with server.admin() as admin:
        admin.client_kill_filter(_type="normal", skipme=True)
    assert store.load() == "one"


@pytest.mark.parametrize("password", ["p4ss-w0rd", ""], ids=["wrong", "none"])
def test_a_wrong_password_is_refused_and_not_shown(server: RedisServer, password: str) -> None:
    """
    A wrong or missing password is for a person to correct, and is shown to nobody.
    """
    for text in failing(RedisStore(server.url(password=password)), TokenStoreRefused):
        assert "Redis refuses our user name, password or rights" in text


def test_a_user_without_the_rights_is_refused(server: RedisServer) -> None:
    """
    A user of Redis who may not touch the key is told which rights are missing.
    """
    with server.admin() as admin:
        admin.acl_setuser("guest", enabled=True, passwords=["+p4ss"], keys=["other"], commands=["+@all"])
    for text in failing(RedisStore(f"redis://guest:p4ss@127.0.0.1:{server.port}"), TokenStoreRefused):
        assert "allow this user the key" in text


@pytest.mark.parametrize("url", ["http://:p4ss@host", "redis://:p4ss/w0rd@host:6379", "p4ss", "redis://:p4ss@h:w0rd"])
def test_a_url_that_is_none_is_refused_at_start_up_and_not_shown(url: str) -> None:
    """
    A URL that redis-py does not understand is a mistake in the configuration; the error does not repeat it.
    """
    with pytest.raises(ConfigurationError, match="percent-encode special characters") as refused:
        RedisStore(url)
    told(refused.value)
