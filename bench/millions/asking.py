"""Everything that a store is asked, each timed."""

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from bench.millions.people import Person, user_name
from bench.stores import ACCOUNT
from evertoken.accounts.sign_in import AttemptKeys
from evertoken.accounts.throttle import Kind, Limits
from evertoken.clock import system_clock
from evertoken.errors import StoreUnavailable
from evertoken.sessions.model import Caller, NewSession, RotationRequest
from evertoken.sessions.operating import SessionSearch
from evertoken.sessions.rotation import Reason
from evertoken.tokens import refresh_token
from evertoken.tokens.refresh_token import Delivery

_DAY_MS = 24 * 3600 * 1000
_ATTEMPT: AttemptKeys = {Kind.PAIR: b"pair", Kind.ACCOUNT: b"account", Kind.ADDRESS: b"address"}
_HERE = Caller("192.0.2.7", "evertoken-bench/1")
PAGE = 100

Questions = dict[str, Callable[[], Awaitable[object]]]


def what_operators_ask(store: Any, one: Person, newest_user: int) -> Questions:
    """
    Pages of lists and figures of the console; by what they are called in the table.

    Args:
        one: A session that is there.
        newest_user: The number of the last user.
    """
    name = user_name(newest_user // 2)[1]
    now_ms = system_clock()

    async def second_page() -> object:
        first = await store.search_sessions(SessionSearch(limit=PAGE))
        return await store.search_sessions(SessionSearch(after=first.after, limit=PAGE))

    questions: Questions = {
        "sessions, the newest page": lambda: store.search_sessions(SessionSearch(limit=PAGE)),
        "sessions, the page after it": second_page,
        "sessions, a search that finds nothing in its window": lambda: store.search_sessions(
            SessionSearch(part="nobody-is-called-so", live_only=False, limit=PAGE)
        ),
        "sessions of a user": lambda: store.search_sessions(SessionSearch(user_id=one.user_id, limit=PAGE)),
        "sessions by id, a page": lambda: store.list_sessions(after=one.id, limit=PAGE),
        "one session and its trail": lambda: store.timeline(one.id),
        "the newest lines of the trail": lambda: store.newest_events(PAGE),
        "users by their sessions, a page": lambda: store.tally_users(
            fresh_after_ms=now_ms - 1_800_000, after=one.user_id, limit=PAGE
        ),
        "what happened in a day": lambda: store.happened(from_ms=now_ms - _DAY_MS, until_ms=now_ms),
        "ended sessions by reason": store.ended_sessions,
    }
    if hasattr(store, "search_users"):
        questions |= {
            "users, a search": lambda: store.search_users(name.partition("@")[0], after=None, limit=PAGE),
            "users, a page": lambda: store.list_users(name, PAGE),
            "users, counted": store.count_users,
        }
    return questions


def what_servers_ask(store: Any, one: Person, another: Person) -> Questions:
    """
    What a sign-in, a refresh, a sign-out and their like ask of the store; each changes what it changes.

    Args:
        one: A live session, of which the newest token is not known to anybody else.
        another: A second one, of another user; it ends.
    """
    own_users = hasattr(store, "find_by_id")
    rotation = RotationRequest(refresh_token.child_of(one.token(), now_ms=system_clock()), _HERE)
    if not own_users:
        rotation = replace(rotation, account=ACCOUNT)
    token = refresh_token.first(session_id=b"bench of millions", delivery=Delivery.BODY, now_ms=system_clock())
    token = replace(token, session_id=token.session_id[:16], key_id=b"evbe")
    new = NewSession(one.user_id, one.username, 0, "web", token, _HERE)
    limits = Limits()
    questions: Questions = {
        "judge": lambda: store.judge(rotation),
        "rotate": lambda: store.rotate([rotation]),
        "replay": lambda: store.rotate([replace(rotation, token=another_child(another))]),
        "find": lambda: store.find(one.id),
        "begin": lambda: store.create(new),
        "end": lambda: store.end(another.id, Reason.SIGNED_OUT, _HERE),
        "live sessions": lambda: store.live_sessions_of([one.user_id, another.user_id]),
        "revocations": lambda: store.revocations_after(0),
        "attempt": lambda: store.reserve_attempt(_ATTEMPT, limits),
        "attempt succeeded": lambda: store.attempt_succeeded(_ATTEMPT, limits),
        "keys": store.list_keys,
        "ping": store.ping,
        "sweep": store.sweep,
    }
    if own_users:
        questions |= {
            "user by name": lambda: store.find_by_key(one.username),
            "user by id": lambda: store.find_by_id(one.user_id),
        }
    return questions


def another_child(person: Person) -> refresh_token.RefreshToken:
    """A token of somebody's past: who presents it was not there when it was replaced."""
    past = replace(person.token(), generation=0, tag=bytes(range(16)), parent=bytes(16))
    return refresh_token.child_of(past, now_ms=system_clock() - 1)


async def timed(question: Callable[[], Awaitable[object]]) -> float:
    """How long the answer took, in seconds; infinity where the store gave up."""
    began = time.perf_counter()
    try:
        await question()
    except StoreUnavailable:
        return math.inf
    return time.perf_counter() - began
