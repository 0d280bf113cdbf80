"""The messages in which gateways report their connected users.

The body of a message is JSON: ``{"gateway": "…", "here": ["alice", …], "gone": ["bob", …], "asks": false}``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from userline.changes.channels import BusMessageError

PRESENCE: Final = "presence"
"""The topic of who is connected."""

MOST_USERS_A_REPORT: Final = 200


@dataclass(frozen=True, slots=True)
class PresenceReport:
    """Users who are connected at a gateway, users who no longer are, and whether the others should report theirs."""

    gateway: str
    here: list[str]
    gone: list[str]
    asks: bool


def decode_report(said: Any) -> PresenceReport:
    """Return what the body of a message says. Raises BusMessageError."""
    try:
        gateway, here, gone, asks = said["gateway"], said["here"], said["gone"], said["asks"]
    except (TypeError, KeyError) as error:
        raise BusMessageError(str(error)) from error
    if isinstance(gateway, str) and _are_ids(here) and _are_ids(gone) and isinstance(asks, bool):
        return PresenceReport(gateway, here, gone, asks)
    raise BusMessageError("The presence message is not valid.")


def _are_ids(value: object) -> bool:
    return isinstance(value, list) and set(map(type, value)) <= {str}
