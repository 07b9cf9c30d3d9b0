"""That the explorer may take states for one: whatever was forgotten or renamed, the future is the same."""

import random

import pytest

from .canonical import State
from .model import Event, Walk, World
from .server import FRESH, Row, Token
from .worlds import SHORT, real_server

WALKS = 12
STEPS = 120


def settled(raw: State, new: int) -> State:
    """Give the state with a tag of its own for the token that was made last, and nothing else changed."""

    def named(token: Token) -> Token:
        generation, tag, parent, age = token
        return (generation, new if tag == FRESH else tag, parent, age)

    def row_named(row: Row) -> Row:
        return (new if row[0] == FRESH else row[0], *row[1:])

    return raw._replace(
        row=row_named(raw.row),
        jar=named(raw.jar) if raw.jar is not None else None,
        messages=tuple(sorted((kind, age, named(token)) for kind, age, token in raw.messages)),
        loot=(raw.loot[0], tuple(named(token) for token in raw.loot[1])) if raw.loot is not None else None,
    )


def futures(walk: Walk, state: State) -> set[tuple[str, str, str, State]]:
    def told(event: Event, raw: State, broken: str) -> tuple[str, str, str, State]:
        return event[0], event[2], broken, walk.canonical(raw)[0]

    return {told(*step) for step in walk.steps(state)}


@pytest.mark.parametrize("world", SHORT, ids=lambda world: world.name)
def test_a_state_and_its_canonical_form_have_the_same_future(world: World) -> None:
    """
    Long random walks that rename and forget nothing meet, step by step, exactly what the explorer's states offer.
    """
    walk = Walk(world, real_server(world))
    rolled = random.Random(world.name)
    for _ in range(WALKS):
        raw = walk.start()
        for number in range(STEPS):
            state, _names = walk.canonical(raw)
            assert walk.canonical(state)[0] == state
            assert futures(walk, raw) == futures(walk, state)
            likely = [step for step in walk.steps(raw) if not step[0][0].startswith("lose")]
            if not likely:
                break
            _event, after, _broken = rolled.choice(likely)
            raw = walk.bounded(settled(after, FRESH + 1 + number))
