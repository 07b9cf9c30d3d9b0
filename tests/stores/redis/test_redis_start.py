"""What a Redis store says of its Redis before it is used, and how it goes with users who live elsewhere."""

import logging
import traceback
from typing import Any

import pytest

from evertoken.errors import ConfigurationError
from evertoken.sessions.model import AccountChange, AccountState, EventKind
from evertoken.sessions.rotation import Outcome, Reason
from evertoken.stores.redis import with_users
from evertoken.stores.redis.with_users import RedisWithUsers
from tests.stores.compliance.bench import ACCESS_LIFETIME_MS, POLICY, add_user, new_session, refresh, sign_in, signed_in
from tests.stores.redis.bench import RedisBench
from tests.stores.redis.server import RedisServer
from tests.token_stores.redis_server import PASSWORD_ITSELF


def at(url: str, **manner: Any) -> RedisWithUsers:
    """A store that is about to be started."""
    return RedisWithUsers(url, users=None, policy=POLICY, access_lifetime_ms=ACCESS_LIFETIME_MS, **manner)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"password": "wrong-horse"}, "refuses this user or password"),
        ({"port": 1}, "cannot be reached"),
        ({"query": "?socket_timeout=wrong-horse"}, "cannot be read"),
        ({"query": "?nonsense=wrong-horse"}, "cannot be read"),
        ({"password": "wrong/horse"}, "write @ : / "),
    ],
)
async def test_what_is_wrong_at_the_start_is_said_in_one_line_without_the_password(
    server: RedisServer, changed: dict[str, Any], told: str
) -> None:
    """A wrong address or password is one clear message; the password stands nowhere in it."""
    stores: list[RedisWithUsers] = []

    async def start() -> None:
        stores.append(at(server.url(**changed)))
        await stores[0].start()

    with pytest.raises(ConfigurationError, match=told) as raised:
        await start()
    text = "".join(traceback.format_exception(raised.value)) + repr(stores) + repr(raised.value)
    assert "\n" not in str(raised.value)
    for secret in ("p4ss", PASSWORD_ITSELF, "wrong-horse", "wrong/horse"):
        assert secret not in text
    for store in stores:
        await store.stop()


async def _told_at_start(bench: RedisBench, caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    caplog.set_level(logging.INFO)
    store = bench.open()
    await store.start()
    assert "p4ss" not in caplog.text
    return [record.getMessage() for record in caplog.records if "stores.redis" in record.name]


async def test_a_durable_redis_starts_without_a_word(bench: RedisBench, caplog: pytest.LogCaptureFixture) -> None:
    """With appendonly and appendfsync always nothing that was acknowledged is lost, and nothing is said."""
    assert await _told_at_start(bench, caplog) == []


async def test_what_may_be_lost_is_said_at_the_start(
    bench: RedisBench, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """A Redis that flushes once a second, or never, serves; the log says what a crash will take."""
    with server.admin() as admin:
        try:
            admin.config_set("appendfsync", "everysec")
            (told,) = await _told_at_start(bench, caplog)
            assert "appendfsync is everysec: a crash of the machine loses the sign-ins and sign-outs of about" in told
            admin.config_set("appendonly", "no")
            (told,) = await _told_at_start(bench, caplog)
            assert "appendonly is off: a crash loses sign-ins and sign-outs since the last snapshot" in told
        finally:
            admin.config_set("appendonly", "yes")
            admin.config_set("appendfsync", "always")


async def test_a_redis_that_would_throw_sessions_away_is_refused(
    bench: RedisBench, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """An eviction policy under a limit is refused; without a limit it has no effect yet, and the log says so."""
    with server.admin() as admin:
        try:
            admin.config_set("maxmemory-policy", "allkeys-lru")
            (told,) = await _told_at_start(bench, caplog)
            assert "maxmemory-policy is allkeys-lru" in told
            admin.config_set("maxmemory", "1gb")
            with pytest.raises(ConfigurationError, match="set it to noeviction"):
                await bench.open().start()
        finally:
            admin.config_set("maxmemory", 0)
            admin.config_set("maxmemory-policy", "noeviction")


async def test_a_user_of_redis_who_may_not_read_the_configuration_can_run_the_store(
    bench: RedisBench, server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """With the rights that the documentation names everything works, and the log says what could not be looked at."""
    with server.admin() as admin:
        admin.acl_setuser(
            "evertoken",
            enabled=True,
            passwords=["+narrow"],
            keys=["evertoken:*"],
            categories=["-@all", "+@read", "+@write", "+@scripting", "+@connection", "-@dangerous"],
            commands=["+info", "+time"],
        )
        try:
            caplog.set_level(logging.INFO)
            store = at(f"redis://evertoken:narrow@127.0.0.1:{server.port}/0", clock=bench.clock)
            await store.start()
            assert "CONFIG GET is not allowed here" in caplog.text
            user = await add_user(bench.open())
            token = await sign_in(bench.open(), bench.clock, user)
            assert (await refresh(store, token, account=AccountState(0, False, "ada", ()))).outcome is Outcome.REISSUE
            assert (await store.end(token.session_id, Reason.SIGNED_OUT, new_session(bench.clock, user).caller)).events
            await store.stop()
        finally:
            admin.acl_deluser("evertoken")


async def test_an_empty_redis_in_place_of_a_lost_one_is_not_begun_anew(bench: RedisBench, server: RedisServer) -> None:
    """A worker that is started again refuses a Redis without our data, which would sign everybody out."""
    empty = at(server.url(), may_create=False)
    with pytest.raises(ConfigurationError, match="holds nothing of evertoken"):
        await empty.start()
    await empty.stop()
    await bench.open().start()
    again = at(server.url(), may_create=False)
    await again.start()
    await again.stop()


async def test_data_of_a_newer_evertoken_and_a_replica_are_refused(bench: RedisBench, server: RedisServer) -> None:
    """A server that was set back leaves data alone that it does not know; a replica cannot be written."""
    await bench.ask("SET", bench.keys.version, "2")
    with pytest.raises(ConfigurationError, match="was written by a newer evertoken"):
        await bench.open().start()
    await bench.empty()
    with server.admin() as admin:
        admin.replicaof("127.0.0.1", "1")
        try:
            with pytest.raises(ConfigurationError, match="read-only replica; name its primary"):
                await bench.open().start()
        finally:
            admin.replicaof("NO", "ONE")


async def test_a_users_state_is_remembered_for_two_seconds_and_no_longer(
    bench: RedisBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another machine's disabling is known within two seconds; one made here, at once."""
    now = 1_000.0
    monkeypatch.setattr(with_users, "monotonic_seconds", lambda: now)
    store = bench.open(remember_seconds=with_users.REMEMBER_SECONDS)
    token = await signed_in(store, bench.clock)
    assert (await refresh(store, token)).roles == ()
    users = bench.open_users()
    await users.set_roles("u_ada", ("admin",))
    now += 1.999
    assert (await refresh(store, token)).roles == ()
    now += 0.001
    assert (await refresh(store, token)).roles == ("admin",)
    await store.set_roles("u_ada", ("reader",))
    assert (await refresh(store, token)).roles == ("reader",)
    disable = AccountChange("u_ada", Reason.ACCOUNT_DISABLED, EventKind.ACCOUNT_DISABLED, disabled=True)
    await users.change_account(disable)  # by hand, past this store: it ends no session here
    now += 1.999
    assert (await refresh(store, token)).outcome is Outcome.REISSUE
    now += 0.001
    assert (await refresh(store, token)).reason is Reason.ACCOUNT_DISABLED


async def test_a_sign_in_after_a_password_change_elsewhere_is_not_refused_by_what_is_remembered(
    bench: RedisBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is remembered of a user may be older than the sign-in of a session; nobody is signed out by it."""
    monkeypatch.setattr(with_users, "monotonic_seconds", lambda: 1_000.0)
    store = bench.open(remember_seconds=with_users.REMEMBER_SECONDS)
    old = await signed_in(store, bench.clock)
    await refresh(store, old)
    elsewhere = bench.open()
    await elsewhere.change_account(AccountChange("u_ada", Reason.PASSWORD_CHANGED, EventKind.PASSWORD_CHANGED))
    user = await elsewhere.find_by_id("u_ada")
    assert user is not None
    new = await sign_in(elsewhere, bench.clock, user)
    assert (await refresh(store, new)).outcome is Outcome.REISSUE
    assert (await refresh(store, old)).reason is Reason.PASSWORD_CHANGED


async def test_where_the_host_application_has_the_users_none_can_be_added_here(server: RedisServer) -> None:
    """Commands about users say why they cannot be carried out, instead of writing where nobody will look."""
    store = at(server.url())
    assert await store.count_users() == (0, 0)
    with pytest.raises(ConfigurationError, match="they live in the host application"):
        await store.set_roles("u_ada", ())
    await store.stop()
