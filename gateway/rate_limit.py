"""How often somebody may ask: token buckets, one for each viewer or address."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from userline.users.errors import RateLimited
from userline.users.viewer import Viewer, ViewerKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Scope

_BUCKETS: Final = 10_000


class RateLimiter:
    """Buckets of ``burst`` tokens that fill by ``per_second``; 0 means that everything is allowed.

    The longest unused of more than ``capacity`` buckets is forgotten, as if it had filled up.
    """

    def __init__(
        self,
        per_second: float,
        burst: int,
        *,
        capacity: int = _BUCKETS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._per_second = per_second
        self._burst = burst
        self._capacity = capacity
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self.refusals = 0

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str | None, tokens: int = 1) -> float:
        """Take tokens from the bucket of ``key``: 0 if they were there, else nothing is taken and the seconds to wait.

        No key is somebody who is not limited. More tokens than a bucket holds are taken for a full bucket.
        """
        if not self._per_second or key is None:
            return 0.0
        now = self._clock()
        wanted = min(tokens, self._burst)
        level, since = self._buckets.pop(key, (float(self._burst), now))
        level = min(level + (now - since) * self._per_second, self._burst)
        missing = wanted - level
        self._buckets[key] = (level if missing > 0 else level - wanted, now)
        if len(self._buckets) > self._capacity:
            self._buckets.popitem(last=False)
        if missing <= 0:
            return 0.0
        self.refusals += 1
        return missing / self._per_second

    def refusal(self, seconds: float) -> RateLimited:
        """Return the error for somebody who has to wait."""
        return RateLimited(
            f"Too many requests: the limit is {self._per_second:g} a second after {self._burst} at once. "
            f"Try again in {max(1, math.ceil(seconds))} s."
        )


def key_of(viewer: Viewer, scope: Scope) -> str | None:
    """Return whose bucket it is: the user's, or the address's on an open gateway. Back ends are not limited."""
    kind = viewer.kind
    if kind is ViewerKind.APP:
        return None
    if kind is ViewerKind.USER:
        return f"user {viewer.user_id}"
    client = scope.get("client")
    return f"address {client[0] if client else 'unknown'}"
