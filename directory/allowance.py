"""The limit of watched users of one socket, for all its operations."""

from __future__ import annotations

from userline.users.errors import RateLimited


class Allowance:
    """How many users the ``usersChanged`` subscriptions of one socket may watch, each counted in each of them."""

    __slots__ = ("_most", "_taken")

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0

    def charge(self, number: int) -> None:
        """Count users that are watched from now on. Raises RateLimited."""
        if self._taken + number > self._most:
            raise RateLimited(f"The subscriptions of this socket may watch {self._most} users, which is the limit.")
        self._taken += number

    def give_back(self, number: int) -> None:
        """Count users no longer."""
        self._taken -= number
