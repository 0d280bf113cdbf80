"""Checks the clocks, which tokens and the times of users depend on."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from userline.cli.doctor.findings import advice, ok, problem
from userline.gateway.auth.tokens import LEEWAY_SECONDS

if TYPE_CHECKING:
    from userline.cli.doctor.findings import Finding

_PART: Final = "clock"
_NOTICEABLE_SECONDS: Final = 1.0
_WRITTEN: Final = 1_764_000_000
"""When this was written, in Unix seconds: no right clock shows an earlier time."""

_WHAT_TO_DO: Final = "Synchronise the clocks of both machines by NTP (chronyc tracking, timedatectl)."


def examine_clock() -> Finding:
    """Return whether the time can be right."""
    now = time.time()
    shown = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now < _WRITTEN:
        return problem(
            _PART,
            f"The clock of this machine says {shown}, which is in the past: valid tokens are refused as not yet valid.",
            "Set the clock, preferably by NTP.",
        )
    return ok(_PART, f"It is {shown}.")


def compare(whose: str, seconds_ahead: float) -> Finding:
    """Judge how far another clock is ahead of this machine's."""
    difference = abs(seconds_ahead)
    text = f"The clock of {whose} is {difference:.1f} s {'ahead' if seconds_ahead > 0 else 'behind'}"
    if difference > LEEWAY_SECONDS:
        return problem(
            _PART, f"{text}, which is more than the {LEEWAY_SECONDS:g} s of tolerance for tokens.", _WHAT_TO_DO
        )
    if difference > _NOTICEABLE_SECONDS:
        return advice(_PART, f"{text}.", _WHAT_TO_DO)
    return ok(_PART, f"This machine and {whose} agree.")
