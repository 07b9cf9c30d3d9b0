"""What the stories of conformance/refresher are able to catch."""

import pytest

from .mutants import MUTANTS, Mutant
from .stories import Core, play, stories


def _caught_by(core: Core) -> list[str]:
    caught = []
    for story in stories():
        try:
            play(story, core)
        except (AssertionError, ArithmeticError, AttributeError):
            caught.append(story.name)
    return caught


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.what)
def test_a_refresher_changed_a_little_fails_some_story(mutant: Mutant) -> None:
    """
    Each rule of the refresher is held by a story: without the rule, the story fails.
    """
    assert _caught_by(mutant.core())


def test_a_refresher_that_is_only_copied_fails_none() -> None:
    """
    What makes a changed refresher fail is the change, not the way in which it was made.
    """
    assert not _caught_by(Mutant("nothing").core())
