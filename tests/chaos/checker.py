"""
What a history must not show. Pure: a history goes in, a line for each broken promise comes out.

Whoever says that something was lost is believed only as far as an incident of the history allows it; whoever lies by a
moment is given the benefit of the doubt, for an answer is on its way before it is noted.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.chaos.history import ENDS, Ask, Call, Got, History, Incident, Standing


@dataclass(frozen=True, slots=True)
class Promises:
    """
    What is demanded, in seconds.

    Args:
        known_within: How long after a session's end, in a time without incidents, its access token may still pass.
        skew: How long after its end an access token may still pass, and before it may be refused: it ends on a whole
            second.
        reapplied_within: How long after a store went back what was ended since must be over again; None: what was
            ended since is lost.
    """

    known_within: float = 2.0
    skew: float = 1.1
    reapplied_within: float | None = None


def check(history: History, promises: Promises) -> list[str]:
    """A line for each promise that was broken; none of them holds a secret."""
    return list(Checker(history, promises).findings())


class Checker:
    """A history, ordered as the rules ask for it."""

    def __init__(self, history: History, promises: Promises) -> None:
        self._history = history
        self._promises = promises
        self._calls = sorted(history.calls, key=lambda call: call.ended)
        self._of: dict[str, list[Call]] = defaultdict(list)
        for call in self._calls:
            self._of[call.session].append(call)
        self._thefts: dict[str, list[float]] = defaultdict(list)
        for theft in history.thefts:
            self._thefts[theft.session].append(theft.at)
        self._rollbacks = sorted(
            (one for one in history.incidents if one.kept_until is not None), key=lambda one: one.began
        )
        self._incidents = sorted((one.began, one.ended) for one in history.incidents)
        self._begun = {call.session: call for call in self._calls if call.ask is Ask.SIGN_IN and call.got is Got.DONE}

    def findings(self) -> Iterator[str]:
        """Every rule, over everything."""
        yield from self._strange()
        yield from self._mixed_up()
        yield from self._signed_out_for_nothing()
        yield from self._refused_for_nothing()
        yield from self._passed_after_its_end()
        yield from self._left_out()
        for session in self._begun:
            yield from self._alive_after_its_end(session)
            yield from self._gone_back(session)
            yield from self._unnoticed(session)
        yield from self._badly_kept()

    # ---- what may be lost ----

    def _lost(self, acknowledged_at: float, seen_at: float) -> Incident | None:
        """The incident by which something acknowledged at one instant may be missing at another."""
        for incident in self._rollbacks:
            assert incident.kept_until is not None
            if incident.kept_until <= acknowledged_at <= incident.ended and incident.began <= seen_at:
                return incident
        return None

    def _may_be_over(self, session: str, at: float) -> bool:
        """Whether somebody may have ended it by then."""
        return any(call.ask in ENDS and call.got is not Got.REFUSED and call.began <= at for call in self._of[session])

    def _is_excused(self, session: str, at: float, reason: str | None = None) -> bool:
        """Whether a session may be said to be over at this instant; for this reason, where one is given."""
        is_robbed = any(stolen_at <= at for stolen_at in self._thefts.get(session, ()))
        begun = self._begun.get(session)
        is_lost = begun is not None and self._lost(begun.ended, at) is not None
        match reason:
            case "replayed":
                return is_robbed
            case "unknown":
                return is_lost
            case None:
                return is_robbed or is_lost or self._may_be_over(session, at)
            case _:
                # An end that the store forgets is made again as `revoked`, whatever it was.
                went_back = any(one.began <= at for one in self._rollbacks)
                return self._may_be_over(session, at) or (is_robbed and went_back and reason == "revoked")

    # ---- the rules ----

    def _strange(self) -> Iterator[str]:
        for call in self._calls:
            if call.got is Got.STRANGE:
                yield f"{_shown(call)}: {call.reason}"

    def _mixed_up(self) -> Iterator[str]:
        tags: dict[str, Call] = {}
        begun: dict[str, Call] = {}
        for call in self._calls:
            if call.got is not Got.DONE:
                continue
            if call.ask is Ask.SIGN_IN and begun.setdefault(call.session, call) is not call:
                yield f"{_shown(call)}: this session was given to {begun[call.session].who} already"
            if call.child is not None:
                if tags.setdefault(call.child.tag, call) is not call:
                    yield f"{_shown(call)}: its refresh token was given to {tags[call.child.tag].who} already"
                parent = call.presented
                if call.child.session != call.session or (
                    parent is not None
                    and (call.child.parent, call.child.generation) != (parent.tag, parent.generation + 1)
                ):
                    yield f"{_shown(call)}: the refresh token that came is no child of the one that was shown"
            for access in (call.access, call.told):
                if access is not None and (access.session, access.account) != (call.session, call.account):
                    yield f"{_shown(call)}: the answer is about session {access.session} of {access.account}"

    def _signed_out_for_nothing(self) -> Iterator[str]:
        for call in self._calls:
            if call.got is Got.OVER and not self._is_excused(call.session, call.ended, call.reason):
                yield f"{_shown(call)}: a false sign-out, {call.reason}"
        for told in self._history.signed_out:
            if not self._is_excused(told.session, told.at):
                yield f"{told.who} was told that {told.session} is over ({told.reason}): a false sign-out"

    def _refused_for_nothing(self) -> Iterator[str]:
        for call in self._calls:
            if call.got is not Got.REFUSED:
                continue
            if call.ask is not Ask.USE:
                if call.ask is not Ask.END:
                    yield f"{_shown(call)}: refused"
                continue
            assert call.access is not None
            is_old = call.access.expires_at <= call.ended + self._promises.skew
            if not is_old and not self._is_excused(call.session, call.ended):
                yield f"{_shown(call)}: a good access token was refused"

    def _passed_after_its_end(self) -> Iterator[str]:
        for call in self._calls:
            if call.ask is Ask.USE and call.got is Got.DONE:
                assert call.access is not None
                late = call.began - call.access.expires_at
                if late > self._promises.skew:
                    yield f"{_shown(call)}: an access token passed {late:.1f} s after its end"

    def _alive_after_its_end(self, session: str) -> Iterator[str]:
        ends = [call for call in self._of[session] if call.ask in ENDS and call.got is Got.DONE]
        for call in self._of[session]:
            if call.got is not Got.DONE or call.ask not in (Ask.REFRESH, Ask.USE):
                continue
            for end in ends:
                if end.ended < call.began and not self._is_revived(end, call):
                    if call.ask is Ask.REFRESH:
                        yield f"{_shown(call)}: refreshed after its end was acknowledged to {end.who}"
                        break
                    if self._lost(self._begun[session].ended, end.ended) is not None:
                        continue  # the store never knew it: there was nothing that guards could have been told of
                    known_for = self._longest_calm(end.ended, call.began)
                    if known_for > self._promises.known_within:
                        yield f"{_shown(call)}: passed {known_for:.1f} s after its end was acknowledged to {end.who}"
                        break

    def _is_revived(self, end: Call, seen: Call) -> bool:
        """Whether the store has forgotten this end, and nobody had to know it better by then."""
        lost = self._lost(end.ended, seen.ended)
        return lost is not None and self._is_still_forgotten(lost, seen.began)

    def _is_still_forgotten(self, lost: Incident, at: float) -> bool:
        again_within = self._promises.reapplied_within
        return again_within is None or at <= lost.ended + again_within

    def _longest_calm(self, begin: float, end: float) -> float:
        longest, calm_since = 0.0, begin
        for began, ended in self._incidents:
            if ended > begin and began < end:
                longest = max(longest, began - calm_since)
                calm_since = max(calm_since, ended)
        return max(longest, end - calm_since)

    def _gone_back(self, session: str) -> Iterator[str]:
        """What counted once is never taken for the newest again: neither an older token nor another of its kind."""
        confirmed: list[tuple[int, str, float]] = []
        for call in self._of[session]:
            shown = call.presented
            if call.ask is not Ask.REFRESH or call.got is not Got.DONE or shown is None:
                continue
            counts = (shown.generation, shown.tag) if call.child is not None else (shown.generation - 1, shown.parent)
            for generation, tag, at in confirmed:
                is_older = counts[0] < generation or (counts[0] == generation and counts[1] != tag)
                if is_older and at < call.began and not self._lost(at, call.ended):
                    yield f"{_shown(call)}: taken although generation {generation} was acknowledged before"
                    break
            confirmed.append((*counts, call.ended))

    def _unnoticed(self, session: str) -> Iterator[str]:
        """After two ripe rotations of one of two parties, the other has nothing: docs/rotation.md."""
        if session not in self._thefts:
            return
        since = max(self._thefts[session])  # whoever comes last has the newest token
        since = max([since, *(one.ended for one in self._rollbacks if one.began > since)])
        rotations: dict[str, list[float]] = defaultdict(list)
        highest = -1
        for call in self._of[session]:
            if call.ask is not Ask.REFRESH or call.got is not Got.DONE or call.presented is None:
                continue
            if call.began < since:
                highest = max(highest, call.presented.generation) if call.child is not None else highest
                continue
            for party, at in rotations.items():
                if party != call.who and len(at) > 1 and at[1] < call.began:
                    yield f"{_shown(call)}: a theft was not noticed, {party} had rotated twice"
            if call.child is not None and call.presented.generation > highest:
                highest = call.presented.generation
                rotations[call.who].append(call.ended)

    def _left_out(self) -> Iterator[str]:
        """Whoever is signed in when all is well again can refresh."""
        calm_since = max((one.ended for one in self._history.incidents), default=float("-inf"))
        for session, begun in self._begun.items():
            if self._is_excused(session, float("inf")):
                continue
            if not any(
                call.ask is Ask.REFRESH and call.got is Got.DONE and call.ended >= calm_since
                for call in self._of[session]
            ):
                yield f"{begun.who}: its session {session} was not refreshed after all was well again"

    def _badly_kept(self) -> Iterator[str]:
        """What the store has in the end is what was acknowledged."""
        for session, begun in self._begun.items():
            standing = self._history.standings.get(session)
            if standing is None:
                if self._lost(begun.ended, float("inf")) is None:
                    yield f"session {session} of {begun.who}: its sign-in is lost"
                continue
            yield from (f"session {session} of {begun.who}: {what}" for what in self._wrong_in(session, standing))

    def _wrong_in(self, session: str, standing: Standing) -> Iterator[str]:
        at_last = float("inf")
        if standing.over and not self._is_excused(session, at_last, standing.over):
            yield f"it was ended: {standing.over}"
        if not standing.over:
            for end in self._of[session]:
                if end.ask not in ENDS or end.got is not Got.DONE:
                    continue
                lost = self._lost(end.ended, at_last)
                if lost is None or not self._is_still_forgotten(lost, self._history.read_at):
                    yield f"its end, acknowledged to {end.who}, is lost"
        for call in _advances(self._of[session]):
            assert call.presented is not None
            counts = (call.presented.generation, call.presented.tag)
            has = (standing.generation, standing.tag)
            is_less = has[0] < counts[0] or (has[0] == counts[0] and has[1] != counts[1])
            if is_less and self._lost(call.ended, at_last) is None:
                yield f"generation {standing.generation}, {counts[0]} was acknowledged to {call.who}"
                break
        if standing.heals and not self._rollbacks:
            yield f"it was healed {standing.heals} times, and the store never went back"
        if standing.replays and session not in self._thefts:
            yield "a replay, and nobody has stolen its token"


def _advances(calls: Iterable[Call]) -> Iterator[Call]:
    """Refreshes by whose answer the token that was shown is the newest that counts."""
    for call in calls:
        if call.ask is Ask.REFRESH and call.got is Got.DONE and call.presented is not None and call.child is not None:
            yield call


def _shown(call: Call) -> str:
    generation = "" if call.presented is None else f" with generation {call.presented.generation}"
    return f"{call.began:.3f}-{call.ended:.3f} {call.who}, {call.ask}{generation} of {call.session or 'no session'}"
