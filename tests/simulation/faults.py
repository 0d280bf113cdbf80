"""What goes wrong with a gateway's store, its bus, and itself: for a while, and then it works again."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from tests.simulation.bus import Cut

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.simulation.gateway import Gateway


def _store_fails(gateway: Gateway) -> None:
    gateway.store_line.failures = gateway.store_line.random.choice((0.3, 1.0))


def _store_loses_answers(gateway: Gateway) -> None:
    gateway.store_line.lost_answers = gateway.store_line.random.choice((0.3, 1.0))


def _store_hangs(gateway: Gateway) -> None:
    gateway.store_line.hangs = True


def _store_is_slow(gateway: Gateway) -> None:
    gateway.store_line.delay = gateway.store_line.random.choice((0.05, 0.5, 2.0))


def _bus_is_slow(gateway: Gateway) -> None:
    gateway.bus_line.delay = gateway.store_line.random.choice((0.02, 0.2, 0.6))


def _bus_doubles(gateway: Gateway) -> None:
    gateway.bus_line.doubles = 0.5


def _bus_loses_answers(gateway: Gateway) -> None:
    gateway.bus_line.lost_answers = gateway.store_line.random.choice((0.2, 0.8))


FAULTS: Final[dict[str, Callable[[Gateway], None]]] = {
    "store fails": _store_fails,
    "store loses answers": _store_loses_answers,
    "store hangs": _store_hangs,
    "store is slow": _store_is_slow,
    "bus is slow": _bus_is_slow,
    "bus doubles": _bus_doubles,
    "bus loses answers": _bus_loses_answers,
}
"""What one gateway suffers. All that begins with the same word is over together."""

BLINKS: Final = "bus blinks"
"""The bus is away for a moment, while the store takes its time: what was read before comes after."""

SLOW_STORES: Final = ("store hangs", "store is slow", "store fails", BLINKS)
"""With these, a store may do what was given up."""

CUTS: Final = {
    "bus is reset": Cut.RESET,
    "bus is silent": Cut.SILENT,
    "bus is deaf": Cut.DEAF,
    BLINKS: Cut.RESET,
}
"""How the way of one gateway to the bus is cut."""

DIES_MUTE: Final = "dies mute"

STOPS_MUTE: Final = "stops mute"
"""It is stopped when nobody has heard of what it has just written, as its way to the bus is silent."""

ENDS: Final = ("kill", "stop", DIES_MUTE, STOPS_MUTE)
"""How a gateway ends."""

BUS_IS_DOWN: Final = "bus is down"

BUS_FREEZES: Final = "bus freezes"
"""It answers nobody for a while, with every connection open, and then goes on with what was sent to it."""

SOCKETS: Final = ("socket is cut", "socket is silent", "client is slow")
"""What happens to one client of a gateway."""

SESSIONS: Final = ("session is cut", "session is silent")
"""What happens to the sockets of a session."""

KINDS: Final = (*FAULTS, *CUTS, *ENDS, BUS_IS_DOWN, *SOCKETS, *SESSIONS)

_LATER_KINDS: Final = (BUS_FREEZES,)
"""What was thought of later. Random numbers of its own choose it, so that seeds without it make the runs they made."""


def some_kinds(chance: random.Random, seed: int) -> list[str]:
    """Return what may go wrong in a run."""
    later = random.Random(f"{seed} later")
    kinds = [kind for kind in KINDS if chance.random() < 0.5] or [chance.choice(KINDS)]
    return kinds + [kind for kind in _LATER_KINDS if later.random() < 0.25]


def heal(gateway: Gateway, kind: str) -> None:
    """End what a fault of this kind has done."""
    if kind.startswith("store"):
        gateway.store_line.heal()
    else:
        gateway.bus_line.delay, gateway.bus_line.doubles, gateway.bus_line.lost_answers = 0.001, 0.0, 0.0
