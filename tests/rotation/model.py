"""
The world around the decision: one cookie jar, tabs that do not know of each other, a network, a store, a thief.

Time is counted in ticks. A tab reads the jar and sends in one step. What has been sent may be delivered, delivered
and kept (a duplicate), lost or held back, in any order, for as long as it may live; an answer with a refresh token in
it overwrites the jar whenever it arrives. An answer without one changes no jar and is not modelled as a message. A
reload in mid-refresh is a tab that sends again while the old request travels on, its answer applied or lost.
"""

import enum
from dataclasses import dataclass
from typing import Final

from .canonical import ANSWER, ECHO, REQUEST, Message, Score, State, canonical
from .server import NOBODY, Row, Server, Token, Verdict

Event = tuple[str, int, str]
"""What happened, to the token of which tag, with which outcome."""

Step = tuple[Event, State, str]
"""An event, the state after it (not yet canonical), and the promise that it broke, if any."""

SUCCESS: Final = frozenset({"reissue", "early", "advance"})


class Thief(enum.Enum):
    """When a thief who copied the jar presents what he holds."""

    ANY = "whenever he likes"
    EAGER = "at once"
    LAZY = "only when it is ripe"
    POLLS = "in every tick"


@dataclass(frozen=True)
class World:
    """
    One configuration to walk.

    Args:
        overlap: Ticks. The finer the tick, the closer the walk is to continuous time.
        request_life: The most ticks for which a request may travel.
        answer_life: The most ticks for which an answer may travel.
        together: The answer's life is counted from the sending of its request.
        in_flight: The most messages that travel at any time, echoes aside.
        echoes: The most late echoes of requests that wait at any time.
        echo_life: The most ticks for which an echo may wait.
        rollbacks: The store may be saved at any moment and rolled back to that, as often as it likes.
        backup_depth: How many successions a backup may be behind; 0 for any number.
        idle: The idle time in ticks; 0 leaves it out.
        thief: His habit; None where there is none.
        pockets: How many tokens the thief can hold.
    """

    name: str
    overlap: int
    request_life: int
    answer_life: int
    together: bool = True
    in_flight: int = 3
    echoes: int = 0
    echo_life: int = 0
    rollbacks: bool = False
    backup_depth: int = 0
    idle: int = 0
    thief: Thief | None = None
    pockets: int = 1

    @property
    def maturity(self) -> int:
        """The maturity of the design, in ticks, whatever the server under test may think."""
        return 4 * self.overlap


class Walk:
    """All that can happen next, state by state."""

    def __init__(self, world: World, server: Server) -> None:
        self.world = world
        self.server = server
        self.oldest = max(world.maturity, server.policy.maturity_ms, world.idle)
        self.forgotten = server.horizon + 1
        self.life = {REQUEST: world.request_life, ANSWER: world.answer_life, ECHO: world.echo_life}
        self.promised = world.idle - world.maturity

    def start(self) -> State:
        """Give the moment after the sign-in was committed: its answer is on its way to the jar."""
        first: Token = (0, 0, 1, 0)
        row: Row = (0, NOBODY, 0, self.forgotten, self.world.idle, 0)
        return State(row, (0, 0, 0, 0), None, ((ANSWER, 0, first),))

    def bounded(self, raw: State) -> State:
        """Give the state without a backup that is older than this world keeps."""
        depth, saved = self.world.backup_depth, raw.saved
        if depth and saved is not None and raw.row[2] - saved[0][2] > depth:
            return raw._replace(saved=None)
        return raw

    def canonical(self, raw: State) -> tuple[State, dict[int, int]]:
        """Give the one name of all states that differ in nothing that could ever matter, and what was renamed."""
        return canonical(self.bounded(raw), self.forgotten)

    def steps(self, state: State) -> list[Step]:
        """Give everything that can happen next."""
        if state.row[5] and state.saved is None:
            return self._last_words(state)
        steps: list[Step] = []
        if self.world.thief is None:
            self._try_now(state, steps)
        self._network(state, steps)
        if self.world.rollbacks:
            self._store(state, steps)
        if state.loot is not None:
            self._thief(state, steps)
        elif self.world.thief is not None and state.jar is not None:
            due = int(self.world.thief in {Thief.EAGER, Thief.POLLS})
            steps.append((("steal", state.jar[1], ""), state._replace(loot=(due, (state.jar,))), ""))
        if self._may_wait(state):
            steps.append((("tick", NOBODY, ""), self._later(state), ""))
        return steps

    def _network(self, state: State, steps: list[Step]) -> None:
        world, jar, messages = self.world, state.jar, state.messages
        echoes = sum([message[0] == ECHO for message in messages])
        room = len(messages) - echoes < world.in_flight
        if jar is not None and room:
            steps.append((("send", jar[1], ""), state._replace(messages=(*messages, (REQUEST, 0, jar))), ""))
        last = None
        for index, message in enumerate(messages):
            if message == last:
                continue
            last = message
            kind, age, token = message
            rest = messages[:index] + messages[index + 1 :]
            if kind == ANSWER:
                self._answer(state, token, rest, room, steps)
                continue
            steps.append((("lose request", token[1], ""), state._replace(messages=rest), ""))
            self._request(state, message, rest, room, steps)
            if kind == REQUEST and echoes < world.echoes:
                copied = (*messages, (ECHO, age, token))
                steps.append((("echo", token[1], ""), state._replace(messages=copied), ""))

    def _answer(self, state: State, token: Token, rest: tuple[Message, ...], room: bool, steps: list[Step]) -> None:
        steps.append((("arrive", token[1], ""), state._replace(jar=token, messages=rest, quiet=0), ""))
        steps.append((("lose answer", token[1], ""), state._replace(messages=rest), ""))
        if room:
            steps.append((("arrive again", token[1], ""), state._replace(jar=token, quiet=0), ""))

    def _request(
        self, state: State, message: Message, rest: tuple[Message, ...], room: bool, steps: list[Step]
    ) -> None:
        kind, age, token = message
        verdict = self.server.present(state.row, token)
        score, waiting, quiet, broken = self._owner_is_told(state, token, verdict)
        answer: tuple[Message, ...] = ()
        if verdict.child is not None and kind == REQUEST:
            answer = ((ANSWER, age if self.world.together else 0, verdict.child),)
        after = State(verdict.row, score, state.jar, rest + answer, state.loot, state.saved, waiting, quiet)
        steps.append((("deliver" if kind == REQUEST else "hear", token[1], verdict.outcome), after, broken))
        if kind == REQUEST and (room or not answer):
            again = after._replace(messages=state.messages + answer)
            steps.append((("deliver again", token[1], verdict.outcome), again, broken))

    def _owner_is_told(self, state: State, token: Token, verdict: Verdict) -> tuple[Score, int, int, str]:
        """Judge what one of the owner's requests led to: the score, his waits, and the promise it broke."""
        score, waiting, quiet, outcome = state.score, state.waiting, state.quiet, verdict.outcome
        if outcome in SUCCESS:
            if verdict.healed and state.loot is not None:
                score = _healed(score)
            broken = _refused(score, score[1], "the owner went on after two ripe rotations of the thief")
            if outcome == "advance" and state.loot is not None:
                score = (min(score[0] + 1, 2), *score[1:])
            return score, -1, 0 if outcome == "early" else quiet, broken
        if outcome == "stale":
            too_long = waiting > self.world.overlap
            return score, max(waiting, 0), quiet, "the owner met STALE for longer than an overlap" if too_long else ""
        if verdict.reason == "expired_idle" and (quiet >= self.promised or token != state.jar):
            return score, waiting, quiet, ""
        broken = f"an honest session was ended: {verdict.reason}" if state.loot is None else ""
        return (score[0], score[1], 1, score[3]), waiting, quiet, broken

    def _try_now(self, state: State, steps: list[Step]) -> None:
        """Check that a client who sends now over a network that is well gets a success, after one wait at most."""
        if state.jar is None:
            return
        verdict = self.server.present(state.row, state.jar)
        if verdict.outcome == "stale":
            wait = verdict.retry_after + 1
            row, token = self._later_row(state.row, wait), self._later_token(state.jar, wait)
            verdict = self.server.present(row, token)
        if verdict.outcome not in SUCCESS and not (verdict.reason == "expired_idle" and state.quiet >= self.promised):
            steps.append((("probe", state.jar[1], verdict.outcome), state, "an honest client is stuck"))

    def _store(self, state: State, steps: list[Step]) -> None:
        now = (state.row, (*state.score[:3], 0))
        if state.saved != now:
            steps.append((("save", NOBODY, ""), state._replace(saved=now), ""))
            if state.saved is not None:
                row, score = state.saved
                steps.append((("roll back", NOBODY, ""), state._replace(row=row, score=score, waiting=-1), ""))

    def _thief(self, state: State, steps: list[Step]) -> None:
        """Let the thief present what he holds, as his habit is; he may throw an answer away."""
        assert state.loot is not None
        habit = self.world.thief
        tokens = state.loot[1]
        for index, token in enumerate(tokens):
            if habit is Thief.LAZY and token[3] < self.world.maturity:
                continue
            verdict = self.server.present(state.row, token)
            score, broken = self._thief_is_told(state.score, verdict)
            child = verdict.child
            options = [("present", (*tokens[:index], *([child] if child else [token]), *tokens[index + 1 :]))]
            if child is not None and habit is Thief.ANY:
                options.append(("present, keep", tokens))
                if len(tokens) < self.world.pockets:
                    options.append(("present, both", (*tokens, child)))
            due = int(habit is Thief.EAGER and child is not None)
            for kind, kept in options:
                waiting = -1 if verdict.healed else state.waiting
                loot = (due, tuple(sorted(kept)))
                after = state._replace(row=verdict.row, score=score, loot=loot, waiting=waiting)
                steps.append(((kind, token[1], verdict.outcome), after, broken))

    def _thief_is_told(self, score: Score, verdict: Verdict) -> tuple[Score, str]:
        """Judge what the thief got: the score, and the promise it broke."""
        if verdict.outcome in SUCCESS:
            if verdict.healed:
                score = _healed(score)
            broken = _refused(score, score[0], "the thief went on after two ripe rotations of the owner")
            if verdict.outcome == "advance":
                score = (score[0], min(score[1] + 1, 2), *score[2:])
            return score, broken
        return score if verdict.outcome == "stale" else (score[0], score[1], 1, score[3]), ""

    def _last_words(self, state: State) -> list[Step]:
        """Check that a session which is over stays over for everybody; nothing else can happen any more."""
        held = [state.jar] if state.jar is not None else []
        held += [message[2] for message in state.messages]
        held += state.loot[1] if state.loot is not None else ()
        told = [(token, self.server.present(state.row, token).outcome) for token in held]
        broken = "a session that was revoked went on"
        return [(("last", token[1], outcome), state, broken) for token, outcome in told if outcome != "gone"]

    def _may_wait(self, state: State) -> bool:
        """Say whether time may go on: no message would outlive its life, and the thief owes nothing to his habit."""
        if state.loot is not None and state.loot[0]:
            return False
        return all(age < self.life[kind] for kind, age, _token in state.messages)

    def _later(self, state: State) -> State:
        row, score, jar, messages, loot, saved, waiting, quiet = state
        aged = self._later_token
        return State(
            self._later_row(row),
            score,
            aged(jar) if jar is not None else None,
            tuple([(kind, age + 1, aged(token)) for kind, age, token in messages]),
            (int(self.world.thief is Thief.POLLS), tuple([aged(token) for token in loot[1]])) if loot else None,
            (self._later_row(saved[0]), saved[1]) if saved is not None else None,
            min(waiting + 1, self.world.overlap + 1) if waiting >= 0 else -1,
            min(quiet + 1, self.promised) if self.world.idle else 0,
        )

    def _later_row(self, row: Row, ticks: int = 1) -> Row:
        current, previous, generation, advanced, idle_left, over = row
        advanced = min(advanced + ticks, self.forgotten)
        return (current, previous, generation, advanced, max(idle_left - ticks, 0), over)

    def _later_token(self, token: Token, ticks: int = 1) -> Token:
        generation, tag, parent, age = token
        return (generation, tag, parent, min(age + ticks, self.oldest))


def _healed(score: Score) -> Score:
    """Count a HEAL. What the store had forgotten is counted no more: rotations are counted anew from here."""
    return (0, 0, score[2], min(score[3] + 1, 3))


def _refused(score: Score, others_rotations: int, against_whom: str) -> str:
    """Say which promise a success breaks, if any."""
    if score[2]:
        return "a session that was said to be over went on"
    if score[3] > 2:
        return "two parties take turns in healing the store"
    return against_whom if others_rotations == 2 else ""
