"""What a row of a session says, in every SQL store: to `decide`, to an operator, of an accepted refresh. Pure."""

import functools
import json
from typing import Any

from evertoken.sessions.model import Caller, RotationRequest, RotationResult, SessionRecord
from evertoken.sessions.rotation import ANY, Decision, Outcome, Reason, RotationPolicy, Row, decide
from evertoken.tokens.refresh_token import Delivery

ACCEPTED: dict[int, tuple[Outcome, bool]] = {
    1: (Outcome.REISSUE, False),
    2: (Outcome.EARLY, False),
    3: (Outcome.ADVANCE, False),
    4: (Outcome.EARLY, True),
    5: (Outcome.ADVANCE, True),
}
"""What the column `outcome` says of the last accepted refresh: the outcome, and whether it healed the row."""


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


def decided(request: RotationRequest, line: Any, policy: RotationPolicy) -> tuple[RotationResult, Decision | None]:
    """
    What becomes of a request that the UPDATE of a server did not accept; no decision where there is no session.

    Args:
        line: now_ms, id, the state as `row_of` takes it, revoked_reason, user_id, client_id, user_epoch, username, the
            owner's address and device, and the user's present epoch and whether it is disabled.
    """
    now_ms = line[0]
    if line[2] is None:
        return RotationResult(Outcome.GONE, now_ms, reason=Reason.UNKNOWN), None
    row, user_id, client_id, username = read_row(line, request)
    if request.client_id is not None and request.client_id != client_id:
        # Another client's token tells nothing and changes nothing, or a stolen token were a kill switch.
        return RotationResult(Outcome.GONE, now_ms, reason=Reason.UNKNOWN), None
    decision = decide(row, request.token, now_ms=now_ms, policy=policy)
    result = RotationResult(
        decision.outcome, now_ms, reason=decision.reason, user_id=user_id, username=username, client_id=client_id
    )
    result.retry_after_ms = decision.retry_after_ms
    return result, decision


def read_row(line: Any, request: RotationRequest) -> tuple[Row, str, str, str]:
    """The same line as `decide` reads it, and the user id, client id and user name beside it."""
    revoked_reason, user_id, client_id, user_epoch, username, _, _, epoch, disabled = line[8:]
    revoked = None if revoked_reason is None else Reason(revoked_reason)
    row = row_of(request, state=line[2:8], revoked=revoked, user_epoch=user_epoch, account=(epoch, disabled))
    return row, user_id, client_id, username


def session_record(row: Any, *, recent_rotations_ms: tuple[int, ...]) -> SessionRecord:
    """
    A session as its owner and the operator see it.

    Args:
        row: A row of the store's COLUMNS.
        recent_rotations_ms: The one column that every store keeps in its own way, read.
    """
    return SessionRecord(
        id=row[0],
        user_id=row[1],
        username=row[2],
        client_id=row[3],
        delivery=Delivery(row[4]),
        created_at_ms=row[5],
        created_from=Caller(row[6], row[7]),
        refreshed_at_ms=row[8],
        refreshed_from=Caller(row[9], row[10]),
        idle_expires_at_ms=row[11],
        max_expires_at_ms=row[12],
        rotations=row[13],
        recent_rotations_ms=recent_rotations_ms,
        revoked_at_ms=row[15],
        revoked_reason=None if row[16] is None else Reason(row[16]),
    )


@functools.lru_cache(maxsize=1024)
def parse_roles(text: str) -> tuple[str, ...]:
    """The roles column; few different values ever exist, so each is parsed once."""
    return tuple(json.loads(text))
