"""How a refresh can end. Pure."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Renewed:
    """
    There is a new access token: fetched, or found in the store where another process had put it.

    Args:
        access_token: The token.
        expires_at: Wall time, seconds; None: unknown.
        lifetime_seconds: How long it lives in all; None: unknown.
        session_id, account: As in the record.
        is_renewable: Whether there is a refresh token for the next one.
        is_fetched: Whether this process fetched it.
    """

    access_token: str = field(repr=False)
    expires_at: float | None
    lifetime_seconds: float | None
    session_id: str | None = None
    account: str | None = None
    is_renewable: bool = True
    is_fetched: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """
    There is none now; the tokens are kept.

    Args:
        why: For people, without a secret.
        retry_after_seconds: What the server asked for, if it did.
        error: What a waiter is to be told instead of RefreshUnavailable: a store that a person has to mend.
    """

    why: str
    retry_after_seconds: float | None = None
    error: Exception | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Ended:
    """
    A definite refusal, or a sign-out: nobody is signed in.

    Args:
        reason: Why.
        is_news: Whether it has only now become so; False where the store already said it.
    """

    reason: str
    is_news: bool = False


Outcome = Renewed | Failed | Ended
