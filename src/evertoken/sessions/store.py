"""
What a session store MUST do. The contract stands beside its consumer; implementations live in `stores/`, and
`tests/stores/compliance/` holds every one of them to it.

Every method either commits and returns, or raises `StoreUnavailable` and has changed nothing that it tells of.
Outcomes are returned, never raised: an exception inside a transaction would undo the revocation it reports.
`now` is the store's own clock, read once the transaction may write, and returned with the outcome.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from evertoken.errors import StoreUnavailable
from evertoken.sessions.model import (
    AccountChange,
    Adopted,
    Adoption,
    Caller,
    Ended,
    Event,
    NewSession,
    Revocations,
    RotationRequest,
    RotationResult,
    SessionRecord,
)
from evertoken.sessions.rotation import Outcome, Reason


class PartlyDecided(StoreUnavailable):
    """
    Some requests of a batch could not be decided: another transaction holds their sessions.

    Args:
        results: By place in the batch: what was decided and committed.
    """

    def __init__(self, detail: str, results: Mapping[int, RotationResult]) -> None:
        super().__init__(detail)
        self.results = results


class SessionStore(Protocol):
    """Where sessions, their revocations and the audit trail are kept."""

    async def create(self, new: NewSession) -> Ended | None:
        """
        Store a sign-in and its event, durably.

        Returns:
            The sessions that ended by it (the replaced one, and the least recently used where the user is over
            the cap), or None when the user's epoch is no longer the one at which the password was verified, or
            the account is gone or disabled; nothing is stored then.
        """

    async def adopt(self, adoption: Adoption) -> Adopted | None:
        """
        Store a sign-in by a refresh token of another library, once for each token, whoever presents it and where.

        Returns:
            The session that this token was swapped for: the one it stood for before, whatever has become of it, or the
            new one, stored as `create` does and remembered in the same transaction. None as for `create`; the token
            has not been used up then.
        """

    async def rotate(self, requests: Sequence[RotationRequest]) -> list[RotationResult]:
        """
        Decide many presented tokens in one durable commit; the results stand in the order of the requests.

        MUST decide as `rotation.decide` does. A batch never names a session twice (`GroupCommit` sees to it).
        If the commit fails, no request of the batch has had an effect that anybody is told of.

        Raises:
            PartlyDecided: some could be decided, and those are committed; the others may be tried again.
        """

    async def judge(self, request: RotationRequest) -> Outcome:
        """What `rotate` would decide now, without any effect; for introspection."""

    async def end(
        self,
        session_id: bytes,
        reason: Reason,
        caller: Caller,
        *,
        user_id: str | None = None,
        tokens_until_ms: int = 0,
    ) -> Ended:
        """
        End one session, durably. Ending one that is over, or none, changes nothing and is no error.

        Args:
            user_id: Where given, the session must belong to this user, else nothing happens.
            tokens_until_ms: Until when an access token of this session may be good. Until then the guards are told of
                a session that is not there, too: its holder has proved that it was, so a restore has lost it.
        """

    async def change_account(self, change: AccountChange) -> Ended | None:
        """
        Change an account and end its sessions in one transaction; None when the user is not there or the epoch moved.

        The kept session goes on at the new epoch.
        """

    async def find(self, session_id: bytes) -> SessionRecord | None:
        """One session, live or over; None when it was never there or has been swept."""

    async def list_sessions(
        self, *, user_id: str | None = None, live_only: bool = True, after: bytes | None = None, limit: int = 100
    ) -> list[SessionRecord]:
        """Sessions in the order of their ids, which say nothing; `after` is the last id of the page before."""

    async def revocations_after(self, cursor: int) -> Revocations:
        """Sessions revoked after a cursor, in commit order; cursor 0 is the oldest that is still kept."""

    async def newest_revocation(self) -> int:
        """
        The highest number that was ever given to a revocation, 0 where there was none; sweeping does not lower it.

        It is lower than it was only where the store went back: a restored backup, or a replica that was behind.
        """

    async def record(self, event: Event) -> None:
        """Add a line to the audit trail."""

    async def timeline(self, session_id: bytes) -> list[Event]:
        """Every event of one session, oldest first."""

    async def sweep(self) -> int | None:
        """
        Look at one small step's worth of what is kept, and remove what is kept no longer.

        Returns how many rows went, 0 where there was nothing to remove on this piece of the way; None once the walk
        has been round and its last step removed nothing, or while another machine sweeps.

        Sessions and their events go `KEPT_AFTER_END_MS` after the session's end, revocations once no access
        token of theirs can live, throttling counters and adopted tokens once they are forgotten.
        """

    async def sessions_per_secret(self) -> dict[bytes, int]:
        """Live sessions by the key id under which their last presented token was made."""


KEPT_AFTER_END_MS = 30 * 24 * 3600 * 1000
"""Thirty days: long enough to answer "why was I signed out last week"."""
