"""The one rule of versions: they grow with every write that changes something, and never decrease for an id.

A version counts from the clock's milliseconds, not from 1. A deletion has a version, too, which the store keeps: a user
who is created again, or restored from an old export, begins above it, whatever the clocks say, and nobody takes its new
state for an old one. Where somebody deleted by hand, the clock alone sees to that.
"""

from __future__ import annotations

from typing import Final

LARGEST_VERSION: Final = (1 << 53) - 1
"""What every language's numbers hold exactly. A version that is brought here by hand stays here."""


def next_version(before: int, now: int) -> int:
    """Return the version of a user who had ``before`` (0: there was none), changed at ``now`` (Unix milliseconds).

    It is the time, and more than ``before`` also where the clock stands still or has gone back.
    """
    return min(max(before + 1, now), LARGEST_VERSION)
