"""Counts the clients that were disconnected, by reason. For all connections of this process."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum


class Reason(StrEnum):
    """Why a client was disconnected."""

    SLOW_REQUEST = "slow_request"
    """A request took too long to arrive."""
    LARGE_HEADERS = "large_headers"
    MALFORMED = "malformed"
    """What was sent is no HTTP, or what servers could understand differently."""
    FLOOD = "flood"
    """Too many control frames, or fragments of one message."""
    SILENT = "silent"
    """A ping was not answered."""
    STUCK = "stuck"
    """What was sent to it was not read."""


CUT_OFFS: Counter[Reason] = Counter()
"""Added to where it happens; read by the metrics."""
