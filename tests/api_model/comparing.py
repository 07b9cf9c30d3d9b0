"""What holds after every step: rows, tokens, guard and audit trail are as the model has them."""

from hypothesis.stateful import (
    invariant,
    precondition,
)

from evertoken.errors import TokenError, TokenExpired
from evertoken.sessions.model import (
    Caller,
    Event,
    EventKind,
    RotationRequest,
    SessionRecord,
    session_id_bytes,
    session_id_text,
)
from evertoken.sessions.rotation import Outcome
from evertoken.tokens import refresh_token
from tests.api_model.devices import Devices
from tests.api_model.model import (
    Account,
    Refresh,
    Session,
)

OUTCOMES = {
    Outcome.GONE: (401, None),
    Outcome.REISSUE: (200, True),
    Outcome.EARLY: (200, False),
    Outcome.ADVANCE: (200, True),
    Outcome.STALE: (503, None),
    Outcome.REPLAY: (401, None),
}
"""What introspection foresees, as status and whether a new refresh token comes."""


def has_sessions(devices: Devices) -> bool:
    return bool(devices.holds)


class Compared(Devices):
    """Devices whose server is compared with the model after every step."""

    # What holds after every step

    def compare(self) -> None:
        """All of it at once, for a story that Hypothesis does not tell."""
        self.every_session_is_as_the_model_has_it()
        self.every_token_is_worth_what_the_model_says()
        self.the_guard_judges_every_access_token_as_the_model_does()
        self.the_audit_trail_has_counted_right()

    @precondition(has_sessions)
    @invariant()
    def every_session_is_as_the_model_has_it(self) -> None:
        """One row per session, for life; what is over is over for good, and for the reason it was ended first."""
        Devices.steps += 1
        for account in self.people:
            records, listed = self.live.run(self._looked_up(account))
            assert listed == account.live(self.now)
            Devices.reached.update(filter(None, (session.why_over(self.now) for session in account.sessions)))
            for session, record in zip(account.sessions, records, strict=True):
                assert record is not None
                assert (record.revoked_at_ms, record.revoked_reason) == (session.ended_at, session.end_reason)
                assert record.refreshed_at_ms == session.used_at
                assert record.expires_at_ms() == session.expires_at()
                assert record.rotations == session.seen["rotated"]

    async def _looked_up(self, account: Account) -> tuple[list[SessionRecord | None], set[str]]:
        store = self.live.server.store
        records = [await store.find(raw_id(session)) for session in account.sessions]
        listed = await store.list_sessions(user_id=account.id)
        return records, {session_id_text(record.id) for record in listed}

    @precondition(has_sessions)
    @invariant()
    def every_token_is_worth_what_the_model_says(self) -> None:
        """
        All refresh tokens that there ever were, in the hands of whomever.

        At most one chain of them counts: the newest token that counts, and its children.
        """
        judged = self.live.run(self._judged())
        worth: dict[Session, set[Refresh | None]] = {}
        for token, outcome in zip(self.refresh_tokens, judged, strict=True):
            foreseen = token.session.foresee(token, self.now)
            assert OUTCOMES[outcome] == (foreseen.status, foreseen.brings_token if foreseen.status == 200 else None)
            if foreseen.status == 200:
                root = token if outcome is Outcome.REISSUE else token.made_from
                worth.setdefault(token.session, set()).add(root)
        assert all(len(roots) == 1 for roots in worth.values())

    async def _judged(self) -> list[Outcome]:
        services = self.live.server.services
        return [
            await services.store.judge(RotationRequest(refresh_token.parse(token.text, services.secrets), Caller()))
            for token in self.refresh_tokens
        ]

    @invariant()
    def the_guard_judges_every_access_token_as_the_model_does(self) -> None:
        """Expired, or its session was ended, in this process at once; otherwise good, without asking anybody."""
        for access in self.access_tokens:
            try:
                self.live.server.guard.check(access.text, now_ms=self.now)
                verdict = ""
            except TokenExpired:
                verdict = "token_expired"
            except TokenError:
                verdict = "token_invalid"
            assert verdict == access.verdict(self.now)

    @precondition(has_sessions)
    @invariant()
    def the_audit_trail_has_counted_right(self) -> None:
        """One sign-in, at most one end, and as many unusual outcomes as there were."""
        sessions = [session for account in self.people for session in account.sessions]
        for session, events in zip(sessions, self.live.run(self._timelines(sessions)), strict=True):
            counted = {kind: sum(event.count for event in events if event.kind is kind) for kind in EventKind}
            assert counted[EventKind.SIGN_IN] == 1
            assert counted[EventKind.EARLY] == session.seen["early"]
            assert counted[EventKind.STALE] == session.seen["stale"]
            assert counted[EventKind.REPLAY] == session.seen["replay"]
            assert counted[EventKind.HEAL] == 0
            ended = counted[EventKind.SESSION_ENDED] + counted[EventKind.REPLAY]
            assert ended == (session.ended_at is not None)
            assert sum(counted.values()) == 1 + session.seen["early"] + session.seen["stale"] + ended

    async def _timelines(self, sessions: list[Session]) -> list[list[Event]]:
        return [await self.live.server.store.timeline(raw_id(session)) for session in sessions]


def raw_id(session: Session) -> bytes:
    return session_id_bytes(session.id) or b""
