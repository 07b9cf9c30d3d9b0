"""
A run that is only imagined: the real rule of rotation over rows in a dictionary, clients, a thief, lost answers.

It keeps every promise, unless a lie is planted: then it does what the checker has to find.
"""

import random
from dataclasses import replace
from enum import StrEnum

from evertoken.sessions.rotation import Decision, Outcome, Reason, RotationPolicy, Row, decide
from evertoken.tokens import refresh_token
from evertoken.tokens.refresh_token import NO_PARENT, Delivery, RefreshToken
from tests.chaos.history import Access, Ask, Call, Got, History, Incident, SignedOut, Standing, Theft, Token

POLICY = RotationPolicy(overlap_ms=250, idle_ms=7 * 24 * 3_600_000)
ACCESS_SECONDS = 6.0
BEGIN = 1_000_000.0


class Lie(StrEnum):
    """What a store, a server or a guard may get wrong."""

    FALSE_SIGN_OUT = "it ends a session that nobody has ended"
    NOT_ENDED = "it acknowledges an end and forgets it"
    NOT_HEARD_OF = "its guards never hear of an end"
    NOT_EXPIRED = "it lets an access token pass after its end"
    THIEF_WALKS_ALONG = "it hands new tokens to an old one, as a grace window does"
    MIXED_UP = "it answers with the tokens of another session"
    REFRESH_LOST = "it acknowledges a refresh and forgets it"
    SIGN_IN_LOST = "it acknowledges a sign-in and forgets it"


class World:
    """
    Four people, each with a session, and whatever becomes of it.

    Args:
        chance: Decides what happens next.
        lie: What it gets wrong; None: nothing.
    """

    def __init__(self, chance: random.Random, lie: Lie | None = None) -> None:
        self.history = History()
        self.now = BEGIN
        self.lies_told = 0
        self._chance = chance
        self._lie = lie
        self._rows: dict[str, Row] = {}
        self._ended_at: dict[str, float] = {}
        self._held: dict[str, RefreshToken] = {}
        self._access: dict[str, Access] = {}
        self._session: dict[str, str] = {}
        self._account: dict[str, str] = {}
        self._thief = ""
        self._backup: tuple[float, dict[str, Row]] = (BEGIN, {})

    def run(self, steps: int) -> History:
        """Let so many things happen; then everybody refreshes, and what is kept is read."""
        people = [f"client {number}" for number in range(4)]
        for who in people:
            self._sign_in(who)
        robbed_at = self._chance.randrange(steps // 2)
        backed_up_at, went_back_at = sorted(self._chance.sample(range(steps), 2))
        for step in range(steps):
            if step == robbed_at:
                self._rob(self._chance.choice(people))
            if self._lie is None and step == backed_up_at:
                self._backup = (self._tick(), dict(self._rows))
            if self._lie is None and step == went_back_at:
                self._go_back()
            who = self._chance.choice([*people, "thief"] if self._thief else people)
            match self._chance.randrange(12):
                case 0 if who != "thief":
                    self._end(who, Ask.SIGN_OUT, who)
                case 1:
                    self._end("operator", Ask.END, self._chance.choice(people))
                case 2 | 3 | 4 if who != "thief":
                    self._use(who)
                case _:
                    self._refresh(who)
            self.now += self._chance.choice((0.05, 0.3, 1.1, 2.5))
        for who in people:
            self._refresh(who, is_heard=True)
            self._refresh(who, is_heard=True)  # who has just been signed out is signed in anew by now
        self.history.standings = {
            session: Standing(row.generation, row.current.hex(), row.over or "") for session, row in self._rows.items()
        }
        return self.history

    # ---- what people do ----

    def _sign_in(self, who: str) -> None:
        began = self._tick()
        token = refresh_token.first(
            session_id=self._chance.randbytes(16), delivery=Delivery.BODY, now_ms=self._now_ms()
        )
        session = token.session_id.hex()
        row = Row(token.tag, None, 0, self._now_ms(), self._now_ms() + POLICY.idle_ms)
        if not self._lies(Lie.SIGN_IN_LOST, one_in=4):
            self._rows[session] = row
        self._session[who], self._held[who], self._account[session] = session, token, who
        self._access[who] = Access(session, who, self.now + ACCESS_SECONDS)
        self._note(who, Ask.SIGN_IN, Got.DONE, began, session, who, child=_says(token), access=self._access[who])

    def _refresh(self, who: str, *, is_heard: bool = False) -> None:
        session = self._thief if who == "thief" else self._session[who]
        account = self._account[session]
        token = self._held[who]
        began = self._tick()
        decision = self._decided(session, token)
        if self._lies(Lie.FALSE_SIGN_OUT, one_in=8) and who != "thief" and session != self._thief:
            decision = replace(decision, outcome=Outcome.GONE, reason=Reason.REVOKED)
        if not is_heard and self._chance.random() < 0.1:
            self._note(who, Ask.REFRESH, Got.LOST, began, session, account, presented=_says(token))
            return
        match decision.outcome:
            case Outcome.GONE | Outcome.REPLAY:
                self._was_told(who, began, token, decision.reason or Reason.UNKNOWN)
            case Outcome.STALE:
                self._note(who, Ask.REFRESH, Got.UNAVAILABLE, began, session, account, presented=_says(token))
            case _:
                child = None
                if decision.outcome is not Outcome.EARLY:
                    child = refresh_token.child_of(token, now_ms=self._now_ms())
                    self._held[who] = child
                access = Access(session, account, self.now + ACCESS_SECONDS)
                if self._lies(Lie.MIXED_UP, one_in=8):
                    access = replace(access, session="somebody else's")
                self._access[who] = access
                self._note(
                    who,
                    Ask.REFRESH,
                    Got.DONE,
                    began,
                    session,
                    account,
                    presented=_says(token),
                    child=None if child is None else _says(child),
                    access=access,
                )

    def _use(self, who: str) -> None:
        began = self._tick()
        access = self._access[who]
        session = self._session[who]
        is_over = self._ended_at.get(session, float("inf")) + self._chance.uniform(0, 2) < began
        is_refused = is_over and not self._lies(Lie.NOT_HEARD_OF, one_in=1)
        if began > access.expires_at and not self._lies(Lie.NOT_EXPIRED, one_in=1):
            is_refused = True
        got = Got.REFUSED if is_refused else Got.DONE
        self._note(who, Ask.USE, got, began, session, who, access=access, told=None if is_refused else access)

    def _end(self, who: str, ask: Ask, whose: str) -> None:
        session = self._session[whose]
        began = self._tick()
        row = self._rows.get(session)
        if row is not None and row.over is None and not self._lies(Lie.NOT_ENDED, one_in=1):
            reason = Reason.SIGNED_OUT if ask is Ask.SIGN_OUT else Reason.REVOKED
            self._rows[session] = replace(row, over=reason)
            self._ended_at[session] = self.now
        got = Got.DONE if self._chance.random() < 0.9 else Got.LOST
        self._note(who, ask, got, began, session, whose)

    def _rob(self, who: str) -> None:
        self._thief, self._held["thief"] = self._session[who], self._held[who]
        self.history.thefts.append(Theft(self._thief, self._tick()))

    def _go_back(self) -> None:
        """As if a backup of a moment ago were restored."""
        began = self._tick()
        kept_until, self._rows = self._backup
        self.history.incidents.append(Incident("restored", began, self._tick(), kept_until=kept_until))
        self._ended_at = {session: at for session, at in self._ended_at.items() if at < kept_until}

    # ---- how ----

    def _decided(self, session: str, token: RefreshToken) -> Decision:
        decision = decide(self._rows.get(session), token, now_ms=self._now_ms(), policy=POLICY)
        row = decision.row
        if decision.outcome in (Outcome.STALE, Outcome.REPLAY) and self._lies(Lie.THIEF_WALKS_ALONG, one_in=1):
            return replace(decision, outcome=Outcome.REISSUE, reason=None)
        if decision.outcome is Outcome.ADVANCE and self._lies(Lie.REFRESH_LOST, one_in=1):
            return decision
        if decision.outcome is Outcome.REPLAY and row is not None:
            row = replace(row, over=Reason.REPLAYED)
            self._ended_at[session] = self.now
        if row is not None:
            self._rows[session] = row
        return decision

    def _was_told(self, who: str, began: float, token: RefreshToken, reason: Reason) -> None:
        session = token.session_id.hex()
        account = self._account[session]
        self._note(who, Ask.REFRESH, Got.OVER, began, session, account, presented=_says(token), reason=reason)
        if who != "thief":
            self.history.signed_out.append(SignedOut(who, self._tick(), session, reason))
            self._sign_in(who)

    def _lies(self, lie: Lie, *, one_in: int) -> bool:
        is_told = self._lie is lie and self._chance.randrange(one_in) == 0
        self.lies_told += is_told
        return is_told

    def _note(
        self,
        who: str,
        ask: Ask,
        got: Got,
        began: float,
        session: str,
        account: str,
        *,
        presented: Token | None = None,
        child: Token | None = None,
        access: Access | None = None,
        told: Access | None = None,
        reason: str = "",
    ) -> None:
        self.history.calls.append(
            Call(who, ask, got, began, self._tick(), account, session, presented, child, access, told, reason)
        )

    def _tick(self) -> float:
        self.now += 0.001
        return self.now

    def _now_ms(self) -> int:
        return round(self.now * 1000)


def _says(token: RefreshToken) -> Token:
    parent = "" if token.parent == NO_PARENT else token.parent.hex()
    return Token(token.session_id.hex(), token.generation, token.tag.hex(), parent)
