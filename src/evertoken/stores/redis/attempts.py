"""
Sign-in attempts in Redis: deciding and counting are one step, whichever machine an attempt comes to.

The decision is the pure function's; what it decides is written only if nobody has counted in between. Counters go by
themselves after 30 days.
"""

import asyncio
import struct
from collections.abc import Callable, Mapping
from typing import Final

from evertoken.accounts.sign_in import AttemptKeys
from evertoken.accounts.throttle import Bucket, Kind, Limit, Limits, Verdict, after_attempt, after_success, decide
from evertoken.errors import StoreUnavailable
from evertoken.stores.redis.calling import Calls
from evertoken.stores.redis.keys import Keys
from evertoken.stores.redis.scripts import SWAP

KNOWN_FOR_MS: Final = 30 * 24 * 3600 * 1000
"""How long an address from which somebody signed in counts as known for that account."""

MAX_TRIES: Final = 50
"""How often a step is taken anew because another machine counted in between."""

_COUNTED: Final = struct.Struct(">Iqq")

_Found = tuple[Bucket | None, int | None]
"""What is counted under a key, and when it last succeeded."""
_Step = Callable[[Mapping[Kind, _Found], int], Mapping[Kind, _Found]]


class Attempts:
    """The counters. Within one process attempts take turns, so that only other machines come in between."""

    def __init__(self, calls: Calls, keys: Keys) -> None:
        self._calls = calls
        self._keys = keys
        self._turn = asyncio.Lock()

    async def reserve(self, keys: AttemptKeys, limits: Limits) -> Verdict:
        """Decide on an attempt and count it as a failure."""
        verdict = Verdict(allowed=False)

        def step(found: Mapping[Kind, _Found], now_ms: int) -> Mapping[Kind, _Found]:
            nonlocal verdict
            last_success_at_ms = found[Kind.PAIR][1]
            verdict = decide(
                {kind: bucket for kind, (bucket, _) in found.items()},
                now_ms=now_ms,
                limits=limits,
                address_is_known=last_success_at_ms is not None and now_ms - last_success_at_ms < KNOWN_FOR_MS,
            )
            if not verdict.allowed:
                return {}
            return {
                kind: (after_attempt(bucket, now_ms=now_ms, limit=limits.of(kind)), success)
                for kind, (bucket, success) in found.items()
            }

        await self._take(keys, step)
        return verdict

    async def succeeded(self, keys: AttemptKeys, limits: Limits) -> None:
        """Take the counted failure back, clear the account, remember the pair."""

        def step(found: Mapping[Kind, _Found], now_ms: int) -> Mapping[Kind, _Found]:
            return {
                Kind.PAIR: (None, now_ms),
                Kind.ACCOUNT: (None, None),
                Kind.ADDRESS: _forgiven(found[Kind.ADDRESS], limits.address),
            }

        await self._take(keys, step)

    async def withdrawn(self, keys: AttemptKeys, limits: Limits) -> None:
        """Take the counted failure back from every bucket."""

        def step(found: Mapping[Kind, _Found], _: int) -> Mapping[Kind, _Found]:
            return {kind: _forgiven(one, limits.of(kind)) for kind, one in found.items()}

        await self._take(keys, step)

    async def _take(self, keys: AttemptKeys, step: _Step) -> None:
        kinds = list(keys)
        where = [self._keys.attempts(keys[kind]) for kind in kinds]
        async with self._turn:
            for _ in range(MAX_TRIES):
                now_ms = await self._calls.now_ms()
                read = [raw or b"" for raw in await self._calls.run([("GET", key) for key in where])]
                found = {kind: _parse(raw) for kind, raw in zip(kinds, read, strict=True)}
                changed = step(found, now_ms)
                if not changed:
                    return
                if await self._calls.one(SWAP.on(where, *read, *(_packed(changed[kind]) for kind in kinds))):
                    return
        raise StoreUnavailable("Redis: too many attempts to sign in at once under one name or address")


def _forgiven(found: _Found, limit: Limit) -> _Found:
    bucket, last_success_at_ms = found
    return (None if bucket is None else after_success(bucket, limit=limit)), last_success_at_ms


def _parse(raw: bytes) -> _Found:
    if not raw:
        return None, None
    failures, last_failure_at_ms, last_success_at_ms = _COUNTED.unpack(raw)
    return (Bucket(failures, last_failure_at_ms) if failures else None), last_success_at_ms or None


def _packed(found: _Found) -> bytes:
    bucket, last_success_at_ms = found
    if bucket is None and last_success_at_ms is None:
        return b""
    kept = bucket or Bucket(0, 0)
    return _COUNTED.pack(kept.failures, kept.last_failure_at_ms, last_success_at_ms or 0)
