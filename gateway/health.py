"""``/healthz`` and ``/readyz``."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import orjson
from starlette.responses import Response

from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from userline.server.drain import Drain

logger = logging.getLogger("userline.health")

_PATIENCE: Final = 0.5
"""Seconds that the store has to answer. Balancers wait some seconds for an answer at most."""


class Health:
    """The health endpoints.

    ``ping`` raises if the store does not answer, ``coherent`` says whether all changes are heard, and
    ``changes_of_others`` how many were heard from other gateways, which is how one knows that they can still write.
    """

    def __init__(
        self,
        drain: Drain,
        ping: Callable[[], Awaitable[None]],
        coherent: Callable[[], bool],
        changes_of_others: Callable[[], int],
    ) -> None:
        self._drain = drain
        self._ping = ping
        self._coherent = coherent
        self._changes_of_others = changes_of_others
        self._heard_at_outage: int | None = None
        """How many changes of others had been heard when the store went away, while it is away."""
        self._asking: asyncio.Task[None] | None = None

    async def healthz(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's signature
        """Say that the process lives."""
        return _json({"status": "ok"}, 200)

    async def readyz(self, request: Request) -> Response:
        """Say whether this gateway should get requests: 200 if so, else 503. The log has the reason.

        It is 503 from the first signal to stop on, and while the store is away for this gateway and not for others. An
        outage that others have too leaves it 200, with the status ``degraded``: nobody could serve better, and what is
        held in memory is served. With ``?strict=1`` it is 503 then, for those who want to know.
        """
        if self._drain.begun:
            return _json({"status": "stopping"}, 503)
        parts = {"store": await self._store_answers(), "bus": self._coherent()}
        body = {name: "ok" if is_well else "unavailable" for name, is_well in parts.items()}
        if all(parts.values()):
            return _json({"status": "ready"} | body, 200)
        if request.query_params.get("strict") == "1" or self._others_can_write():
            return _json({"status": "not ready"} | body, 503)
        return _json({"status": "degraded"} | body, 200)

    def _others_can_write(self) -> bool:
        """Whether the store is away, and other gateways have told of changes since: it is not away for them."""
        return self._heard_at_outage is not None and self._changes_of_others() > self._heard_at_outage

    async def _store_answers(self) -> bool:
        """Whether the store answers in time. One ping is under way, whoever asks, and the store tells of its end."""
        if self._asking is None:
            self._asking = asyncio.create_task(self._ping_once(), name="userline-health")
        done, _ = await asyncio.wait([self._asking], timeout=_PATIENCE)
        if not done:
            self._note_outage()
        return bool(done) and self._heard_at_outage is None

    async def _ping_once(self) -> None:
        try:
            await self._ping()
        except Exception as error:  # noqa: BLE001 - whatever it is, the store is not ready
            if self._note_outage() and type(error) is not StoreUnavailable:  # of that it has told itself
                logger.warning("The store is not ready: %s", str(error) or repr(error))
        else:
            self._heard_at_outage = None
        finally:
            self._asking = None

    def _note_outage(self) -> bool:
        """Take note that the store is away, and return whether that is news."""
        if self._heard_at_outage is not None:
            return False
        self._heard_at_outage = self._changes_of_others()
        return True


def _json(value: object, status: int) -> Response:
    return Response(
        orjson.dumps(value), status, {"cache-control": "no-store", "content-type": "application/json; charset=utf-8"}
    )
