"""The bus that carries changes between the gateways of a deployment, on broadcaster.

Every gateway listens to the same channel from its start to its end, whoever is watched; docs/adr/0004 says why. A
message is JSON: ``{"version": 7, "user": {…the snapshot…}}``.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import TYPE_CHECKING

import orjson
from broadcaster import Broadcast

from userline.users.codec import snapshot_from_json, snapshot_to_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from userline.users.record import UserSnapshot

logger = logging.getLogger("userline.changes")

CHANNEL = "userline:changes:0"
_LONGEST_PAUSE = 5.0


class BusMessageError(ValueError):
    """A message on the bus that is not a change."""


def encode_change(snapshot: UserSnapshot) -> str:
    """Return the message that tells the other gateways of a new snapshot."""
    return orjson.dumps({"version": snapshot.version, "user": snapshot_to_json(snapshot)}).decode()


def decode_change(message: object) -> UserSnapshot:
    """Return the snapshot in a message. Raises BusMessageError."""
    try:
        value = orjson.loads(message)  # type: ignore[arg-type]
        snapshot = snapshot_from_json(value["user"], value["version"])
    except (ValueError, TypeError, KeyError) as error:
        raise BusMessageError(str(error)) from error
    if type(snapshot.version) is not int or snapshot.version < 1:
        raise BusMessageError("The version is not a positive integer.")
    return snapshot


class Bus:
    """Publishes changes and hands those of every gateway, this one included, to a listener.

    ``connected`` tells whether changes are being heard. Messages that make no sense are dropped and counted.
    """

    def __init__(self, url: str) -> None:
        self._broadcast = Broadcast(url)
        self._listening: asyncio.Task[None] | None = None
        self.connected = False
        self.published = 0
        self.heard = 0
        self.dropped = 0

    async def start(self, listener: Callable[[UserSnapshot], None]) -> None:
        """Connect, and call ``listener`` with every change from now on. Returns once changes are heard."""
        await self._broadcast.connect()
        ready = asyncio.Event()
        self._listening = asyncio.create_task(self._listen(listener, ready), name="userline-bus")
        await ready.wait()

    async def stop(self) -> None:
        """Stop listening and disconnect."""
        if self._listening is None:
            return
        self._listening.cancel()
        await asyncio.gather(self._listening, return_exceptions=True)
        self._listening = None
        await self._broadcast.disconnect()

    async def publish(self, snapshot: UserSnapshot) -> None:
        """Tell every gateway of a new snapshot. Raises what the transport raises."""
        await self._broadcast.publish(CHANNEL, encode_change(snapshot))
        self.published += 1

    async def _listen(self, listener: Callable[[UserSnapshot], None], ready: asyncio.Event) -> None:
        pause = 0.05
        while True:
            try:
                async with self._broadcast.subscribe(CHANNEL) as subscriber:
                    self.connected = True
                    ready.set()
                    while True:
                        event = await subscriber.get()
                        pause = 0.05
                        self._deliver(event.message, listener)
            except Exception:
                logger.exception("The bus listener failed; listening again in at most %.1f s.", pause)
            finally:
                self.connected = False
            await asyncio.sleep(random.uniform(0, pause))  # noqa: S311 - jitter, not a secret
            pause = min(pause * 2, _LONGEST_PAUSE)

    def _deliver(self, message: object, listener: Callable[[UserSnapshot], None]) -> None:
        try:
            snapshot = decode_change(message)
        except BusMessageError as error:
            self.dropped += 1
            logger.warning("Dropped a message on the bus that is not a change: %s", error)
            return
        self.heard += 1
        try:
            listener(snapshot)
        except Exception:
            logger.exception("Taking a change from the bus failed.")
