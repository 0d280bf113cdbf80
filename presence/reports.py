"""What gateways tell each other of the users who are connected at them.

A message is JSON: ``{"gateway": "…", "here": ["alice", …], "gone": ["bob", …], "asks": false}``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import orjson

from userline.changes.bus import BusMessageError

CHANNEL: Final = "userline:presence:0"

MOST_USERS_A_REPORT: Final = 200


@dataclass(frozen=True, slots=True)
class Report:
    """Users who are connected at a gateway, users who no longer are, and whether it asks the others for theirs."""

    gateway: str
    here: list[str]
    gone: list[str]
    asks: bool


def encode_report(report: Report) -> bytes:
    """Return the message."""
    return orjson.dumps(report)


def decode_report(message: bytes | str) -> Report:
    """Return what a message says. Raises BusMessageError."""
    try:
        said = orjson.loads(message)
        gateway, here, gone, asks = said["gateway"], said["here"], said["gone"], said["asks"]
    except (ValueError, TypeError, KeyError) as error:
        raise BusMessageError(str(error)) from error
    if isinstance(gateway, str) and _are_ids(here) and _are_ids(gone) and isinstance(asks, bool):
        return Report(gateway, here, gone, asks)
    raise BusMessageError("The message does not say who is connected.")


def _are_ids(value: object) -> bool:
    return isinstance(value, list) and set(map(type, value)) <= {str}
