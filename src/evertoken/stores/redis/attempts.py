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
from evertoken.accounts.throttle import Bucket, Kind, Limits, Verdict, after_attempt
from evertoken.errors import StoreUnavailable
from evertoken.stores.attempts import Found, forgiven, verdict_on
from evertoken.stores.redis.calling import Calls
from evertoken.stores.redis.keys import Keys
from evertoken.stores.redis.scripts import SWAP

MAX_TRIES: Final = 50
"""How often a step is taken anew because another machine counted in between."""

_COUNTED: Final = struct.Struct(">Iqq")

_Step = Callable[[Mapping[Kind, Found], int], Mapping[Kind, Found]]


class Attempts:
    """The counters. Within one process attempts take turns, so that only other machines come in between."""

    def __init__(self, calls: Calls, keys: Keys) -> None:
        self._calls = calls
        self._keys = keys
        self._turn = asyncio.Lock()

    async def reserve(self, keys: AttemptKeys, limits: Limits) -> Verdict:
        """Decide on an attempt and count it as a failure."""
        verdict = Verdict(allowed=False)

        def step(found: Mapping[Kind, Found], now_ms: int) -> Mapping[Kind, Found]:
            nonlocal verdict
            verdict = verdict_on(found, now_ms=now_ms, limits=limits)
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

        def step(found: Mapping[Kind, Found], now_ms: int) -> Mapping[Kind, Found]:
            return {
                Kind.PAIR: (None, now_ms),
                Kind.ACCOUNT: (None, None),
                Kind.ADDRESS: forgiven(found[Kind.ADDRESS], limits.address),
            }

        await self._take(keys, step)

    async def withdrawn(self, keys: AttemptKeys, limits: Limits) -> None:
        """Take the counted failure back from every bucket."""

        def step(found: Mapping[Kind, Found], _: int) -> Mapping[Kind, Found]:
            return {kind: forgiven(one, limits.of(kind)) for kind, one in found.items()}

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


def _parse(raw: bytes) -> Found:
    if not raw:
        return None, None
    failures, last_failure_at_ms, last_success_at_ms = _COUNTED.unpack(raw)
    return (Bucket(failures, last_failure_at_ms) if failures else None), last_success_at_ms or None


def _packed(found: Found) -> bytes:
    bucket, last_success_at_ms = found
    if bucket is None and last_success_at_ms is None:
        return b""
    kept = bucket or Bucket(0, 0)
    return _COUNTED.pack(kept.failures, kept.last_failure_at_ms, last_success_at_ms or 0)
