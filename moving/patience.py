"""Waits for a store that is not available for a moment."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final, TypeVar

from userline.common.backoff import Backoff
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")

PATIENCE_SECONDS: Final = 60.0
"""How long a store may be away in the middle of a move."""

_LONGEST_PAUSE_SECONDS: Final = 2.0


async def patiently(call: Callable[[], Awaitable[T]], seconds: float = PATIENCE_SECONDS) -> T:
    """Return what the call returns, trying again while the store is away. Raises StoreUnavailable after ``seconds``."""
    deadline = time.monotonic() + seconds
    backoff = Backoff(0.1, _LONGEST_PAUSE_SECONDS, least=0.5)
    while True:
        try:
            return await call()
        except StoreUnavailable:
            pause = backoff.next()
            if time.monotonic() + pause > deadline:
                raise
        await asyncio.sleep(pause)
