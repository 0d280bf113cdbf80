"""``/healthz`` and ``/readyz``."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import orjson
from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from userline.server.drain import Drain

logger = logging.getLogger("userline.health")

_PATIENCE = 2.0
"""Seconds that the store has to answer."""


class Health:
    """The endpoints that tell how the gateway is: ``coherent`` says whether all changes are heard."""

    def __init__(self, drain: Drain, ping: Callable[[], Awaitable[None]], coherent: Callable[[], bool]) -> None:
        self._drain = drain
        self._ping = ping
        self._coherent = coherent

    async def healthz(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's signature
        """Say that the process lives."""
        return _json({"status": "ok"}, 200)

    async def readyz(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's signature
        """Say whether the store answers and changes are heard: 200 if so, else 503. The log has the reason.

        After a gap of the bus it is 503 until every watched user has been read again, and from the first signal to stop
        on it is 503 for good.
        """
        if self._drain.begun:
            return _json({"status": "stopping"}, 503)
        parts = {"store": await self._store_answers(), "bus": self._coherent()}
        ready = all(parts.values())
        body = {"status": "ready" if ready else "not ready"}
        return _json(body | {name: "ok" if ok else "unavailable" for name, ok in parts.items()}, 200 if ready else 503)

    async def _store_answers(self) -> bool:
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._ping()
        except Exception as error:  # noqa: BLE001 - whatever it is, the store is not ready
            logger.warning("The store is not ready: %s", error)
            return False
        return True


def _json(value: object, status: int) -> Response:
    return Response(
        orjson.dumps(value), status, {"cache-control": "no-store", "content-type": "application/json; charset=utf-8"}
    )
