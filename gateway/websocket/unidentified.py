"""The sockets that have not said yet who they are: so many of one address, so that nobody takes all the room."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class UnidentifiedSockets:
    """Counts new sockets by address; ``most`` of one are let in, or any number if it is 0."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._of_addresses: Counter[str] = Counter()
        self.refusals = 0

    def __len__(self) -> int:
        return self._of_addresses.total()

    def has_room(self, address: str) -> bool:
        """Whether one more socket of this address is let in; if not, that is counted as a refusal."""
        if self._most and self._of_addresses[address] >= self._most:
            self.refusals += 1
            return False
        return True

    @contextmanager
    def count(self, address: str) -> Iterator[Callable[[], None]]:
        """Count a socket until it has said who it is, which is to be told by calling what is yielded, or is gone."""
        counted = True

        def leave() -> None:
            nonlocal counted
            if counted:
                counted = False
                self._of_addresses[address] -= 1
                if not self._of_addresses[address]:
                    del self._of_addresses[address]

        self._of_addresses[address] += 1
        try:
            yield leave
        finally:
            leave()
