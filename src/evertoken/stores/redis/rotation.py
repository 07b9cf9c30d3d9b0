"""
Rotation in Redis: the table of docs/rotation.md as one script on one key, a batch in one pipeline.

The script and `sessions.rotation.decide` say the same thing; the compliance suite compares them on generated rows.
What the script does not accept (GONE, STALE, REPLAY) comes back with the record, and is decided by `decide`; what it
then writes is conditional on that record.

Users never live in Redis, so each request brings the state of its user.
"""

import struct
from collections.abc import Sequence
from typing import Final

from evertoken.errors import StoreUnavailable
from evertoken.sessions.model import EventKind, RotationRequest, RotationResult
from evertoken.sessions.rotation import MAX_DECISIONS, Outcome, Reason, RotationPolicy, decide
from evertoken.stores.lines import event_of, replay_of
from evertoken.stores.redis import trail
from evertoken.stores.redis.calling import Calls
from evertoken.stores.redis.ending import Ending, end_all
from evertoken.stores.redis.keys import Keys, encoded
from evertoken.stores.redis.listing import listed_anew
from evertoken.stores.redis.record import HEAD_AS_READ, instant, joined, parse, place, text_at
from evertoken.stores.redis.scripts import ROTATE, Command

_PRESENTED: Final = struct.Struct(">16s16sIhI4sqBhIhIhI")
_ACCEPTED: Final = struct.Struct(">BhIhIIhI")
_NOW_BYTES: Final = 7
_OUTCOMES: Final = (
    (Outcome.GONE, False),
    (Outcome.REISSUE, False),
    (Outcome.EARLY, False),
    (Outcome.ADVANCE, False),
    (Outcome.EARLY, True),
    (Outcome.ADVANCE, True),
)
"""What the number at the beginning of an answer says: the outcome, and whether the record was healed."""

_EXTENDS, _CLIENT_GIVEN, _NOBODY = 1, 2, 4


async def rotate(
    calls: Calls, keys: Keys, requests: Sequence[RotationRequest], policy: RotationPolicy
) -> list[RotationResult]:
    """
    Decide every request of a batch in one pipeline; what the script does not accept takes another.

    Where the connection is lost in the middle, what was accepted stays so although every caller is told 503: an answer
    that was lost, which rotation forgives.
    """
    results: dict[bytes, RotationResult] = {}
    left: Sequence[RotationRequest] = requests
    for _ in range(MAX_DECISIONS):
        answers: list[bytes] = await calls.refresh(
            [command(keys, one, policy, told_ms=calls.told_ms()) for one in left]
        )
        notes: list[Command] = []
        refused: list[tuple[RotationRequest, bytes]] = []
        for request, answer in zip(left, answers, strict=True):
            if answer[0]:
                results[request.token.session_id] = _accepted(keys, request, answer, notes)
            else:
                refused.append((request, answer))
        if refused:
            results |= await _refuse(calls, keys, refused, policy, notes)
        elif notes:
            await calls.refresh(notes)
        left = [request for request, _ in refused if request.token.session_id not in results]
        if not left:
            return [results[request.token.session_id] for request in requests]
    raise StoreUnavailable("a session changed faster than it could be decided")


def judged(raw: bytes | None, request: RotationRequest, now_ms: int, policy: RotationPolicy) -> Outcome:
    """What `rotate` would decide on this record."""
    stored = None if raw is None else parse(raw)
    if stored is not None and request.client_id not in (None, stored.client_id):
        return Outcome.GONE
    row = None if stored is None else stored.row(request.account)
    return decide(row, request.token, now_ms=now_ms, policy=policy).outcome


def command(keys: Keys, request: RotationRequest, policy: RotationPolicy, *, told_ms: int) -> Command:
    """The call that decides one request; `told_ms` is the time, or 0 for Redis's own."""
    token, account = request.token, request.account
    flags = _EXTENDS if policy.extends_idle else 0
    if account is None or account.disabled:
        flags |= _NOBODY
    presented = _PRESENTED.pack(
        token.tag,
        token.parent,
        token.generation,
        *instant(token.issued_at_ms),
        token.key_id,
        0 if account is None else account.epoch,
        flags | (0 if request.client_id is None else _CLIENT_GIVEN),
        *instant(told_ms),
        *instant(policy.maturity_ms),
        *instant(policy.idle_ms),
    )
    session = (keys.session(token.session_id),)
    if request.client_id is None:
        return ROTATE.on(session, presented, place(request.caller))
    return ROTATE.on(session, presented, place(request.caller), encoded(request.client_id))


def _accepted(keys: Keys, request: RotationRequest, answer: bytes, notes: list[Command]) -> RotationResult:
    number, *instants = _ACCEPTED.unpack_from(answer)
    now_high, now_low, expires_high, expires_low, unusual, *created = instants
    now_ms = joined(now_high, now_low)
    outcome, healed = _OUTCOMES[number]
    client_id, at = text_at(answer, _ACCEPTED.size)
    user_id, _ = text_at(answer, at)
    account = request.account
    assert account is not None
    event = None
    if healed or outcome is Outcome.EARLY:
        event = event_of(EventKind.HEAL if healed else EventKind.EARLY, now_ms, request, user_id, account.username)
        notes.append(trail.note(keys, event, already=unusual))
        if healed:
            notes += listed_anew(keys, request.token.session_id, user_id, joined(*created))
    return RotationResult(
        outcome=outcome,
        now_ms=now_ms,
        healed=healed,
        user_id=user_id,
        username=account.username,
        roles=account.roles,
        client_id=client_id,
        expires_at_ms=joined(expires_high, expires_low),
        event=event,
    )


async def _refuse(
    calls: Calls,
    keys: Keys,
    refused: Sequence[tuple[RotationRequest, bytes]],
    policy: RotationPolicy,
    notes: list[Command],
) -> dict[bytes, RotationResult]:
    """The results of those that are refused, written; those that turn out to be acceptable after all are left out."""
    results: dict[bytes, RotationResult] = {}
    replayed: list[Ending] = []
    replays: list[RotationResult] = []
    for request, answer in refused:
        session_id = request.token.session_id
        now_ms = int.from_bytes(answer[1:_NOW_BYTES], "big", signed=True)
        raw = answer[_NOW_BYTES:]
        stored = parse(raw) if raw else None
        if stored is None or request.client_id not in (None, stored.client_id):
            # Another client's token tells nothing and changes nothing, or a stolen token were a kill switch.
            results[session_id] = RotationResult(Outcome.GONE, now_ms, reason=Reason.UNKNOWN)
            continue
        decision = decide(stored.row(request.account), request.token, now_ms=now_ms, policy=policy)
        result = RotationResult(
            decision.outcome,
            now_ms,
            reason=decision.reason,
            retry_after_ms=decision.retry_after_ms,
            user_id=stored.user_id,
            username=stored.username,
            client_id=stored.client_id,
        )
        if decision.outcome is Outcome.GONE:
            results[session_id] = result
        elif decision.outcome is Outcome.STALE:
            result.event = event_of(EventKind.STALE, now_ms, request, stored.user_id, stored.username)
            notes.append(trail.note(keys, result.event, counting=True))
            results[session_id] = result
        elif decision.outcome is Outcome.REPLAY:
            result.event = replay_of(now_ms, request, stored.user_id, stored.username, decision, stored.refreshed_from)
            replayed.append(Ending(result.event, Reason.REPLAYED, as_read=raw[HEAD_AS_READ]))
            replays.append(result)
    if notes:
        await calls.refresh(notes)
    if replayed:
        ended = await end_all(calls, keys, replayed, calls.refresh)
        results |= {
            ending.session_id: result
            for ending, result, done in zip(replayed, replays, ended, strict=True)
            if done is not None
        }
    return results
