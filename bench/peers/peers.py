"""All libraries that are compared, in the order of the columns."""

from bench.peers.ours import OURS
from bench.peers.theirs import THEIRS

PEERS = (*OURS, *THEIRS)
