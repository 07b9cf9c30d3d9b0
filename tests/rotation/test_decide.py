"""The table of docs/rotation.md, row by row and edge by edge, as stories of one session."""

from dataclasses import replace
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evertoken.sessions.rotation import ANY, Decision, Outcome, Reason, RotationPolicy, Row, decide
from evertoken.tokens.refresh_token import Delivery, RefreshToken

MINUTE: Final = 60_000
DAY: Final = 24 * 60 * MINUTE
NOW: Final = 1_800_000_000_000
POLICY: Final = RotationPolicy(overlap_ms=MINUTE, idle_ms=7 * DAY)
STRICT: Final = RotationPolicy(overlap_ms=0, idle_ms=7 * DAY)

ROW: Final = Row(
    current=b"current",
    previous=b"previous",
    generation=5,
    advanced_at_ms=NOW - MINUTE,
    idle_expires_at_ms=NOW + DAY,
)


def token(tag: bytes = b"mine", *, parent: bytes = b"parent", generation: int = 5, age_ms: int = 0) -> RefreshToken:
    return RefreshToken(b"session", generation, tag, parent, NOW - age_ms, Delivery.BODY)


def child(*, age_ms: int) -> RefreshToken:
    return token(b"child", parent=b"current", generation=6, age_ms=age_ms)


def asked(row: Row | None, presented: RefreshToken, *, now_ms: int = NOW, policy: RotationPolicy = POLICY) -> Decision:
    return decide(row, presented, now_ms=now_ms, policy=policy)


def test_a_session_without_a_row_is_gone() -> None:
    """
    A token of a session that the store does not know is told that the session is over, for a reason unknown.
    """
    assert asked(None, token()) == Decision(Outcome.GONE, None, reason=Reason.UNKNOWN)


@pytest.mark.parametrize("reason", Reason)
def test_a_session_that_is_over_stays_over_for_its_reason(reason: Reason) -> None:
    """
    A session that has ended refuses even its current token, and says why it ended.
    """
    row = replace(ROW, over=reason)
    assert asked(row, token(b"current")) == Decision(Outcome.GONE, row, reason=reason)


def test_the_current_token_again_and_again_is_given_a_new_child_each_time() -> None:
    """
    Until its successor is presented a refresh token stays good, however often it is shown.
    """
    first = asked(ROW, token(b"current"))
    second = asked(first.row, token(b"current"), now_ms=NOW + DAY)
    assert (first.outcome, second.outcome) == (Outcome.REISSUE, Outcome.REISSUE)
    assert second.row == replace(ROW, idle_expires_at_ms=NOW + 8 * DAY)


def test_a_child_younger_than_the_maturity_is_early() -> None:
    """
    A successor that is a millisecond too young earns an access token, and nothing is confirmed by it.
    """
    decision = asked(ROW, child(age_ms=4 * MINUTE - 1))
    assert decision == Decision(Outcome.EARLY, replace(ROW, idle_expires_at_ms=NOW + 7 * DAY))


def test_a_child_of_exactly_the_maturity_advances_the_session() -> None:
    """
    A successor that is four overlaps old is confirmed by being presented, and its parent is dead from then on.
    """
    decision = asked(ROW, child(age_ms=4 * MINUTE))
    assert decision == Decision(Outcome.ADVANCE, Row(b"child", b"current", 6, NOW, NOW + 7 * DAY))


def test_a_child_from_a_clock_ahead_of_ours_is_early() -> None:
    """
    A token that seems to have been issued in the future, because machines differ, counts as young.
    """
    assert asked(ROW, child(age_ms=-MINUTE)).outcome is Outcome.EARLY


def test_a_token_two_generations_ahead_and_young_puts_the_session_right() -> None:
    """
    A store that lost commits learns from a young token which parent was current, and the siblings stay good.
    """
    ahead = token(b"ahead", parent=b"lost", generation=7, age_ms=MINUTE)
    decision = asked(ROW, ahead)
    assert decision == Decision(Outcome.EARLY, Row(b"lost", ANY, 6, NOW, NOW + 7 * DAY), healed=True)
    sibling = token(b"sibling", parent=b"lost", generation=7, age_ms=0)
    assert asked(decision.row, sibling).outcome is Outcome.EARLY


def test_a_token_two_generations_ahead_and_ripe_puts_the_session_right_and_advances_it() -> None:
    """
    A ripe token heals and is confirmed at once; which tags came before is not known, so any may be a late one.
    """
    ahead = token(b"ahead", parent=b"lost", generation=7, age_ms=4 * MINUTE)
    assert asked(ROW, ahead) == Decision(Outcome.ADVANCE, Row(b"ahead", ANY, 7, NOW, NOW + 7 * DAY), healed=True)


def test_a_stranger_one_generation_ahead_is_a_replay() -> None:
    """
    One generation ahead proves no lost commit: only two parties can hold such tokens.
    """
    stranger = token(b"stranger", parent=b"unknown", generation=6, age_ms=DAY)
    assert asked(ROW, stranger).outcome is Outcome.REPLAY


def test_a_healed_session_goes_on_early_and_then_advances_as_usual() -> None:
    """
    HEAL, EARLY, ADVANCE: a token that healed the store is confirmed when it is ripe, and `previous` is known again.
    """
    ahead = token(b"ahead", parent=b"lost", generation=7, age_ms=0)
    healed = asked(ROW, ahead)
    early = asked(healed.row, ahead, now_ms=NOW + 4 * MINUTE - 1)
    assert (early.outcome, early.healed) == (Outcome.EARLY, False)
    ripe = asked(early.row, ahead, now_ms=NOW + 4 * MINUTE)
    assert ripe.outcome is Outcome.ADVANCE
    assert ripe.row == Row(b"ahead", b"lost", 7, NOW + 4 * MINUTE, NOW + 4 * MINUTE + 7 * DAY)


@pytest.mark.parametrize("late", [token(b"previous", generation=4), token(b"sibling", parent=b"previous")])
def test_a_late_duplicate_within_exactly_an_overlap_is_stale(late: RefreshToken) -> None:
    """
    The token before the current one, or a sibling of the current one, is told to wait while it may be a late message.
    """
    assert asked(ROW, late) == Decision(Outcome.STALE, ROW, retry_after_ms=0)
    a_second_before = asked(ROW, late, now_ms=NOW - 1000)
    assert (a_second_before.outcome, a_second_before.retry_after_ms) == (Outcome.STALE, 1000)


@pytest.mark.parametrize("late", [token(b"previous", generation=4), token(b"sibling", parent=b"previous")])
def test_a_late_duplicate_past_the_overlap_is_a_replay(late: RefreshToken) -> None:
    """
    A millisecond after the overlap nothing honest is on its way any more: two parties hold this session.
    """
    assert asked(ROW, late, now_ms=NOW + 1) == Decision(Outcome.REPLAY, ROW, reason=Reason.REPLAYED)


def test_a_late_duplicate_before_the_advance_by_another_clock_is_stale() -> None:
    """
    A store whose clock is behind the one that advanced the session counts the negative time as within the overlap.
    """
    row = replace(ROW, advanced_at_ms=NOW + MINUTE)
    decision = asked(row, token(b"previous", generation=4))
    assert (decision.outcome, decision.retry_after_ms) == (Outcome.STALE, 2 * MINUTE)


def test_an_old_token_within_the_overlap_is_a_replay() -> None:
    """
    Only the token before the current one can be late; an older one was dead for four overlaps already.
    """
    assert asked(ROW, token(b"old", parent=b"older", generation=3)).outcome is Outcome.REPLAY


def test_an_old_token_right_after_a_heal_is_stale() -> None:
    """
    After lost commits any older token may have been the newest, so for an overlap all of them are told to wait.
    """
    row = replace(ROW, previous=ANY)
    old = token(b"old", parent=b"older", generation=3)
    assert asked(row, old).outcome is Outcome.STALE
    assert asked(row, old, now_ms=NOW + 1).outcome is Outcome.REPLAY


def test_an_unknown_token_right_after_sign_in_is_a_replay() -> None:
    """
    A new session has no token before its first: None is not ANY.
    """
    row = replace(ROW, previous=None, generation=0)
    assert asked(row, token(b"other", parent=b"none", generation=0)).outcome is Outcome.REPLAY


def test_a_child_under_the_strict_setting_advances_at_once() -> None:
    """
    With an overlap of 0 a successor counts when it is first presented, whatever the clocks say.
    """
    for age_ms in (0, -MINUTE):
        assert asked(ROW, child(age_ms=age_ms), policy=STRICT).outcome is Outcome.ADVANCE


def test_a_late_duplicate_under_the_strict_setting_is_a_replay() -> None:
    """
    With an overlap of 0 nothing is STALE, not even in the millisecond of the advance.
    """
    row = replace(ROW, advanced_at_ms=NOW)
    assert asked(row, token(b"previous", generation=4), policy=STRICT).outcome is Outcome.REPLAY


def test_a_heal_under_the_strict_setting_advances_at_once() -> None:
    """
    With an overlap of 0 the token that heals is confirmed in the same step.
    """
    ahead = token(b"ahead", parent=b"lost", generation=7)
    decision = asked(ROW, ahead, policy=STRICT)
    assert (decision.outcome, decision.healed) == (Outcome.ADVANCE, True)


def test_an_idle_session_past_both_dates_has_expired() -> None:
    """
    A session ends at the later of the row's idle date and the one that its token was promised, and not before.
    """
    by_the_row = replace(ROW, idle_expires_at_ms=NOW)
    assert asked(by_the_row, token(b"current", age_ms=7 * DAY)).reason is Reason.EXPIRED_IDLE
    assert asked(by_the_row, token(b"current", age_ms=7 * DAY - 1)).outcome is Outcome.REISSUE
    assert asked(replace(ROW, idle_expires_at_ms=NOW + 1), token(b"current", age_ms=8 * DAY)).outcome is Outcome.REISSUE


def test_a_session_that_use_does_not_extend_ends_by_the_row_alone() -> None:
    """
    Where a refresh does not count as use, no token was promised more, and no refresh moves the date.
    """
    policy = RotationPolicy(overlap_ms=MINUTE, idle_ms=7 * DAY, extends_idle=False)
    assert asked(ROW, token(b"current"), policy=policy) == Decision(Outcome.REISSUE, ROW)
    row = replace(ROW, idle_expires_at_ms=NOW)
    assert asked(row, token(b"current"), policy=policy).reason is Reason.EXPIRED_IDLE


def test_a_session_of_the_maximum_age_has_expired_however_busy_it_is() -> None:
    """
    At the maximum age a session ends, whatever its idle date says, and that is the reason that is told.
    """
    row = replace(ROW, max_expires_at_ms=NOW, idle_expires_at_ms=NOW - DAY)
    assert asked(row, token(b"current")).reason is Reason.EXPIRED_MAX_AGE
    assert asked(replace(ROW, max_expires_at_ms=NOW + 1), token(b"current")).outcome is Outcome.REISSUE


TAGS: Final = st.sampled_from([b"a", b"b", b"c", b"d"])
MOMENTS: Final = st.integers(NOW - 8 * DAY, NOW + DAY) | st.sampled_from(
    [NOW + sign * times * MINUTE + off for sign in (-1, 1) for times in (0, 1, 4) for off in (-1, 0, 1)]
)
ROWS: Final = st.builds(
    Row,
    current=TAGS,
    previous=TAGS | st.none() | st.just(ANY),
    generation=st.integers(0, 6),
    advanced_at_ms=MOMENTS,
    idle_expires_at_ms=MOMENTS,
    max_expires_at_ms=MOMENTS | st.none(),
    over=st.sampled_from(Reason) | st.none(),
)
TOKENS: Final = st.builds(
    RefreshToken, st.just(b"session"), st.integers(0, 6), TAGS, TAGS, MOMENTS, st.sampled_from(Delivery)
)
POLICIES: Final = st.builds(
    RotationPolicy,
    overlap_ms=st.sampled_from([0, 1, MINUTE]),
    idle_ms=st.sampled_from([1, 7 * DAY]),
    extends_idle=st.booleans(),
)


@given(row=ROWS | st.none(), presented=TOKENS, policy=POLICIES)
def test_any_question_gets_an_answer_that_explains_itself(
    row: Row | None, presented: RefreshToken, policy: RotationPolicy
) -> None:
    """
    Nothing raises; who is refused is told a reason, and who is told to wait is told for how long.
    """
    decision = asked(row, presented, policy=policy)
    refused = decision.outcome in {Outcome.GONE, Outcome.REPLAY}
    assert refused == (decision.reason is not None)
    assert decision.retry_after_ms >= 0
    assert decision.outcome is Outcome.STALE or decision.retry_after_ms == 0


@given(row=ROWS, presented=TOKENS, policy=POLICIES)
def test_a_refusal_or_a_wait_leaves_the_row_as_it_was(
    row: Row, presented: RefreshToken, policy: RotationPolicy
) -> None:
    """
    GONE, STALE and REPLAY change nothing in what rotation keeps.
    """
    decision = asked(row, presented, policy=policy)
    if decision.outcome in {Outcome.GONE, Outcome.STALE, Outcome.REPLAY}:
        assert decision.row is row
        assert not decision.healed


@given(row=ROWS, presented=TOKENS, policy=POLICIES)
def test_a_success_that_confirms_nothing_moves_only_the_idle_date(
    row: Row, presented: RefreshToken, policy: RotationPolicy
) -> None:
    """
    A thief who polls gains nothing: REISSUE and EARLY leave current, previous, generation and the time of the advance.
    """
    decision = asked(row, presented, policy=policy)
    if decision.outcome in {Outcome.REISSUE, Outcome.EARLY} and not decision.healed:
        idle = NOW + policy.idle_ms if policy.extends_idle else row.idle_expires_at_ms
        assert decision.row == replace(row, idle_expires_at_ms=idle)


@given(row=ROWS, presented=TOKENS, policy=POLICIES)
def test_a_success_never_leads_back_to_an_older_generation(
    row: Row, presented: RefreshToken, policy: RotationPolicy
) -> None:
    """
    Among tokens as we make them, a child being one generation after its parent, a session only moves forward.
    """
    genuine = presented.parent != row.current or presented.generation == row.generation + 1
    decision = asked(row, presented, policy=policy)
    if genuine and decision.row is not None:
        assert decision.row.generation >= row.generation
        assert (decision.row.current != row.current) <= (decision.outcome is Outcome.ADVANCE or decision.healed)


@given(row=ROWS, presented=TOKENS, policy=POLICIES)
def test_a_token_that_heals_is_judged_the_same_when_it_is_sent_again(
    row: Row, presented: RefreshToken, policy: RotationPolicy
) -> None:
    """
    A duplicate of the request that healed, or advanced, is served as well.
    """
    first = asked(row, presented, policy=policy)
    if first.outcome is Outcome.ADVANCE or first.healed:
        again = asked(first.row, presented, policy=policy)
        if presented.tag != presented.parent:
            assert again.outcome in {Outcome.REISSUE, Outcome.EARLY}
            assert not again.healed


@given(row=ROWS, presented=TOKENS, policy=POLICIES)
def test_whoever_waits_what_he_was_told_is_not_told_to_wait_again(
    row: Row, presented: RefreshToken, policy: RotationPolicy
) -> None:
    """
    The wait that STALE names ends: a millisecond later the answer is another one.
    """
    decision = asked(row, presented, policy=policy)
    if decision.outcome is Outcome.STALE:
        later = asked(row, presented, now_ms=NOW + decision.retry_after_ms + 1, policy=policy)
        assert later.outcome is not Outcome.STALE
