"""Measures the delay of the event loop."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from userline.common import tasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from userline.telemetry.metrics.histogram import Histogram

_PERIOD_SECONDS: Final = 0.25


@asynccontextmanager
async def watching_the_loop(lag: Histogram, period: float = _PERIOD_SECONDS) -> AsyncIterator[None]:
    """Add to ``lag``, once a ``period``, how much later than asked for the loop runs what is due."""

    async def watch() -> None:
        while True:
            due = time.perf_counter() + period
            await asyncio.sleep(period)
            lag.add(max(time.perf_counter() - due, 0.0))

    task = asyncio.create_task(watch(), name="userline-loop-lag")
    try:
        yield
    finally:
        await tasks.end([task])
