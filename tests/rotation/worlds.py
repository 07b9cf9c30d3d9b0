"""
The worlds that the explorer walks, by name.

The short forms run with every test run, the long ones with `make soak`. A message of the short forms lives up to and
including the overlap (one tick more than the promise asks for), or, in the worlds "each way", request and answer live
up to one tick less than the overlap each: the widest reading of the promise, under which 4 overlaps are just enough.

No promise is made for a theft and a rollback together. That world has one message in flight, counts rotations anew
where a HEAL shows that the store had forgotten some, and forbids that two parties heal it by turns.
"""

from typing import Final

from .model import Thief, World
from .server import Server

SHORT: Final = (
    World("tabs", 2, 2, 2),
    World("tabs, many messages", 1, 1, 1, in_flight=5),
    World("tabs, each way", 4, 3, 3, together=False),
    World("rollback", 2, 2, 2, rollbacks=True),
    World("rollback, each way", 2, 1, 1, together=False, rollbacks=True),
    World("rollback and idle time", 1, 1, 1, in_flight=2, rollbacks=True, idle=9),
    World("late echoes", 2, 2, 2, in_flight=1, echoes=2, echo_life=8),
    World("late echoes and rollback", 1, 1, 1, in_flight=1, echoes=2, echo_life=4, rollbacks=True),
    World("thief", 1, 1, 1, thief=Thief.ANY),
    World("thief, finer tick", 2, 2, 2, in_flight=1, thief=Thief.ANY),
    World("thief with two pockets", 1, 1, 1, in_flight=1, thief=Thief.ANY, pockets=2),
    World("eager thief", 1, 1, 1, thief=Thief.EAGER),
    World("lazy thief", 1, 1, 1, thief=Thief.LAZY),
    World("thief who polls", 1, 1, 1, thief=Thief.POLLS),
    World("thief and rollback", 1, 1, 1, in_flight=1, rollbacks=True, backup_depth=1, thief=Thief.ANY),
)

LONG: Final = (
    World("tabs, finer tick", 4, 4, 4),
    World("tabs, more messages", 2, 2, 2, in_flight=5),
    World("tabs, each way, finer tick", 6, 5, 5, together=False),
    World("rollback, more messages", 2, 2, 2, in_flight=4, rollbacks=True),
    World("rollback, finer tick", 3, 3, 3, in_flight=2, rollbacks=True),
    World("rollback and idle time, more messages", 1, 1, 1, rollbacks=True, idle=9),
    World("late echoes and rollback, finer tick", 2, 2, 2, in_flight=1, echoes=2, echo_life=8, rollbacks=True),
    World("thief, more messages", 1, 1, 1, in_flight=4, thief=Thief.ANY),
    World("thief, finest tick", 2, 2, 2, thief=Thief.ANY),
    World("thief with three pockets", 1, 1, 1, in_flight=2, thief=Thief.ANY, pockets=3),
    World("eager thief, finer tick", 2, 2, 2, thief=Thief.EAGER),
    World("lazy thief, finer tick", 2, 2, 2, thief=Thief.LAZY),
    World("thief who polls, finer tick", 2, 2, 2, thief=Thief.POLLS),
    World("thief and rollback, older backups", 1, 1, 1, in_flight=1, rollbacks=True, backup_depth=3, thief=Thief.ANY),
)

SMALL: Final = (
    World("two messages, each way", 4, 3, 3, together=False, in_flight=2),
    World("two messages and a thief", 1, 1, 1, in_flight=2, thief=Thief.ANY),
    World("two messages and a thief who polls", 1, 1, 1, in_flight=2, thief=Thief.POLLS),
    World("two messages, each way, finest tick", 8, 7, 7, together=False, in_flight=2),
)
"""Large enough to show what is wrong with a mutant."""

BY_NAME: Final = {world.name: world for world in SHORT + LONG + SMALL}


def real_server(world: World) -> Server:
    """Give evertoken's own decision for a world."""
    return Server(world.overlap, world.idle)
