"""What the explorer is able to catch: every rule of the table, changed a little, breaks a promise in some world."""

from collections.abc import Callable

import pytest

from .explorer import explore
from .model import Walk
from .mutants import MUTANTS, Mutant
from .worlds import BY_NAME


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.what)
def test_a_rule_changed_a_little_breaks_a_promise(mutant: Mutant, explored: Callable[[str], None]) -> None:
    """
    The explorer finds the shortest way to a broken promise, and tells it.
    """
    world = BY_NAME[mutant.world]
    findings = explore(Walk(world, mutant.make(world.overlap, world.idle)))
    explored(f"mutant: {mutant.what}\n  caught in {mutant.world!r} among {findings.states:,} states; {findings.told}\n")
    assert mutant.broken in findings.broken
