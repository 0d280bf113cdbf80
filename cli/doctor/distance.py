"""Checks the round-trip time to MongoDB, and whether the driver fits it."""

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
            f"The round-trip time to MongoDB is {way}. A read of a user who is not in memory takes at least that long. "
            "A write takes as long, or twice as long if the user was not written recently. The driver is "
            f"{_NAMES[driver]}, "
            f"with up to {distance.most_commands:,} commands at once.",
        )
    ]
    if distance.round_trip >= _TOO_FAR_SECONDS:
        findings.append(
            advice(
                _PART,
                f"A round-trip time of {way} is long: every request that needs the store waits that long, and a "
                "request that needs several commands may be too slow.",
                "Run the gateways close to MongoDB, even if clients are then further away from the gateways.",
            )
        )
    if driver == "motor" and (is_far or cores == 1):
        a_second = distance.most_commands / distance.round_trip
        why = f"at this distance {a_second:,.0f} a second" if is_far else "and all of them share one core"
        findings.append(
            advice(
                _PART,
                "Motor uses a thread for each command. Of commands that cannot be combined (pages of users, counts), "
                f"at most {distance.most_commands} run at the same time, {why}.",
                "Set USERLINE_MONGODB_DRIVER=pymongo. It needs no threads: as many commands as there are connections "
                "run at the same time.",
            )
        )
    return findings


def _milliseconds(seconds: float) -> str:
    milliseconds = seconds * 1000
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"
