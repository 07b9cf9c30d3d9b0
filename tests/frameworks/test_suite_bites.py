"""The compliance suite notices what hand-made guards get wrong: each fault fails the test that is about it."""

import inspect
from collections.abc import Iterator
from typing import Any

import pytest

from tests.edge.test_attack_tokens import FORGERIES
from tests.frameworks.compliance import Compliance
from tests.frameworks.compliance.stand import PLACES, Stand, standing
from tests.frameworks.faulty import EDGES, GUARDS, FaultyBench
from tests.support.clock import MovingClock
from tests.support.server import LiveServer, live_server


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """One server for all faults."""
    with live_server(tmp_path_factory.mktemp("server"), clock=MovingClock()) as running:
        running.add_user("ada", roles=("editor",))
        yield running


def failures(bench: FaultyBench, live: LiveServer, test: str) -> list[str]:
    """The cases of one test of the suite that fail with this bench."""
    suite = type("Suite", (Compliance,), {"bench": bench})()
    method = getattr(suite, test)
    failed: list[str] = []
    with standing(bench, live, PLACES[0]) as stand:
        for arguments in _cases(method):
            try:
                method(**_with_fixtures(method, stand, live), **arguments)
            except (AssertionError, ValueError) as error:  # ValueError: a header that must be there once is not
                failed.append(f"{arguments} {error}")
    return failed


def _cases(method: Any) -> list[dict[str, Any]]:
    marks = [mark for mark in getattr(method, "pytestmark", []) if mark.name == "parametrize"]
    if not marks:
        return [{}]
    (mark,) = marks
    names = mark.args[0] if isinstance(mark.args[0], tuple) else (mark.args[0],)
    values = [value if len(names) > 1 else (value,) for value in mark.args[1]]
    return [dict(zip(names, value, strict=True)) for value in values]


def _with_fixtures(method: Any, stand: Stand, live: LiveServer) -> dict[str, Any]:
    wanted = inspect.signature(method).parameters
    return {name: value for name, value in {"stand": stand, "live": live}.items() if name in wanted}


@pytest.mark.parametrize("fault", GUARDS)
def test_a_fault_in_the_judging_is_noticed(live: LiveServer, fault: str) -> None:
    """A guard that believes, forgets, mixes up or falls over does not pass."""
    guard, test = GUARDS[fault]
    assert failures(FaultyBench(guard=guard), live, test)


@pytest.mark.parametrize("fault", EDGES)
def test_a_fault_in_the_framework_is_noticed(live: LiveServer, fault: str) -> None:
    """A framework's file that asks in the wrong place, or answers in the wrong shape, does not pass."""
    around, test = EDGES[fault]
    assert failures(FaultyBench(around=around), live, test)


def test_without_a_fault_the_same_tests_pass(live: LiveServer) -> None:
    """The counter-proof: it is the fault that fails, and nothing else."""
    for test in sorted({test for _, test in [*GUARDS.values(), *EDGES.values()]}):
        assert failures(FaultyBench(), live, test) == []


def test_a_guard_that_believes_anything_fails_for_nearly_every_forgery(live: LiveServer) -> None:
    """No forgery of the list is refused for a reason other than the one it is there for."""
    failed = failures(FaultyBench(guard=GUARDS["believes anything"][0]), live, "test_a_forged_token_is_refused")
    assert len(failed) >= len(FORGERIES) - 6, failed
