"""How far away is MongoDB, what does that mean, and is the driver the right one for it?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from userline.cli.doctor.findings import advice, ok

if TYPE_CHECKING:
    from userline.cli.doctor.findings import Finding
    from userline.storage.mongo.distance import Distance
    from userline.storage.mongo.driver import DriverName

_PART: Final = "store"
_NAMES: Final[dict[DriverName, str]] = {"motor": "Motor", "pymongo": "PyMongo's own client"}

_FAR_SECONDS: Final = 0.005
_TOO_FAR_SECONDS: Final = 0.1


def usable_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def judge_distance(driver: DriverName, distance: Distance, cores: int) -> list[Finding]:
    """Say how far it is and what to expect, and which driver to take."""
    way = _milliseconds(distance.round_trip)
    is_far = distance.round_trip >= _FAR_SECONDS
    findings = [
        ok(
            _PART,
            f"MongoDB is {way} away, there and back: a read of a user who is not in memory takes as long at the least, "
            f"and a write too, or twice as long where the user was not written lately. The driver is {_NAMES[driver]}, "
            f"with up to {distance.most_commands:,} commands at once.",
        )
    ]
    if distance.round_trip >= _TOO_FAR_SECONDS:
        findings.append(
            advice(
                _PART,
                f"{way} is far: every request that needs the store waits that long, and one that takes several "
                "commands may be too slow.",
                "Run the gateways nearer to MongoDB, and have clients reach them from afar.",
            )
        )
    if driver == "motor" and (is_far or cores == 1):
        a_second = distance.most_commands / distance.round_trip
        why = f"at this distance {a_second:,.0f} a second" if is_far else "and all of them share one core"
        findings.append(
            advice(
                _PART,
                f"Motor has a thread for each command, so that those that cannot be sent together (pages of users, "
                f"counts) are at most {distance.most_commands} at once, {why}.",
                "Set USERLINE_MONGODB_DRIVER=pymongo: it needs no threads, and has as many as there are connections.",
            )
        )
    return findings


def _milliseconds(seconds: float) -> str:
    milliseconds = seconds * 1000
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"
