"""The sessions of the fake server: opaque tokens in dictionaries, and the real rotation on top of them."""

import secrets
import threading
from dataclasses import dataclass, replace
from typing import Any, Literal

from evertoken.sessions.rotation import Decision, Outcome, Reason, RotationPolicy, Row, decide, why_over

Rotation = Literal["evertoken", "strict"]


@dataclass(frozen=True, slots=True)
class FakeRefreshToken:
    """What the server remembers of a refresh token; a real one says it of itself, under a MAC."""

    session_id: str
    generation: int
    tag: bytes
    parent: bytes
    issued_at_ms: int


@dataclass(frozen=True, slots=True)
class FakeAccessToken:
    """What the server remembers of an access token."""

    id: str
    session_id: str
    username: str
    client_id: str
    issued_at_ms: int
    expires_at_ms: int

    def claims(self, issuer: str) -> dict[str, Any]:
        """The claims that evertoken gives a user without roles."""
        return {
            "preferred_username": self.username,
            "iss": issuer,
            "sub": self.username,
            "aud": issuer,
            "client_id": self.client_id,
            "exp": -(-self.expires_at_ms // 1000),
            "iat": self.issued_at_ms // 1000,
            "jti": self.id,
            "sid": self.session_id,
        }


@dataclass(frozen=True, slots=True)
class Refreshed:
    """
    What became of a refresh token.

    Args:
        pair: The members of the token answer, where there is one.
        reason: Why the session is over, where it is.
        retry_after_ms: For STALE, what is left of the overlap.
    """

    outcome: Outcome
    pair: dict[str, Any] | None = None
    reason: Reason | None = None
    retry_after_ms: int = 0


@dataclass(slots=True)
class _Session:
    id: str
    username: str
    client_id: str
    row: Row


class FakeSessions:
    """
    Begins, refreshes and ends sessions; safe to call from any thread.

    Args:
        rotation: "evertoken" decides as the real server does; "strict" is a foreign server whose refresh tokens can
            be used once: whoever shows a spent one ends the session.
        access_ms: How long an access token lives.
        overlap_ms: The overlap of rotation; "strict" has none.
        idle_ms: How long a session lives without a refresh.
    """

    def __init__(self, *, rotation: Rotation, access_ms: int, overlap_ms: int, idle_ms: int) -> None:
        if rotation not in ("evertoken", "strict"):
            raise ValueError(f'rotation is "evertoken" or "strict", not {rotation!r}')
        self._is_strict = rotation == "strict"
        self._access_ms = access_ms
        self._policy = RotationPolicy(overlap_ms, idle_ms)
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}
        self._refresh_tokens: dict[str, FakeRefreshToken] = {}
        self._access_tokens: dict[str, FakeAccessToken] = {}
        self._spent: set[str] = set()

    def begin(self, username: str, client_id: str, *, now_ms: int) -> dict[str, Any]:
        """A sign-in; the members of the token answer."""
        session_id = secrets.token_urlsafe(16)
        first = FakeRefreshToken(session_id, 0, secrets.token_bytes(16), b"", now_ms)
        row = Row(first.tag, None, 0, now_ms, now_ms + self._policy.idle_ms)
        session = _Session(session_id, username, client_id, row)
        with self._lock:
            self._sessions[session_id] = session
            return self._pair(session, first, now_ms=now_ms)

    def refresh(self, text: str, *, now_ms: int, client_id: str | None = None) -> Refreshed | None:
        """
        Use a refresh token.

        Args:
            client_id: Whom the session must belong to; None where the caller did not say.

        Returns:
            None where the text is no refresh token of this server.
        """
        with self._lock:
            token = self._refresh_tokens.get(text)
            if token is None:
                return None
            session = self._sessions[token.session_id]
            if client_id is not None and client_id != session.client_id:
                return Refreshed(Outcome.GONE, reason=Reason.UNKNOWN)
            decide_ = self._decide_strictly if self._is_strict else self._decide
            decision = decide_(session, token, text, now_ms=now_ms)
            session.row = decision.row or session.row
            if decision.outcome is Outcome.REPLAY:
                session.row = replace(session.row, over=session.row.over or Reason.REPLAYED)
            if decision.outcome in (Outcome.GONE, Outcome.REPLAY, Outcome.STALE):
                return Refreshed(decision.outcome, None, decision.reason, decision.retry_after_ms)
            child = None
            if decision.outcome is not Outcome.EARLY:
                tag = secrets.token_bytes(16)
                child = FakeRefreshToken(session.id, token.generation + 1, tag, token.tag, now_ms)
            return Refreshed(decision.outcome, self._pair(session, child, now_ms=now_ms))

    def _decide(self, session: _Session, token: FakeRefreshToken, text: str, *, now_ms: int) -> Decision:
        del text
        return decide(session.row, token, now_ms=now_ms, policy=self._policy)

    def _decide_strictly(self, session: _Session, token: FakeRefreshToken, text: str, *, now_ms: int) -> Decision:
        row = session.row
        over = why_over(row, token, now_ms=now_ms, policy=self._policy)
        if text in self._spent:
            return Decision(Outcome.REPLAY, row, reason=Reason.REPLAYED)
        if over is not None:
            return Decision(Outcome.GONE, row, reason=over)
        self._spent.add(text)
        return Decision(Outcome.ADVANCE, replace(row, idle_expires_at_ms=now_ms + self._policy.idle_ms))

    def _pair(self, session: _Session, token: FakeRefreshToken | None, *, now_ms: int) -> dict[str, Any]:
        """The members of the token answer; called with the lock held."""
        access = f"fake_{secrets.token_urlsafe(32)}"
        self._access_tokens[access] = FakeAccessToken(
            secrets.token_urlsafe(12),
            session.id,
            session.username,
            session.client_id,
            now_ms,
            now_ms + self._access_ms,
        )
        whole = self._access_ms % 1000 == 0
        pair: dict[str, Any] = {
            "access_token": access,
            "token_type": "Bearer",
            "expires_in": self._access_ms // 1000 if whole else self._access_ms / 1000,
        }
        if token is not None:
            text = f"etr_{secrets.token_urlsafe(96)}"
            self._refresh_tokens[text] = token
            pair["refresh_token"] = text
        return {**pair, "refresh_token_expires_in": self._policy.idle_ms // 1000, "session_id": session.id}

    def check(self, text: str, *, now_ms: int) -> FakeAccessToken | Literal["token_expired", "token_invalid"]:
        """What an access token says, or the code with which it is refused."""
        with self._lock:
            token = self._access_tokens.get(text)
            if token is None:
                return "token_invalid"
            if now_ms >= token.expires_at_ms:
                return "token_expired"
            return "token_invalid" if self._sessions[token.session_id].row.over is not None else token

    def expire_access_tokens(self) -> None:
        """Refuse every access token that exists as expired."""
        with self._lock:
            self._access_tokens = {text: replace(token, expires_at_ms=0) for text, token in self._access_tokens.items()}

    def session_of(self, text: str) -> str | None:
        """The session of a refresh token that was issued here, good or not."""
        with self._lock:
            token = self._refresh_tokens.get(text)
            return None if token is None else token.session_id

    def end(self, reason: Reason, session_id: str | None = None) -> None:
        """End one session, or all, unless it has ended already; the first reason stays."""
        with self._lock:
            for session in self._sessions.values():
                if session_id in (None, session.id) and session.row.over is None:
                    session.row = replace(session.row, over=reason)
