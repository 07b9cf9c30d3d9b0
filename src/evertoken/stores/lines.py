"""The lines of the audit trail, as every store writes them. Pure."""

import json
from collections.abc import Iterable
from typing import Any

from evertoken.sessions.model import (
    AccountChange,
    Caller,
    Event,
    EventKind,
    NewSession,
    RotationRequest,
    session_id_text,
)
from evertoken.sessions.rotation import Decision, Reason
from evertoken.tokens.refresh_token import Delivery

FOLD_AFTER = 100
"""Unusual outcomes of one session that get a line each; those beyond are counted on the newest line of their kind,
so that a client in a loop cannot fill the store."""

_OPERATOR = "operator"


def signed_in(new: NewSession, now_ms: int) -> Event:
    """The line of a sign-in."""
    return Event(
        EventKind.SIGN_IN,
        now_ms,
        session_id=new.token.session_id,
        user_id=new.user_id,
        username=new.username,
        caller=new.caller,
        detail=sign_in_detail(new.client_id, new.token.delivery, new.adopted_from),
    )


def sign_in_detail(client_id: str, delivery: Delivery, adopted_from: str) -> dict[str, Any]:
    """What the line of a sign-in says besides who and where."""
    detail = {"client_id": client_id, "delivery": delivery.name.lower()}
    return {**detail, "adopted_from": adopted_from} if adopted_from else detail


def lost_session_ended(session_id: bytes, reason: Reason, caller: Caller, now_ms: int) -> Event:
    """What is said of the end of a session that the store has lost, and with it whose it was; no trail can hold it."""
    return Event(
        EventKind.SESSION_ENDED, now_ms, session_id=session_id, caller=caller, reason=reason, detail={"lost": True}
    )


def account_changed(
    change: AccountChange, ended: Iterable[bytes], username: str | None, now_ms: int
) -> tuple[Event, ...]:
    """A line for each session that ended with a change of an account, then the line of the change."""
    endings = (
        Event(
            EventKind.SESSION_ENDED,
            now_ms,
            session_id=session_id,
            user_id=change.user_id,
            username=username,
            caller=change.caller,
            reason=change.reason,
        )
        for session_id in ended
    )
    return (*endings, account_line(change, username, now_ms))


def account_line(change: AccountChange, username: str | None, now_ms: int) -> Event:
    """The line of a change of an account; it names the session that went on, so that a log tells which ones ended."""
    return Event(
        change.event,
        now_ms,
        user_id=change.user_id,
        username=username,
        caller=change.caller,
        detail={} if change.keep is None else {"kept": session_id_text(change.keep)},
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
