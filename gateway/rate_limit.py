"""Rate limits: token buckets, one for each viewer or address."""

from __future__ import annotations

import asyncio
import hashlib
import math
import time
from collections import OrderedDict
from functools import lru_cache
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Final

from userline.users.errors import RateLimited
from userline.users.viewer import Viewer, ViewerKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Scope

    from userline.directory.fair_queue import Source

UNLIMITED: Final = ViewerKind.APP
"""Who may ask as often as they like."""

_BUCKETS: Final = 10_000
_LONGEST_NAME: Final = 64
_LONGEST_KEY: Final = 80

_MESSAGES_PER_OPERATION: Final = 20
"""How many messages of a socket are allowed where one operation is."""

_CHARACTERS_PER_MESSAGE: Final = 1024
"""A message that is longer counts as several."""

_LONGEST_PAUSE: Final = 5.0
"""How long a socket is not read from because of one message, at most: its end is not noticed meanwhile."""


class RateLimiter:
    """Buckets of ``burst`` tokens that fill by ``per_second`` (0 = no limit).

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
        self.limit(per_second, burst)
        self._capacity = capacity
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self.refusals = 0
        """How often somebody was told to wait."""

    def limit(self, per_second: float, burst: int) -> None:
        """Allow so many from now on."""
        self._per_second, self._burst = per_second, burst
        self.is_on = per_second > 0
        """Whether anything is limited."""

    def __len__(self) -> int:
        return len(self._buckets)

    def times(self, factor: int) -> RateLimiter:
        """Return a limiter that allows so many times as much."""
        return RateLimiter(self._per_second * factor, self._burst * factor, capacity=self._capacity, clock=self._clock)

    def take(self, key: str | None, tokens: int = 1, *, on_credit: bool = False) -> float:
        """Take tokens from the bucket of ``key``: 0 if they were there, else nothing is taken and the seconds to wait.

        ``on_credit`` they are taken all the same, and nobody gets a token from this bucket until what is missing has
        come in. No key is somebody who is not limited. More tokens than a bucket holds are taken for a full bucket.
        """
        if not self._per_second or key is None:
            return 0.0
        key = _shortened(key)
        now = self._clock()
        wanted = min(tokens, self._burst)
        level, since = self._buckets.pop(key, (float(self._burst), now))
        level = min(level + (now - since) * self._per_second, self._burst)
        missing = wanted - level
        self._buckets[key] = (level if missing > 0 and not on_credit else level - wanted, now)
        if len(self._buckets) > self._capacity:
            self._buckets.popitem(last=False)
        return missing / self._per_second if missing > 0 else 0.0

    def wait(self, key: str | None) -> float:
        """Return the seconds until there is a token in the bucket of ``key``, 0 if there is one; nothing is taken."""
        bucket = self._buckets.get(_shortened(key)) if self._per_second and key is not None else None
        if bucket is None:
            return 0.0
        level, since = bucket
        return max(1 - level - (self._clock() - since) * self._per_second, 0.0) / self._per_second

    def refusal(self, seconds: float, what: str = "requests") -> RateLimited:
        """Return the error for somebody who has to wait."""
        self.refusals += 1
        left = max(math.ceil(seconds * 10) / 10, 0.1)
        return RateLimited(
            f"Too many {what}: the limit is {self._per_second:g} per second, {self._burst} at once. "
            f"Try again in {left:g} s.",
            left,
        )


class Pace:
    """The rate limit of sockets: above it they are read more slowly, and never closed.

    What asks for work is counted as a request is, when it is known what it asks for. Every message is counted, however
    little it asks for: so much that those who come back with thousands of subscriptions do not meet the limit.
    """

    def __init__(self, operations: RateLimiter) -> None:
        self._operations = operations
        self._messages = operations.times(_MESSAGES_PER_OPERATION)
        self.pauses = 0
        """How often a socket was read from later because of it."""

    def limit(self, per_second: float, burst: int) -> None:
        """Allow so many operations from now on, and of messages as many times more."""
        self._operations.limit(per_second, burst)
        self._messages.limit(per_second * _MESSAGES_PER_OPERATION, burst * _MESSAGES_PER_OPERATION)

    async def wait(self, key: str | None, characters: int, *, is_operation: bool) -> None:
        """Count a message, and return when it is its time. Raises RateLimited for an operation that is far from it."""
        pause = self._messages.take(key, 1 + characters // _CHARACTERS_PER_MESSAGE, on_credit=True)
        until_paid = self._operations.wait(key) if is_operation else 0.0
        if until_paid <= _LONGEST_PAUSE:
            pause = max(pause, until_paid)
        if pause:
            self.pauses += 1
            await asyncio.sleep(min(pause, _LONGEST_PAUSE))
        if until_paid > _LONGEST_PAUSE:
            raise self._operations.refusal(until_paid)

    def owe(self, key: str | None) -> None:
        """Count an operation that asks for work; the next one waits until it is paid for."""
        self._operations.take(key, on_credit=True)


def _shortened(key: str) -> str:
    """Return what stands for a key: itself, or its hash if it is long, so that buckets weigh little."""
    return key if len(key) <= _LONGEST_KEY else hashlib.sha256(key.encode()).hexdigest()


def key_of(viewer: Viewer, scope: Scope) -> str | None:
    """Return whose bucket it is: the user's, or the address's on an open gateway. Who is not limited has none."""
    kind = viewer.kind
    if kind is UNLIMITED:
        return None
    if kind is ViewerKind.USER:
        return f"user {viewer.user_id}"
    return f"address {address_of(scope)}"


def source_of(viewer: Viewer, scope: Scope) -> Source:
    """Return who asks, and by which connection: between those, the time of the event loop is shared."""
    return key_of(viewer, scope) or f"app {address_of(scope)}", scope.get("client")


def address_of(scope: Scope) -> str:
    """Return the address that a request comes from: behind a trusted proxy, the one in ``X-Forwarded-For``.

    Of an IPv6 address, whose owner has 2**64 of them, it is the network.
    """
    client = scope.get("client")
    return _network(client[0][:_LONGEST_NAME]) if client else "unknown"


@lru_cache(maxsize=1024)
def _network(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if not isinstance(address, IPv6Address):
        return str(address)
    return str(address.ipv4_mapped or IPv6Network((int(address), 64), strict=False))
