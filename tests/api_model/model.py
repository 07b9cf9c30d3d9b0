"""
What the server promises about sessions, told a second time.

docs/rotation.md and docs/security.md in the words of somebody who holds tokens, with whole objects in place of tags
and generations. Nothing here is imported from evertoken: where the two differ, one of them is wrong.

Instants and durations are milliseconds.
"""

from dataclasses import dataclass

SECOND = 1000
OVERLAP = 60 * SECOND
RIPE_AT = 4 * OVERLAP
ACCESS_LIFETIME = 1800 * SECOND
IDLE = 24 * 3600 * SECOND
MAX_AGE = 4 * IDLE


class Account:
    """Somebody with a password."""

    def __init__(self, name: str, password: str) -> None:
        self.name = name
        self.password = password
        self.roles: tuple[str, ...] = ()
        self.is_disabled = False
        self.sessions: list[Session] = []

    def __repr__(self) -> str:
        return self.name

    @property
    def id(self) -> str:
        return f"u_{self.name}"

    def live(self, now: int) -> set[str]:
        """The ids of the sessions that a list shows."""
        return {session.id for session in self.sessions if session.why_over(now) is None}

    def end_sessions(self, reason: str, now: int, *, keep: "Session | None" = None) -> None:
        """End all but one."""
        for session in self.sessions:
            if session is not keep:
                session.end(reason, now)


class Refresh:
    """A refresh token that was handed out at some time, to whomever."""

    def __init__(self, text: str, session: "Session", made_from: "Refresh | None", made_at: int) -> None:
        self.text = text
        self.session = session
        self.made_from = made_from
        self.made_at = made_at

    def __repr__(self) -> str:
        return f"a refresh token of {self.session} made at {self.made_at}"

    def is_overtaken(self) -> bool:
        """Whether another one counts, in a session that has not been ended."""
        counts = self.session.counts
        return self.session.ended_at is None and counts is not self and counts is not self.made_from


class Access:
    """An access token, with what it will say until it expires."""

    def __init__(self, text: str, session: "Session", roles: tuple[str, ...], made_at: int) -> None:
        self.text = text
        self.session = session
        self.roles = roles
        self.made_at = made_at
        self.good_until = -(-(made_at + ACCESS_LIFETIME) // SECOND) * SECOND

    def __repr__(self) -> str:
        return f"an access token of {self.session} made at {self.made_at}"

    def verdict(self, now: int) -> str:
        """The code that a guard in this process refuses it with; empty where it is good."""
        if now >= self.good_until:
            return "token_expired"
        return "token_invalid" if self.session.ended_at is not None else ""


@dataclass(frozen=True)
class Answer:
    """
    What presenting a refresh token must lead to.

    Args:
        brings_token: Whether a new refresh token comes along.
        wait: Seconds of Retry-After.
    """

    status: int
    code: str = ""
    reason: str | None = None
    brings_token: bool = False
    wait: int | None = None


class Session:
    """
    One sign-in.

    `counts` is the newest token that counts: the first one, then each ripe successor that has been presented; `before`
    is the one that counted before it.
    """

    def __init__(self, id: str, account: Account, *, is_cookie: bool, now: int, csrf: str | None) -> None:  # noqa: A002
        self.id = id
        self.account = account
        self.is_cookie = is_cookie
        self.csrf = csrf
        self.counts: Refresh | None = None
        self.before: Refresh | None = None
        self.began_at = self.counts_since = self.used_at = now
        self.ended_at: int | None = None
        self.end_reason: str | None = None
        self.seen = {"early": 0, "stale": 0, "replay": 0, "rotated": 0}

    def __repr__(self) -> str:
        return f"session {self.account.sessions.index(self)} of {self.account}"

    def expires_at(self) -> int:
        """When it is over if nobody uses it any more."""
        return min(self.used_at + IDLE, self.began_at + MAX_AGE)

    def end(self, reason: str, now: int) -> None:
        """Once ended it stays ended, for the reason it was ended first. One that ran out can still be ended."""
        if self.ended_at is None:
            self.ended_at, self.end_reason = now, reason

    def why_over(self, now: int) -> str | None:
        """Why it can no longer be used."""
        if self.ended_at is not None:
            return self.end_reason
        if now >= self.began_at + MAX_AGE:
            return "expired_max_age"
        return "expired_idle" if now >= self.used_at + IDLE else None

    def foresee(self, token: Refresh, now: int) -> Answer:
        """What would happen if this token were presented now."""
        over = self.why_over(now)
        if over is not None:
            return Answer(401, "session_over", over)
        if token is self.counts:
            return Answer(200, brings_token=True)
        if token.made_from is self.counts:
            # A successor. Young ones wait: an answer made at the same time may be on its way to a sibling tab.
            return Answer(200, brings_token=now - token.made_at >= RIPE_AT)
        was_good_lately = self.before is not None and self.before in (token, token.made_from)
        left = self.counts_since + OVERLAP - now
        if was_good_lately and left >= 0:
            return Answer(503, "stale", wait=max(-(-left // SECOND), 1))
        return Answer(401, "session_over", "replayed")

    def present(self, token: Refresh, now: int) -> Answer:
        """Present it, with all that follows."""
        answer = self.foresee(token, now)
        if answer.status == 200:
            self.used_at = now
            if not answer.brings_token:
                self.seen["early"] += 1
            else:
                self.seen["rotated"] += 1
            if answer.brings_token and token is not self.counts:
                self.before, self.counts, self.counts_since = self.counts, token, now
        elif answer.status == 503:
            self.seen["stale"] += 1
        elif answer.reason == "replayed" and self.ended_at is None:
            self.seen["replay"] += 1
            self.end("replayed", now)
        return answer
