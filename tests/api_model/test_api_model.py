"""Hypothesis uses a running server as devices, thieves and owners would, and holds each step against the model."""

import contextlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.api_model.comparing import Compared, has_sessions
from tests.api_model.devices import Devices, seen
from tests.api_model.model import (
    ACCESS_LIFETIME,
    IDLE,
    MAX_AGE,
    OVERLAP,
    RIPE_AT,
    SECOND,
    Access,
    Account,
    Refresh,
    Session,
)
from tests.support.clock import MovingClock
from tests.support.server import PASSWORD, live_server

T = TypeVar("T")


def drawn(things: Callable[[Devices], Iterable[T]]) -> st.SearchStrategy[T]:
    """Any of the things that this run has seen so far, the newest first when a failure is made small."""
    return st.runner().flatmap(lambda devices: st.sampled_from([*things(devices)][::-1]))


short_waits = st.sampled_from([1, OVERLAP // 2, OVERLAP - 1, OVERLAP, OVERLAP + 1, RIPE_AT - 1, RIPE_AT])
pauses = st.sampled_from([RIPE_AT, RIPE_AT + OVERLAP, ACCESS_LIFETIME - 1, ACCESS_LIFETIME, IDLE // 2])
long_waits = st.sampled_from([ACCESS_LIFETIME + SECOND, IDLE // 2, IDLE - 1, IDLE, IDLE, MAX_AGE])

edges = st.sampled_from([-1, 0, 1])
roles = st.sampled_from([(), ("reader",), ("reader", "writer")])

accounts = drawn(lambda devices: devices.people)
sessions = drawn(lambda devices: devices.live_first([*devices.holds]))
accesses = drawn(lambda devices: devices.live_first(devices.access_tokens))
refreshes = drawn(lambda devices: devices.live_first(devices.refresh_tokens)) | drawn(
    lambda devices: devices.refresh_tokens
)
ended = drawn(lambda devices: devices.of_ended() or devices.refresh_tokens)
overtaken = drawn(lambda devices: [*filter(Refresh.is_overtaken, devices.refresh_tokens)] or devices.refresh_tokens)


class Stories(Compared):
    """What may happen next."""

    @initialize()
    def two_people(self) -> None:
        """Every run has its own, for the server and its clock go on."""
        run = next(self.runs)
        for which in ("ada", "bob"):
            name = f"{which}{run}"
            self.live.add_user(name)
            self.people.append(Account(name, PASSWORD))
            for is_cookie in (False, True):
                self._sign_in(self.people[-1], is_cookie=is_cookie, replaces=None)

    @rule(account=accounts, is_cookie=st.booleans())
    def sign_in(self, account: Account, is_cookie: bool) -> None:
        self._sign_in(account, is_cookie=is_cookie, replaces=None)

    @precondition(has_sessions)
    @rule(session=sessions, wait=pauses, times=st.integers(1, 3))
    def device_is_used_now_and_then(self, session: Session, wait: int, times: int) -> None:
        """Whoever keeps coming back stays signed in."""
        for _ in range(times):
            self._wait(wait)
            self._use(session)

    @precondition(has_sessions)
    @rule(session=sessions, is_lost=st.booleans())
    def device_refreshes(self, session: Session, is_lost: bool) -> None:
        """With the token that it holds. Of a lost answer it learns nothing; somebody else may have."""
        self._use(session, is_lost=is_lost)

    @precondition(has_sessions)
    @rule(token=refreshes)
    def anybody_refreshes(self, token: Refresh) -> None:
        """With any token that there ever was: a thief, a late duplicate, a restored backup of a phone."""
        self._present(token)

    @precondition(has_sessions)
    @rule(session=sessions, wait=st.sampled_from([0, OVERLAP - 1, OVERLAP, OVERLAP + 1]))
    def a_device_is_copied_and_used_on(self, session: Session, wait: int) -> None:
        """Whoever comes with the copy comes late."""
        copied = self.holds[session]
        for _ in range(2):
            copied = self.holds[session]
            self._wait(RIPE_AT)
            self._use(session)
        self._wait(wait)
        self._present(copied)

    @precondition(has_sessions)
    @rule(token=overtaken, wait=st.sampled_from([0, 0, OVERLAP - 1, OVERLAP, OVERLAP + 1]))
    def an_overtaken_token_comes(self, token: Refresh, wait: int) -> None:
        """Its successor has been shown already: a duplicate that was long under way, or one of two is a thief."""
        self._wait(wait)
        self._present(token)

    @precondition(has_sessions)
    @rule(token=refreshes, times=st.integers(2, 4))
    def many_refresh_at_once(self, token: Refresh, times: int) -> None:
        """The order in which they are decided cannot be seen: the answers are those of one after the other."""
        with ThreadPoolExecutor(times) as pool:
            answers = list(pool.map(lambda _: self._send(token), range(times)))
        foreseen = [token.session.present(token, self.now) for _ in range(times)]
        assert sorted(map(str, map(seen, answers))) == sorted(map(str, foreseen))
        for answer in answers:
            if answer.status_code == 200:
                self._taken(answer, token.session, token)

    @rule(wait=short_waits)
    def time_passes(self, wait: int) -> None:
        self._wait(wait)

    # What would come too often, were each a rule of its own

    @precondition(has_sessions)
    @rule(
        how=st.integers(0, 6),
        access=accesses,
        token=refreshes,
        session=sessions,
        account=accounts,
        keep=st.booleans(),
        wait=long_waits,
        edge=edges,
    )
    def something_ends(
        self,
        how: int,
        access: Access,
        token: Refresh,
        session: Session,
        account: Account,
        keep: bool,
        wait: int,
        edge: int,
    ) -> None:
        (
            lambda: self.sign_out_by_access_token(access),
            lambda: self.sign_out_by_refresh_token(token),
            lambda: self.end_one(access, session),
            lambda: self.end_all(access, keep),
            lambda: self.sign_in_with_the_cookie_of_a_session(account, session),
            lambda: self._wait(wait),
            lambda: self.a_session_is_used_to_its_end(session, edge),
        )[how]()

    @precondition(has_sessions)
    @rule(
        how=st.integers(0, 4),
        access=accesses,
        account=accounts,
        is_right=st.sampled_from([True, True, False]),
        roles=roles,
    )
    def an_account_changes(
        self, how: int, access: Access, account: Account, is_right: bool, roles: tuple[str, ...]
    ) -> None:
        (
            lambda: self.change_roles(account, roles),
            lambda: self.enable(account),
            lambda: self.change_password(access, is_right),
            lambda: self.change_password(access, is_right),
            lambda: self.disable(account),
        )[how]()

    @precondition(has_sessions)
    @rule(
        how=st.integers(0, 4),
        token=refreshes,
        ended=ended,
        account=accounts,
        at=st.integers(4, 131),
        to=st.sampled_from("Aa_9"),
    )
    def something_is_tried(self, how: int, token: Refresh, ended: Refresh, account: Account, at: int, to: str) -> None:
        (
            lambda: self.a_forged_token_is_refused(token, at, to),
            lambda: self.a_token_goes_the_way_it_was_not_handed_out(token),
            lambda: self.a_cookie_without_its_csrf_token_is_refused(token),
            lambda: self.sign_in_with_a_wrong_password(account),
            lambda: self.anybody_refreshes(ended),
        )[how]()

    @precondition(has_sessions)
    @rule(how=st.integers(0, 3), access=accesses, edge=edges)
    def somebody_looks(self, how: int, access: Access, edge: int) -> None:
        if how == 0:  # at the last moment, or just too late
            self._wait(max(access.good_until + edge - self.now, 0))
        (self.where_am_i_signed_in if how == 1 else self.who_am_i)(access)


EVERYTHING = {
    *("tokens", "access token", "stale", "replayed", "expired_idle", "expired_max_age"),
    *("signed_out", "password_changed", "revoked", "account_disabled"),
}
"""What can become of a refresh token or a session: a test that does not get there proves nothing about it."""


@contextlib.contextmanager
def devices_of_a_server(folder: Path) -> Iterator[type[Stories]]:
    """The machine, bound to one server for all of its runs: the server's clock only moves on."""
    with (
        live_server(
            folder,
            clock=MovingClock(),
            overlap=timedelta(milliseconds=OVERLAP),
            access_lifetime=timedelta(milliseconds=ACCESS_LIFETIME),
            idle_lifetime=timedelta(milliseconds=IDLE),
            max_age=timedelta(milliseconds=MAX_AGE),
            free_failures_per_pair=85,
            free_failures_per_account=85,
            free_failures_per_address=278,
            log_level="error",
        ) as live,
        live.client() as http,
    ):

        class Machine(Stories):
            """The devices of this server."""

        Machine.live, Machine.http, Machine.runs = live, http, itertools.count()
        Devices.steps, Devices.reached = 0, Counter()
        yield Machine


def drive(folder: Path, *, runs: int, steps: int) -> int:
    """Let Hypothesis tell stories; returns how many steps were compared."""
    with devices_of_a_server(folder) as machine:
        run_state_machine_as_test(
            machine,
            settings=settings(
                max_examples=runs,
                stateful_step_count=steps,
                deadline=None,
                derandomize=True,
                database=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
    assert set(Devices.reached) == EVERYTHING, Devices.reached
    return Devices.steps


@pytest.mark.parametrize("edge", [-1, 0, 1], ids=["just before", "at the very moment", "just after"])
def test_at_the_edge_of_every_duration_the_server_decides_as_the_model_says(tmp_path: Path, edge: int) -> None:
    """
    To the millisecond: where a token becomes ripe, where a duplicate is too late, where an access token, an idle
    session and a session in use come to their end.
    """
    with devices_of_a_server(tmp_path) as machine:
        story = machine()
        story.two_people()
        in_body, in_cookie, of_bob, asleep = story.holds
        for session in (in_body, in_cookie):
            for wait in (0, RIPE_AT + edge, RIPE_AT):  # the token of the sign-in, its child, and one that is ripe
                story._wait(wait)
                story._use(session)
            story.compare()
            story._wait(OVERLAP + edge)
            assert session.before is not None
            story._present(session.before)
            story.compare()
        story._use(of_bob)
        access = story.access_tokens[-1]
        story._wait(access.good_until + edge - story.now)
        story.who_am_i(access)
        story.compare()
        for session in (asleep, of_bob):
            story._use(of_bob)
            story.a_session_is_used_to_its_end(session, edge, is_asleep=session is asleep)
            story.compare()
        story.teardown()


@pytest.mark.slow
def test_whatever_devices_and_thieves_do_the_server_does_as_the_model_says(tmp_path: Path) -> None:
    """
    However sign-ins, refreshes, lost answers, thefts, sign-outs, changes of the account and time follow one another,
    every answer, every session, every token's worth and every line of the audit trail is as a simple model has it.
    """
    assert drive(tmp_path, runs=60, steps=40) > 1000


@pytest.mark.soak
def test_whatever_devices_and_thieves_do_for_long_the_server_does_as_the_model_says(tmp_path: Path) -> None:
    """The same, with far more stories, and longer ones."""
    assert drive(tmp_path, runs=1000, steps=60) > 30_000
