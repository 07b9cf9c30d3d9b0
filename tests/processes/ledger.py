"""What the clients of a run were told, and whether the store still knows all of it."""

import asyncio
import contextlib
import shutil
import sqlite3
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from evertoken.assembly import open_keys, open_store
from evertoken.clock import system_clock
from evertoken.edge.settings import Settings
from evertoken.secret import Secret
from evertoken.sessions.model import session_id_text
from evertoken.tokens import access_token, refresh_token
from evertoken.tokens.access_token import AccessTokenRules
from evertoken.tokens.refresh_token import RefreshToken
from evertoken.tokens.server_secrets import SecretRing

SECRET = "a secret that the checker knows as well as the server"


@dataclass(slots=True)
class Acknowledged:
    """
    What was promised about one session.

    Args:
        confirmed: The tag of the newest token that the server acknowledged as the one that counts.
        generation: Of that token.
        granted: Answers that carried a new refresh token.
        lost: Refreshes whose answer never came.
        is_ending: A sign-out was sent.
        has_ended: A sign-out was acknowledged.
    """

    confirmed: bytes
    generation: int = 0
    granted: int = 0
    lost: int = 0
    is_ending: bool = False
    has_ended: bool = False


@dataclass(slots=True)
class Ledger:
    """Everything that was acknowledged in a run; `outcomes` counts it by kind."""

    secrets: SecretRing = field(default_factory=lambda: SecretRing((Secret(SECRET),)))
    sessions: dict[bytes, Acknowledged] = field(default_factory=dict)
    access_tokens: list[tuple[str, str]] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    @property
    def refreshes(self) -> int:
        """How many refreshes were answered with new tokens."""
        return sum(self.outcomes[kind] for kind in ("reissue", "early", "advance"))

    def signed_in(self, answer: dict[str, Any]) -> None:
        """A sign-in was acknowledged."""
        first = self.read(answer["refresh_token"])
        assert first.session_id not in self.sessions
        self.sessions[first.session_id] = Acknowledged(first.tag)
        self._took_access_token(answer, first.session_id)
        self.outcomes["sign-in"] += 1

    def refreshed(self, presented: str, answer: dict[str, Any]) -> None:
        """A refresh was acknowledged; which kind of refresh it was, the tokens tell."""
        token = self.read(presented)
        known = self.sessions[token.session_id]
        self._took_access_token(answer, token.session_id)
        if "refresh_token" not in answer:
            assert token.parent == known.confirmed
            self.outcomes["early"] += 1
            return
        child = self.read(answer["refresh_token"])
        assert (child.session_id, child.parent, child.generation) == (
            token.session_id,
            token.tag,
            token.generation + 1,
        )
        known.granted += 1
        if token.tag == known.confirmed:
            self.outcomes["reissue"] += 1
        else:
            assert token.parent == known.confirmed
            known.confirmed, known.generation = token.tag, token.generation
            self.outcomes["advance"] += 1

    def lost(self, presented: str) -> None:
        """A refresh was sent and its answer never came."""
        self.sessions[self.read(presented).session_id].lost += 1
        self.outcomes["answer lost"] += 1

    def signing_out(self, presented: str) -> None:
        """A sign-out is about to be sent."""
        self.sessions[self.read(presented).session_id].is_ending = True

    def signed_out(self, presented: str) -> None:
        """A sign-out was acknowledged."""
        self.sessions[self.read(presented).session_id].has_ended = True
        self.outcomes["sign-out"] += 1

    def read(self, text: str) -> RefreshToken:
        """A refresh token, read with the server's secret."""
        return refresh_token.parse(text, self.secrets)

    def _took_access_token(self, answer: dict[str, Any], session_id: bytes) -> None:
        assert answer["session_id"] == session_id_text(session_id)
        self.access_tokens.append((answer["session_id"], answer["access_token"]))

    def check_store(self, database: Path, scratch: Path, *, signing_in: int = 0) -> list[str]:
        """
        Compare a store that nobody has open with what was acknowledged.

        Args:
            database, scratch: The file, and where its copy goes.
            signing_in: How many sign-ins have neither been answered nor been counted as lost.

        Returns:
            A line for everything that was lost; the store is read as a copy, as it stands on the disk.
        """
        with contextlib.closing(sqlite3.connect(copy_of(database, scratch))) as connection:
            rows = {
                row[0]: row[1:]
                for row in connection.execute(
                    "SELECT id, generation, tag, rotations, revoked_at_ms, revoked_reason FROM sessions"
                )
            }
            unwelcome = connection.execute("SELECT kind, detail FROM events WHERE kind IN ('heal', 'replay')")
            losses = [f"{kind}: {detail}" for kind, detail in unwelcome]
        if len(rows) > len(self.sessions) + self.outcomes["sign-in lost"] + signing_in:
            losses.append(f"{len(rows)} sessions, {len(self.sessions)} known: one has come from nowhere")
        for session_id, known in self.sessions.items():
            row = rows.get(session_id)
            problem = "the sign-in is lost" if row is None else _loss(known, *row)
            if problem:
                losses.append(f"session {session_id_text(session_id)}: {problem}")
        return losses

    def check_access_tokens(self, database: Path, scratch: Path, *, issuer: str) -> None:
        """
        Verify every access token that was handed out with the keys of the store.

        Raises:
            TokenError: one is not good.
        """
        settings = Settings(store=str(copy_of(database, scratch)), secret=(Secret(SECRET),), issuer=issuer)

        async def check() -> None:
            store = open_store(settings)
            try:
                keys = open_keys(settings, store, self.secrets)
                await keys.reload()
            finally:
                store.close()
            rules = AccessTokenRules(issuer, settings.audience_name)
            for session_id, encoded in self.access_tokens:
                assert access_token.verify(encoded, keys=keys, rules=rules, now_ms=system_clock()).sid == session_id

        asyncio.run(check())


def copy_of(database: Path, scratch: Path) -> Path:
    """A copy of a database that nobody has open, its log included: reading it leaves the original untouched."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    for name in (database.name, f"{database.name}-wal"):
        if (found := database.with_name(name)).exists():
            shutil.copy(found, scratch / name)
    return scratch / database.name


def _loss(
    known: Acknowledged, generation: int, tag: bytes, rotations: int, revoked_at_ms: int | None, reason: str | None
) -> str | None:
    """What of one session was lost, or nothing."""
    if known.has_ended and revoked_at_ms is None:
        return "the sign-out is lost"
    if revoked_at_ms is not None and not known.is_ending:
        return f"it was ended: {reason}"
    if generation < known.generation or (generation == known.generation and tag != known.confirmed):
        return f"generation {generation}, {known.generation} was acknowledged"
    if not known.granted <= rotations <= known.granted + known.lost + 1:
        return f"{rotations} rotations, {known.granted} were acknowledged and {known.lost} lost"
    return None
