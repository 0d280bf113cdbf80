"""The round-trip time to the servers, and what follows from it for commands and connections."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from userline.storage.batch_scheduler import FEWEST_BATCHES

FAR_SECONDS: Final = 0.004
"""From this round trip on, connections are made before they are needed, as each takes several round trips, and more is
under way at once.
"""

_SECONDS_A_BATCH: Final = 0.002
"""About how far apart batches of one kind set out to servers that are far away."""

_MOST_APART: Final = 0.004
_PART_OF_THE_WAY: Final = 0.4
"""So many round trips, and at most ``_MOST_APART`` seconds, are between commands of writes. A command costs the gateway
about as much as a write or two, whatever is in it; what gathers meanwhile waits for no longer than that.
"""

_MOST_BATCHES: Final = 32
_COMMANDS_A_SECOND: Final = 5_000
_MOST_CONNECTIONS: Final = 400
_MOST_AT_ONCE: Final = 10


@dataclass(frozen=True, slots=True)
class Sizes:
    """The numbers of connections of a driver to one server."""

    pool: int
    """How many it may have."""
    connecting: int
    """How many it may be opening at once, and where the servers are far away, how many it opens at first."""


@dataclass(frozen=True, slots=True)
class Distance:
    """The round-trip time, and how many commands the driver has under way at once."""

    round_trip: float
    """In seconds, there and back: the least of a few pings."""
    most_commands: int


SIZES: Final = frozenset({"maxpoolsize", "maxconnecting"})
"""The options of a URL that say what the sizes are, in lower case."""

NEAR: Final = Sizes(pool=100, connecting=2)


def sizes_for(round_trip: float) -> Sizes:
    """Return the sizes for servers that are so many seconds away, there and back."""
    if round_trip < FAR_SECONDS:
        return NEAR
    pool = min(max(NEAR.pool, round(round_trip * _COMMANDS_A_SECOND)), _MOST_CONNECTIONS)
    return Sizes(pool, connecting=min(batches_for(round_trip), _MOST_AT_ONCE))


def batches_for(round_trip: float) -> int:
    """Return how many batches of a kind are worth having under way: enough that the line is never empty."""
    on_the_way = int(round_trip / _SECONDS_A_BATCH) if round_trip >= FAR_SECONDS else 0
    return min(FEWEST_BATCHES + on_the_way, _MOST_BATCHES)


def writes_apart_for(round_trip: float) -> float:
    """Return how many seconds after one command of writes the next one sets out; 0 for servers that are near."""
    return min(round_trip * _PART_OF_THE_WAY, _MOST_APART) if round_trip >= FAR_SECONDS else 0.0
