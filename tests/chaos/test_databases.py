"""
Real servers over real databases that are killed, cut off, failed over and set back under load, and a checker over the
history of all calls.

`EVERTOKEN_TEST_SEED` repeats the draws of a run, which prints its seed; `EVERTOKEN_SOAK_SECONDS` says how long one of
the long runs lasts.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos import engines
from tests.chaos.checker import check
from tests.chaos.history import History
from tests.chaos.misfortunes import (
    CUTS,
    KILLS,
    REAPPLIED_SECONDS,
    at_random,
    fail_over,
    kill_a_part,
    kill_both,
    kill_database,
    kill_worker,
    one_after_the_other,
    set_back,
)
from tests.chaos.stage import PROMISES, play

pytestmark = pytest.mark.alone

Tell = Callable[[str], None]

ALL_REAPPLIED = replace(PROMISES, reapplied_within=REAPPLIED_SECONDS)
"""Where no worker ends between a session's end and the store's going back: each remembers what it ended or heard of."""

ALIVE_LONGER = "1.5s"
"""The overlap where a request may live for seconds, in a server that waits for a silent database."""

SOAK_SECONDS = float(os.environ.get("EVERTOKEN_SOAK_SECONDS", "180"))


def _something_was_lost(history: History) -> None:
    """The store went back so far that sessions had to be healed, and a checker that excused nothing would say so."""
    assert any(standing.heals for standing in history.standings.values())
    unexcused = [replace(incident, kept_until=None) for incident in history.incidents]
    assert check(replace(history, incidents=unexcused), PROMISES)


@pytest.mark.slow
def test_a_database_whose_processes_are_killed_and_whose_network_is_cut_signs_nobody_out(
    tmp_path: Path, tell: Tell
) -> None:
    """
    Workers and PostgreSQL's processes are killed, connections of clients and of servers are reset, silent and cut
    half-way: 64 clients go on, nothing acknowledged is lost, what was ended stays ended, and thieves are found out.
    """
    chaos = one_after_the_other(kill_worker, kill_a_part, *CUTS)
    with engines.postgres() as engine:
        play(tmp_path, engine, chaos, tell, is_cut=True, within_seconds=180, overlap=ALIVE_LONGER)


@pytest.mark.slow
def test_a_failover_to_a_standby_that_lacks_the_last_commits_ends_no_session(tmp_path: Path, tell: Tell) -> None:
    """
    A PostgreSQL standby takes over without the last seconds: every session of before goes on, and what was ended in
    those seconds the servers end again.
    """
    with engines.postgres_pair() as pair:
        chaos = one_after_the_other(fail_over)
        history = play(tmp_path, pair, chaos, tell, within_seconds=180, promises=ALL_REAPPLIED)
    _something_was_lost(history)


@pytest.mark.slow
def test_a_redis_that_is_killed_and_then_set_back_to_a_snapshot_ends_no_session(tmp_path: Path, tell: Tell) -> None:
    """
    Redis is killed, also together with a worker, and nothing is lost; then an old snapshot takes the place of its data,
    every session of before goes on, and what was ended since is ended again.
    """
    chaos = one_after_the_other(kill_database, kill_both, set_back)
    with engines.redis() as engine:
        history = play(tmp_path, engine, chaos, tell, within_seconds=180, promises=ALL_REAPPLIED)
    _something_was_lost(history)


@pytest.mark.soak
def test_a_mariadb_that_is_killed_under_load_signs_nobody_out_and_loses_nothing(tmp_path: Path, tell: Tell) -> None:
    """MariaDB and a worker are killed under 64 clients: nobody is signed out, and what was acknowledged is there."""
    with engines.mariadb() as engine:
        play(tmp_path, engine, one_after_the_other(kill_database, kill_worker), tell, within_seconds=180)


@pytest.mark.soak
@pytest.mark.parametrize("name", engines.ENGINES)
def test_minutes_of_kills_and_cuts_in_any_order_sign_nobody_out(name: str, tmp_path: Path, tell: Tell) -> None:
    """The same for minutes, on every database: whatever is killed or cut, and in whichever order."""
    chaos = at_random(*KILLS, *CUTS, for_seconds=SOAK_SECONDS)
    with engines.ENGINES[name]() as engine:
        play(tmp_path, engine, chaos, tell, is_cut=True, within_seconds=4 * SOAK_SECONDS, overlap=ALIVE_LONGER)


@pytest.mark.soak
@pytest.mark.parametrize("name", engines.ENGINES)
def test_minutes_of_kills_under_quick_rotation_sign_nobody_out(name: str, tmp_path: Path, tell: Tell) -> None:
    """Kills alone, where every session rotates once a second."""
    with engines.ENGINES[name]() as engine:
        chaos = at_random(*KILLS, for_seconds=SOAK_SECONDS)
        play(tmp_path, engine, chaos, tell, within_seconds=4 * SOAK_SECONDS)


@pytest.mark.soak
@pytest.mark.parametrize("run", range(5))
def test_failovers_after_kills_end_no_session(run: int, tmp_path: Path, tell: Tell) -> None:
    """Several failovers, with workers killed before and after."""
    with engines.postgres_pair() as pair:
        chaos = one_after_the_other(kill_worker, kill_worker, fail_over, kill_worker)
        play(tmp_path, pair, chaos, tell, within_seconds=300, promises=ALL_REAPPLIED)


@pytest.mark.soak
def test_a_redis_that_is_set_back_again_and_again_ends_no_session(tmp_path: Path, tell: Tell) -> None:
    """One snapshot after the other takes the place of the data, with kills in between."""
    with engines.redis() as engine:
        chaos = one_after_the_other(*[set_back, kill_database] * 8, lull_seconds=5)
        play(tmp_path, engine, chaos, tell, within_seconds=600, promises=ALL_REAPPLIED)
