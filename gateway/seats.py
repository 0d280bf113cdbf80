"""The sockets and streams that a user has open: so many at once."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from userline.gateway.rate_limit import key_of
from userline.users.errors import RateLimited
from userline.users.viewer import ViewerKind

if TYPE_CHECKING:
    from starlette.types import Scope

    from userline.users.viewer import Viewer


class Seats:
    """Counts what users have open; ``most`` of one are let in, or any number if it is 0."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken: Counter[str] = Counter()

    def take(self, viewer: Viewer, scope: Scope) -> str | None:
        """Count one more, and return what to give back; None for who is not limited. Raises RateLimited."""
        key = key_of(viewer, scope) if viewer.kind is ViewerKind.USER and self._most else None
        if key is None:
            return None
        if self._taken[key] >= self._most:
            raise RateLimited(f"This user has {self._most} sockets and streams open, which is the limit.")
        self._taken[key] += 1
        return key

    def give_back(self, seat: str | None) -> None:
        """Count one less."""
        if seat is not None:
            self._taken[seat] -= 1
            if not self._taken[seat]:
                del self._taken[seat]
