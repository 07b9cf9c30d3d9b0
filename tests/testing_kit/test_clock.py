"""The clock that a test moves."""

import pytest

from evertoken.testing import MovingClock


def test_a_clock_that_nobody_moves_stands_still() -> None:
    """Time passes in a test only where the test says so."""
    clock = MovingClock(wall=100.0, monotonic=5.0)
    assert (clock(), clock(), clock.wall, clock.monotonic) == ((100.0, 5.0), (100.0, 5.0), 100.0, 5.0)


def test_time_that_passes_moves_both_clocks() -> None:
    """An ordinary second is a second on the wall and on the monotonic clock."""
    clock = MovingClock(wall=100.0, monotonic=5.0)
    clock.advance(1.5)
    assert clock() == (101.5, 6.5)


def test_a_laptop_that_slept_has_moved_its_wall_clock_only() -> None:
    """Monotonic time does not run while a machine sleeps: a client that trusts it alone sends old tokens."""
    clock = MovingClock(wall=100.0, monotonic=5.0)
    clock.sleep_machine(3600)
    assert clock() == (3700.0, 5.0)


def test_a_clock_that_is_set_back_keeps_its_monotonic_time() -> None:
    """A time server corrects the wall clock; what is measured on the other one goes on."""
    clock = MovingClock(wall=100.0, monotonic=5.0)
    clock.set_back(60)
    assert clock() == (40.0, 5.0)


@pytest.mark.parametrize("move", ["advance", "sleep_machine", "set_back"])
@pytest.mark.parametrize("seconds", [-1.0, float("nan")])
def test_a_move_that_is_no_duration_is_refused(move: str, seconds: float) -> None:
    """A test that means to set a clock back says so by name."""
    with pytest.raises(ValueError, match="number of seconds"):
        getattr(MovingClock(), move)(seconds)
