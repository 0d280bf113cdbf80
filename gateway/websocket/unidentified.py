"""Limits the sockets of one address that have not sent ``connection_init`` yet."""

from __future__ import annotations

from collections import Counter
from typing import Final

from userline.users.errors import RateLimited

_RETRY_AFTER: Final = 1.0
"""When there may be room again, in seconds: who they are, sockets say within a few."""


class UnidentifiedSockets:
    """Counts new sockets by address; at most ``most`` of one address (0 = no limit)."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._of_addresses: Counter[str] = Counter()
        self.refusals = 0

    def __len__(self) -> int:
        return self._of_addresses.total()

    def limit(self, most: int) -> None:
        """Let so many of an address in from now on."""
        self._most = most

    def check_room(self, address: str) -> None:
        """Return if one more socket of this address is let in. Raises RateLimited."""
        if self._most and self._of_addresses[address] >= self._most:
            self.refusals += 1
            raise RateLimited(
                f"This address has {self._most} sockets open without connection_init, which is the limit.",
                _RETRY_AFTER,
            )

    def count(self, address: str) -> CountedSocket:
        """Count a socket until it has said who it is, which is to be told by ``leave``, or is gone."""
        return CountedSocket(self._of_addresses, address)


class CountedSocket:
    """A socket that is counted, until the first ``leave``."""

    __slots__ = ("_address", "_of_addresses")

    def __init__(self, of_addresses: Counter[str], address: str) -> None:
        self._of_addresses: Counter[str] | None = of_addresses
        self._address = address
        of_addresses[address] += 1

    def leave(self) -> None:
        """Count it no longer."""
        counts, self._of_addresses = self._of_addresses, None
        if counts is not None:
            counts[self._address] -= 1
            if not counts[self._address]:
                del counts[self._address]
