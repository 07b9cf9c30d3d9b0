"""One use of everything that a store does, for tests that look at how it does it."""

from evertoken.sessions.model import AccountChange, EventKind, RotationRequest
from evertoken.sessions.operating import SessionSearch
from evertoken.sessions.rotation import Outcome, Reason
from evertoken.stores.store import Store
from tests.stores.compliance.attempts import KEYS, LIMITS
from tests.stores.compliance.bench import LAPTOP, POLICY, Bench, add_user, refresh, sign_in, succeed


async def use_everything(store: Store, bench: Bench) -> None:
    """Every kind of statement at least once, one after the other."""
    clock = bench.clock
    user = await add_user(store)
    token = await sign_in(store, clock, user)
    ended = await sign_in(store, clock, user, replaces=(await sign_in(store, clock, user)).session_id)
    successor = await succeed(store, clock, token)
    await refresh(store, token)
    clock.advance(POLICY.overlap_ms / 1000 + 1)
    assert (await refresh(store, token)).outcome is Outcome.REPLAY
    await store.judge(RotationRequest(successor, LAPTOP))
    await store.end(ended.session_id, Reason.SIGNED_OUT, LAPTOP)
    await store.change_account(AccountChange(user.id, Reason.REVOKED, EventKind.PASSWORD_CHANGED, keep=b"-"))
    for user_id in (None, user.id):
        await store.list_sessions(user_id=user_id)
        await store.search_sessions(SessionSearch("x", user_id=user_id))
    await store.tally_users(fresh_after_ms=0, after=None, limit=10)
    await store.live_sessions_of([user.id])
    await store.happened(from_ms=0, until_ms=clock())
    await store.ended_sessions()
    await store.search_users("x", after=None, limit=10)
    await store.count_users()
    await store.list_users(None, 10)
    await store.find_by_key("ada")
    await store.find(token.session_id)
    await store.timeline(token.session_id)
    await store.newest_events(10)
    await store.revocations_after(0)
    await store.reserve_attempt(KEYS, LIMITS)
    await store.attempt_succeeded(KEYS, LIMITS)
    await store.list_keys()
    await store.list_clients()
    await store.find_client("c")
    await store.ping()
    clock.advance(POLICY.idle_ms / 1000 + 40 * 24 * 3600)
    assert await store.sweep()
