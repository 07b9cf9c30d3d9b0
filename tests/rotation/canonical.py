"""
The state of the world, and the one name of all states that differ in nothing that could ever matter.

Only four things about tokens can be seen by a decision: whether two tags are equal, how far two generations are
apart, how old a token is, and how long ago the row advanced. So tags are renamed in order of appearance, generations
are counted from the row's, ages end where everything is ripe, and what nobody can present any more is forgotten.
"""

from typing import Final, NamedTuple

from .server import NOBODY, Row, Token

REQUEST: Final = 0
ANSWER: Final = 1
ECHO: Final = 2
"""A copy of a request that the network delivers long after; its answer finds nobody."""

Message = tuple[int, int, Token]
"""Kind, ticks on the way, the token in it."""

Score = tuple[int, int, int, int]
"""
Since the theft: the owner's ripe rotations, the thief's (both counted to 2); 1 when the session was said to be over;
how often the store was healed since it was last rolled back (counted to 3).
"""


class State(NamedTuple):
    """
    Everything that can matter for what happens next.

    Args:
        row: What the store holds.
        score: What the promises count; it is rolled back with the store.
        jar: The token in the cookie jar.
        messages: What travels, sorted.
        loot: The thief's: 1 while he must present something before time goes on, and his tokens. None before the theft.
        saved: The row and the score to which the store can be rolled back.
        waiting: Ticks since the owner first met STALE without a success since; -1 for not waiting.
        quiet: Ticks since the owner was last given a success; counted only where the idle time is in the model.
    """

    row: Row
    score: Score
    jar: Token | None
    messages: tuple[Message, ...]
    loot: tuple[int, tuple[Token, ...]] | None = None
    saved: tuple[Row, Score] | None = None
    waiting: int = -1
    quiet: int = 0


def canonical(raw: State, forgotten: int) -> tuple[State, dict[int, int]]:
    """
    Give the canonical form of a state, and the tags that were renamed in it.

    Args:
        raw: A state, perhaps with a FRESH tag in it.
        forgotten: The age of an advance that is too long ago to matter.
    """
    row, score, jar, messages, loot, saved, waiting, quiet = raw
    held = [message[2] for message in messages]
    if jar is not None:
        held.append(jar)
    if loot is not None:
        held.extend(loot[1])
    tags = {token[1] for token in held}
    tags.update([token[2] for token in held])
    dead = (row[2] if saved is None else min(row[2], saved[0][2])) - 1
    lowest = min([token[0] for token in held if token[0] > dead], default=row[2]) - 2
    row = _without_the_forgotten(row, tags, lowest, forgotten)
    if saved is not None:
        saved = (_without_the_forgotten(saved[0], tags, lowest, forgotten), saved[1])
        dead = min(row[2], saved[0][2]) - 1
    else:
        dead = row[2] - 1
    base = row[2]

    names = {row[0]: 0}
    row = _renamed_row(row, names, base)
    if saved is not None:
        saved = (_renamed_row(saved[0], names, base), saved[1])
    if jar is not None:
        jar = _renamed(jar, names, base, dead)
    if loot is not None:
        stolen = sorted(loot[1], key=lambda token: (token[0], token[3], names.get(token[1], 98)))
        loot = (loot[0], tuple(sorted([_renamed(token, names, base, dead) for token in stolen])))
    if messages:
        messages = _renamed_messages(messages, names, base, dead)
    return State(row, score, jar, messages, loot, saved, waiting, quiet), names


def _without_the_forgotten(row: Row, tags: set[int], lowest: int, forgotten: int) -> Row:
    """
    Forget a `previous` that nobody knows, and lift a generation to the lowest that still means HEAL to everybody.

    Children are of later generations than their parents, so who is two ahead of a row stays two ahead of it.
    """
    current, previous, generation, advanced, idle_left, over = row
    if previous >= 0 and previous not in tags:
        previous = NOBODY
    if previous == NOBODY:
        advanced = forgotten
    return (current, previous, max(generation, lowest), advanced, idle_left, over)


def _renamed_row(row: Row, names: dict[int, int], base: int) -> Row:
    current, previous, generation, advanced, idle_left, over = row
    current = names.setdefault(current, len(names))
    if previous >= 0:
        previous = names.setdefault(previous, len(names))
    return (current, previous, generation - base, advanced, idle_left, over)


def _renamed(token: Token, names: dict[int, int], base: int, dead: int) -> Token:
    """
    Rename a token. One that is older than every row is as old as any other: rows only move to later generations.
    """
    generation, tag, parent, age = token
    parent = names.setdefault(parent, len(names))
    return (max(generation, dead) - base, names.setdefault(tag, len(names)), parent, age)


def _renamed_messages(
    messages: tuple[Message, ...], names: dict[int, int], base: int, dead: int
) -> tuple[Message, ...]:
    """Rename what travels: in the order of what is known of it so far, so that the order of sending leaves no trace."""
    if len(messages) == 1:
        ((kind, age, token),) = messages
        return ((kind, age, _renamed(token, names, base, dead)),)
    known = dict(names)
    copies: dict[int, list[tuple[int, int]]] = {}
    for kind, age, token in messages:
        copies.setdefault(token[1], []).append((kind, age))
    if len(copies) < len(messages):
        for same in copies.values():
            same.sort()
    order = sorted(
        messages,
        key=lambda m: (m[0], m[1], m[2][0], m[2][3], known.get(m[2][1], 98), known.get(m[2][2], 98), copies[m[2][1]]),
    )
    return tuple(sorted([(kind, age, _renamed(token, names, base, dead)) for kind, age, token in order]))
