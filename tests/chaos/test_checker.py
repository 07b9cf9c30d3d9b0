"""The checker over histories finds what was planted, and nothing in a history that keeps every promise."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.chaos.checker import Promises, check
from tests.chaos.history import Access, Ask, Call, Got, History, Incident, SignedOut, Standing, Theft, Token
from tests.chaos.imagined import Lie, World

PROMISES = Promises()
SEEDS = st.integers(0, 2**32)


@given(seed=SEEDS)
def test_a_history_that_keeps_every_promise_has_no_findings(seed: int) -> None:
    """Whatever order things happen in, thefts, lost answers and restored backups included, nothing is found."""
    world = World(random.Random(seed))
    assert check(world.run(80), PROMISES) == []


@pytest.mark.parametrize("lie", Lie)
def test_a_lie_that_is_planted_is_found(lie: Lie) -> None:
    """A store, a server or a guard that breaks one promise, now and then, is found out."""
    found = 0
    for seed in range(40):
        world = World(random.Random(seed), lie)
        findings = check(world.run(160), PROMISES)
        assert not findings or world.lies_told
        found += bool(findings)
    assert found >= 5  # not every run shows it


def _token(generation: int, tag: str, parent: str = "") -> Token:
    return Token("s", generation, tag, parent)


A, B, C, D = _token(0, "a"), _token(1, "b", "a"), _token(2, "c", "b"), _token(3, "d", "c")
ACCESS = Access("s", "ada", 1e9)
SIGN_IN = Call("client", Ask.SIGN_IN, Got.DONE, 0, 1, "ada", "s", child=A, access=ACCESS)


def _refresh(at: float, presented: Token, child: Token | None, who: str = "client", got: Got = Got.DONE) -> Call:
    access = ACCESS if got is Got.DONE else None
    return Call(who, Ask.REFRESH, got, at, at + 0.1, "ada", "s", presented=presented, child=child, access=access)


def _use(at: float, *, expires_at: float = 1e9, got: Got = Got.DONE, told: Access | None = None) -> Call:
    access = replace(ACCESS, expires_at=expires_at)
    return Call("client", Ask.USE, got, at, at + 0.1, "ada", "s", access=access, told=told)


END = Call("operator", Ask.END, Got.DONE, 10, 11, "ada", "s")
GOOD = [SIGN_IN, _refresh(2, A, B), _refresh(4, B, C)]
KEPT = Standing(1, "b")


def _history(*calls: Call, standing: Standing | None = KEPT, incidents: tuple[Incident, ...] = ()) -> History:
    standings = {} if standing is None else {"s": standing}
    return History(list(calls), incidents=list(incidents), standings=standings)


RESTORED = Incident("restored", 20, 21, kept_until=3)


@pytest.mark.parametrize(
    ("history", "told"),
    [
        (_history(*GOOD, replace(_refresh(6, C, None, got=Got.OVER), reason="unknown")), "a false sign-out, unknown"),
        (_history(*GOOD, replace(_refresh(6, C, None, got=Got.OVER), reason="replayed")), "a false sign-out"),
        (_history(*GOOD, standing=replace(KEPT, over="revoked")), "it was ended: revoked"),
        (_history(*GOOD, END, _refresh(12, C, D), standing=replace(KEPT, over="revoked")), "refreshed after its end"),
        (_history(*GOOD, END, _use(14), standing=replace(KEPT, over="revoked")), "passed 3.0 s after its end"),
        (_history(*GOOD, END), "acknowledged to operator, is lost"),
        (_history(*GOOD, _use(14, expires_at=12)), "an access token passed 2.0 s after its end"),
        (_history(*GOOD, _use(14, got=Got.REFUSED)), "a good access token was refused"),
        (_history(*GOOD, _use(14, told=replace(ACCESS, account="bob"))), "the answer is about session s of bob"),
        (_history(*GOOD, replace(_refresh(6, B, C), who="other")), "was given to client already"),
        (_history(*GOOD, _refresh(6, C, replace(D, parent="x"))), "is no child of the one that was shown"),
        (_history(*GOOD, _refresh(6, A, _token(1, "b2", "a"))), "although generation 1 was acknowledged"),
        (_history(*GOOD, _refresh(6, _token(1, "b2", "a"), D)), "although generation 1 was acknowledged"),
        (_history(*GOOD, replace(SIGN_IN, who="other", began=7, ended=8)), "was given to client already"),
        (_history(*GOOD, standing=None), "its sign-in is lost"),
        (_history(*GOOD, standing=Standing(0, "a")), "generation 0, 1 was acknowledged"),
        (_history(*GOOD, standing=Standing(1, "b2")), "generation 1, 1 was acknowledged"),
        (_history(*GOOD, standing=replace(KEPT, heals=1)), "the store never went back"),
        (_history(*GOOD, standing=replace(KEPT, replays=1)), "a replay, and nobody has stolen its token"),
        (_history(*GOOD, incidents=(Incident("cut", 8, 9),)), "not refreshed after all was well again"),
        (_history(*GOOD, replace(_refresh(6, C, None, got=Got.STRANGE), reason="500")), "500"),
    ],
)
def test_a_broken_promise_is_one_line_that_says_which(history: History, told: str) -> None:
    """What is found says who asked for what, when, and what was wrong with the answer."""
    findings = check(history, PROMISES)
    assert any(told in finding for finding in findings), findings


@pytest.mark.parametrize(
    "history",
    [
        _history(*GOOD),
        _history(*GOOD, END, _use(12.5), standing=replace(KEPT, over="revoked")),
        _history(*GOOD, _use(14, expires_at=13)),
        _history(*GOOD, _use(14, expires_at=13, got=Got.REFUSED)),
        _history(*GOOD, replace(END, got=Got.LOST), replace(_refresh(10.5, C, None, got=Got.OVER), reason="revoked")),
        _history(*GOOD, replace(END, got=Got.LOST)),
        _history(
            *GOOD,
            END,
            _use(14, got=Got.DONE),
            _refresh(30, C, D),
            standing=Standing(2, "c", "revoked"),
            incidents=(Incident("cut", 11, 13.5), RESTORED),
        ),
    ],
)
def test_what_may_be_so_is_not_found(history: History) -> None:
    """An end under way, a guard that has not heard of it yet, a clock's whole second, a store that went back."""
    assert check(history, PROMISES) == []


def test_a_client_that_tells_its_application_of_an_end_that_was_none_is_found() -> None:
    """Not only the server can sign somebody out: the client's own word counts as well."""
    history = _history(*GOOD)
    history.signed_out.append(SignedOut("client", 7, "s", "signed_out"))
    assert len(check(history, PROMISES)) == 1
    history.calls.append(replace(END, began=6, ended=6.5))
    history.standings["s"] = replace(KEPT, over="revoked")
    assert check(history, PROMISES) == []


def test_an_end_that_a_restore_has_lost_is_demanded_again_where_it_is_promised() -> None:
    """Where running servers end again what they remember, a session that stays alive is found."""
    calls = [SIGN_IN, END, _refresh(30, A, B)]
    history = _history(*calls, standing=Standing(0, "a"), incidents=(RESTORED,))
    assert check(history, PROMISES) == []
    findings = check(history, replace(PROMISES, reapplied_within=5))
    assert len(findings) == 2
    assert "refreshed after its end" in findings[0]
    assert "is lost" in findings[1]
    assert check(replace(history, read_at=24), replace(PROMISES, reapplied_within=5)) == findings[:1]
    in_time = _history(SIGN_IN, END, _refresh(24, A, B), standing=Standing(0, "a", "revoked"), incidents=(RESTORED,))
    assert check(in_time, replace(PROMISES, reapplied_within=5)) == []


def test_a_stolen_session_whose_end_was_lost_may_be_ended_again_under_another_name() -> None:
    """What servers end again is `revoked`, though it had been a replay; before the store went back it may not be."""
    history = _history(SIGN_IN, standing=Standing(0, "a", "revoked"), incidents=(RESTORED,))
    history.thefts.append(Theft("s", 2))
    assert check(history, PROMISES) == []
    history.calls.append(replace(_refresh(5, A, None, "thief", Got.OVER), reason="revoked"))
    assert len(check(history, PROMISES)) == 1


def test_what_is_acknowledged_after_a_restore_is_not_excused_by_it() -> None:
    """A store that went back once has to keep what it acknowledged afterwards."""
    end = replace(END, began=25, ended=26)
    history = _history(SIGN_IN, end, _refresh(30, A, B), standing=Standing(0, "a"), incidents=(RESTORED,))
    findings = check(history, PROMISES)
    assert len(findings) == 2
    assert "refreshed after its end" in findings[0]
    assert "is lost" in findings[1]


def test_a_session_that_is_stolen_twice_may_be_over_since_the_first_theft() -> None:
    """A replay that the first thief has caused is no false sign-out, though another came after."""
    over = replace(_refresh(5, C, None, got=Got.OVER), reason="replayed")
    history = _history(*GOOD, over, standing=replace(KEPT, over="replayed", replays=1))
    history.thefts += [Theft("s", 4.5), Theft("s", 6)]
    assert check(history, PROMISES) == []


@pytest.mark.parametrize(("thief_at", "is_noticed"), [(5, True), (9, False)])
def test_a_thief_who_walks_along_after_two_rotations_of_the_owner_is_found(thief_at: float, is_noticed: bool) -> None:
    """One ripe rotation of the owner may be followed by a success of the thief, a second one may not."""
    stolen = _token(2, "thief", "b")
    calls = [*GOOD, _refresh(6, C, D), _refresh(8, D, _token(4, "e", "d"))]
    thief = [_refresh(3, B, stolen, "thief"), _refresh(thief_at, stolen, None, "thief")]
    history = _history(*calls, *thief, standing=Standing(3, "d"))
    history.thefts.append(Theft("s", 2.5))
    found = [finding for finding in check(history, PROMISES) if "a theft was not noticed" in finding]
    assert bool(found) is not is_noticed


def test_a_history_is_written_down_in_the_order_of_time(tmp_path: Path) -> None:
    """Whoever looks for the cause of a finding reads it line by line."""
    history = _history(END, *GOOD)
    history.write(tmp_path / "history.jsonl")
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert len(lines) == 5
    assert '"sign in"' in lines[0]
    assert '"Standing"' in lines[-1]
