"""The limits of open sockets and streams, of the gateway and of each user."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Final, Protocol

from userline.gateway.rate_limit import key_of
from userline.users.errors import RateLimited
from userline.users.viewer import ViewerKind

if TYPE_CHECKING:
    from starlette.types import Scope

    from userline.users.viewer import Viewer


class OpenStream(Protocol):
    """A stream over HTTP."""

    @property
    def is_leaving(self) -> bool:
        """Whether it has been asked to end."""

    def leave(self, *, retry_after: float) -> None:
        """End, and ask the client to come back after so many seconds."""


_RETRY_AFTER: Final = 5.0
"""When there may be room again, in seconds."""


class OpenConnections:
    """Counts open sockets and streams: at most ``most``, and ``most_of_user`` of one user (0 = no limit)."""

    def __init__(self, most: int, most_of_user: int) -> None:
        self._most = most
        self._most_of_user = most_of_user
        self._of_users: Counter[str] = Counter()
        self.sockets = 0
        self.streams: set[OpenStream] = set()

    def limit(self, most: int, most_of_user: int) -> None:
        """Let so many be open from now on; what is open stays."""
        self._most, self._most_of_user = most, most_of_user

    def check_room(self) -> None:
        """Return if one more socket or stream may be open. Raises RateLimited."""
        if self.sockets + len(self.streams) >= self._most:
            raise RateLimited(
                f"This gateway has {self._most} sockets and streams open, which is the limit.", _RETRY_AFTER
            )

    def count_user(self, viewer: Viewer, scope: Scope) -> str | None:
        """Count one more of a user, and return what to discount; None for who is not limited. Raises RateLimited."""
        key = key_of(viewer, scope) if viewer.kind is ViewerKind.USER and self._most_of_user else None
        if key is None:
            return None
        if self._of_users[key] >= self._most_of_user:
            raise RateLimited(
                f"This user has {self._most_of_user} sockets and streams open, which is the limit.", _RETRY_AFTER
            )
        self._of_users[key] += 1
        return key

    def discount_user(self, key: str | None) -> None:
        """Count one less."""
        if key is not None:
            self._of_users[key] -= 1
            if not self._of_users[key]:
                del self._of_users[key]
