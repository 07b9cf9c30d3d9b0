"""What one refresh does, decided from what stands in the store. Pure."""

from dataclasses import dataclass, field, replace
from typing import Final

from evertoken.client.refresher.answers import Tokens
from evertoken.client.refresher.outcomes import Ended, Failed, Outcome, Renewed
from evertoken.client.refresher.record import Record
from evertoken.client.refresher.refresher import NOT_SIGNED_IN

REREAD_AFTER_SECONDS: Final = 5.0
"""A refresh token that was read longer ago than this is read again before it is sent: the machine may have slept."""
ATTEMPTS: Final = 3
PAUSES_SECONDS: Final = (0.2, 0.8)
"""Between attempts, where the server allows them and asks for no other pause."""
SIGNED_IN_ANEW: Final = "signed_in_anew"
SIGNED_OUT: Final = "signed_out"
EXPIRED: Final = "expired"


@dataclass(frozen=True, slots=True)
class Own:
    """
    Which session this process believes in.

    Args:
        session_id, account: As in its record; None where unknown or nobody was signed in.
        access_token: The access token in hand that was refused or is too old; the store's is better if it differs.
        is_signed_in: Whether this process has tokens of it.
        wants_new: Whether a token that happens to be in the store will not do, because a new one is asked for.
    """

    session_id: str | None = None
    account: str | None = None
    access_token: str | None = field(default=None, repr=False)
    is_signed_in: bool = False
    wants_new: bool = False

    @property
    def is_known(self) -> bool:
        """Whether this process has ever had tokens: it goes on as the same user, or not at all."""
        return self.is_signed_in or self.session_id is not None or self.account is not None


def judge_stored(stored: Record | None, own: Own, *, wall: float) -> Outcome | None:
    """
    What the store's record makes of a refresh that is about to happen.

    Args:
        stored: The record; None where there is none.
        own: What this process has.
        wall: Now, seconds since the epoch.

    Returns:
        Renewed: another process has been here, use its token. Ended: nobody is signed in. Failed: what is wanted is
        not to be had. None: refresh.
    """
    if stored is None:
        return Ended(SIGNED_OUT if own.is_signed_in else NOT_SIGNED_IN)
    if stored.ended is not None:
        return Ended(stored.ended)
    if own.is_known and is_another(stored, own):
        return Ended(SIGNED_IN_ANEW, is_news=own.is_signed_in)
    is_newer = stored.access_token != own.access_token and (own.access_token is not None or not own.wants_new)
    if stored.is_usable(wall) and is_newer:
        return renewed(stored, is_fetched=False)
    if stored.refresh_token is None:
        if own.wants_new and stored.is_usable(wall):
            return Failed("there is no refresh token, so there is no newer access token")
        return Ended(EXPIRED, is_news=own.is_signed_in)
    return None


def is_another(stored: Record | Renewed, own: Own) -> bool:
    """
    Whether the store holds somebody else's session, so that going on with it would change the user silently.

    The same account signed in anew goes on.
    """
    if stored.session_id is not None and stored.session_id == own.session_id:
        return False
    return stored.account != own.account


def successor(record: Record, tokens: Tokens, *, sent_at: float) -> Record:
    """
    The record after a refresh: never without a refresh token where the server keeps the old one.

    Args:
        record: What was read.
        tokens: What came back.
        sent_at: Wall time at which the refresh was sent; lifetimes count from it, so that none is overrated.
    """
    return replace(
        record,
        version=record.version + 1,
        access_token=tokens.access_token,
        refresh_token=tokens.refresh_token or record.refresh_token,
        obtained_at=sent_at,
        expires_at=None if tokens.expires_in is None else sent_at + tokens.expires_in,
        refresh_expires_at=(
            record.refresh_expires_at if tokens.refresh_expires_in is None else sent_at + tokens.refresh_expires_in
        ),
        session_id=record.session_id or tokens.session_id,
    )


def tombstone(record: Record, reason: str) -> Record:
    """What stays of a session that has ended: no token, and the reason for whoever shares the store."""
    return Record(
        server=record.server,
        version=record.version + 1,
        session_id=record.session_id,
        account=record.account,
        ended=reason,
    )


def renewed(record: Record, *, is_fetched: bool) -> Renewed:
    """The outcome that a record stands for."""
    assert record.access_token is not None
    return Renewed(
        record.access_token,
        record.expires_at,
        record.lifetime_seconds,
        record.session_id,
        record.account,
        record.refresh_token is not None,
        is_fetched,
    )
