"""The stories of conformance/refresher, played to the refresher."""

import pytest

from evertoken.client.refresher.outcomes import Ended, Renewed

from .stories import STEPS_WITH, Story, play, stories


@pytest.mark.parametrize("story", stories(), ids=lambda story: story.name)
def test_each_story_of_the_refresher_ends_as_told(story: Story) -> None:
    """
    The refresher decides as the story says, step by step.
    """
    play(story)


def test_the_stories_together_hold_every_step_and_every_event() -> None:
    """
    Whatever the refresher can be told and can decide occurs in some story.
    """
    events = [event for story in stories() for event in story.events]
    assert {event.expected["step"] for event in events if event.expected} == set(STEPS_WITH)
    assert {event.kind for event in events} == {
        "before_sending",
        "after_refusal",
        "after_waiting",
        "on_demand",
        "flight_started",
        "flight_ended",
    }
    assert {type(event.arguments["outcome"]).__name__ for event in events if event.kind == "flight_ended"} == {
        "Renewed",
        "Failed",
        "Ended",
    }


def test_the_stories_together_hold_every_kind_of_outcome() -> None:
    """
    Tokens that were fetched or found, that can be renewed or not, and ends that are news or not, occur in some story.
    """
    outcomes = [
        event.arguments["outcome"] for story in stories() for event in story.events if "outcome" in event.arguments
    ]
    renewed = [outcome for outcome in outcomes if isinstance(outcome, Renewed)]
    assert {outcome.is_fetched for outcome in renewed} == {outcome.is_renewable for outcome in renewed} == {True, False}
    assert {outcome.is_news for outcome in outcomes if isinstance(outcome, Ended)} == {True, False}


def test_the_name_of_a_story_is_its_own() -> None:
    """
    A story that fails can be found by its name.
    """
    names = [story.name for story in stories()]
    assert len(set(names)) == len(names)
