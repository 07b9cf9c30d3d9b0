"""What every store does with what it has read: the row for `decide`, and the lines of the audit trail. Pure."""

import functools
import json
from typing import Any

from evertoken.sessions.model import Caller, Event, EventKind, RotationRequest
from evertoken.sessions.rotation import ANY, Decision, Reason, Row

FOLD_AFTER = 100
"""Unusual outcomes of one session that get a line each; those beyond are counted on the newest line of their kind,
so that a client in a loop cannot fill the disk."""

_OPERATOR = "operator"


def row_of(
    request: RotationRequest,
    *,
    state: tuple[Any, ...],
    revoked: Reason | None,
    user_epoch: int,
    account: tuple[int | None, bool | None],
) -> Row:
    """
    The row as `decide` reads it.

    Args:
        state: Tag, previous (None: any; empty: none), generation, advanced_at_ms, idle and maximum expiry.
        user_epoch: The user's at sign-in.
        account: The user's present epoch (None: gone) and whether it is disabled; a request that brings the state of
            an account elsewhere goes before it.
    """
    tag, previous, generation, advanced_at_ms, idle_expires_at_ms, max_expires_at_ms = state
    epoch, disabled = account
    if request.account is not None:
        epoch, disabled = request.account.epoch, request.account.disabled
    over = revoked
    if over is None and (epoch is None or disabled):
        over = Reason.ACCOUNT_DISABLED
    elif over is None and epoch != user_epoch:
        over = Reason.PASSWORD_CHANGED
    return Row(
        current=tag,
        previous=ANY if previous is None else (previous or None),
        generation=generation,
        advanced_at_ms=advanced_at_ms,
        idle_expires_at_ms=idle_expires_at_ms,
        max_expires_at_ms=max_expires_at_ms,
        over=over,
    )


def event_of(
    kind: EventKind,
    now_ms: int,
    request: RotationRequest,
    user_id: str,
    username: str,
    detail: dict[str, Any] | None = None,
) -> Event:
    """The line of the audit trail that goes with an outcome."""
    return Event(
        kind=kind,
        at_ms=now_ms,
        session_id=request.token.session_id,
        user_id=user_id,
        username=username,
        caller=request.caller,
        reason=Reason.REPLAYED if kind is EventKind.REPLAY else None,
        detail=detail or {},
    )


def replay_of(
    now_ms: int, request: RotationRequest, user_id: str, username: str, decision: Decision, owner: Caller
) -> Event:
    """
    The line of a replay, with its evidence.

    Args:
        owner: Where the last accepted token came from.
    """
    assert decision.row is not None
    token, row = request.token, decision.row
    detail = {
        "presented_generation": token.generation,
        "session_generation": row.generation,
        "presented_age_ms": now_ms - token.issued_at_ms,
        "since_succession_ms": now_ms - row.advanced_at_ms,
        "owner_address": owner.address,
        "owner_device": owner.device,
    }
    return event_of(EventKind.REPLAY, now_ms, request, user_id, username, detail)


def packed(event: Event) -> str:
    """The detail of a line as it is stored; who acted as an operator stands there too, for few lines have one."""
    if event.caller.operator:
        return json.dumps({**event.detail, _OPERATOR: event.caller.operator})
    return json.dumps(dict(event.detail)) if event.detail else "{}"


def stored_event(row: Any) -> Event:
    """A line as it is stored: kind, at_ms, last_at_ms, count, session, user, name, address, device, reason, detail."""
    kind, at_ms, last_at_ms, count, session_id, user_id, username, address, device, reason, detail = row
    read = json.loads(detail)
    operator = read.pop(_OPERATOR, "")
    return Event(
        kind=EventKind(kind),
        at_ms=at_ms,
        last_at_ms=last_at_ms,
        count=count,
        session_id=session_id,
        user_id=user_id,
        username=username,
        caller=Caller(address, device, operator),
        reason=reason,
        detail=read,
    )


@functools.lru_cache(maxsize=1024)
def parse_roles(text: str) -> tuple[str, ...]:
    """The roles column; few different values ever exist, so each is parsed once."""
    return tuple(json.loads(text))
