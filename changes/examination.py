"""What the bus tells of itself."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from userline.changes.channels import channel_of
from userline.changes.redis_answers import Explanation, explain
from userline.changes.redis_publisher import Publisher, ask_role

if TYPE_CHECKING:
    from redis.asyncio.client import PubSub
    from redis.asyncio.connection import AbstractConnection

_SECONDS: Final = 3.0


class BusUnavailable(Exception):
    """Nothing can be sent from gateway to gateway. ``why`` says why, and what to do; it has nothing of the URL."""

    def __init__(self, why: Explanation) -> None:
        self.why = why
        super().__init__(str(why))


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """What is known of a Redis."""

    version: str
    round_trip: float
    """Seconds from publishing a message to hearing it."""
    seconds_ahead: float | None
    """How far its clock is ahead of this machine's; None where this user may not ask."""
    says_role: bool
    """Whether it says that it is a master."""


async def examine_bus(url: str, *, prefix: str, app_id: str) -> RedisFacts | None:
    """Send a message through the bus and hear it; None for a bus within one process. Raises BusUnavailable."""
    if urlsplit(url).scheme == "memory":
        return None
    channel = channel_of(prefix, app_id, "doctor-" + secrets.token_hex(8))
    client: Redis = Redis.from_url(url, socket_connect_timeout=_SECONDS, socket_timeout=_SECONDS)
    publisher = Publisher(client)
    try:
        async with asyncio.timeout(_SECONDS), client, client.pubsub() as pubsub:
            return await _examine(client, pubsub, publisher, channel)
    except Exception as error:  # noqa: BLE001 - what answers there may be anything
        raise BusUnavailable(explain(error)) from None
    finally:
        await publisher.close()


async def _examine(client: Redis, pubsub: PubSub, publisher: Publisher, channel: str) -> RedisFacts:
    await pubsub.connect()  # type: ignore[no-untyped-call]
    connection: AbstractConnection = pubsub.connection  # type: ignore[assignment]
    publisher.question, facts = await ask_role(connection)
    await pubsub.subscribe(channel)
    while await _next(pubsub) != "subscribe":
        pass
    await publisher.open()
    started = time.perf_counter()
    await publisher.publish(channel, b"Do you hear me?")
    while await _next(pubsub) != "message":
        pass
    round_trip = time.perf_counter() - started
    return RedisFacts(
        facts.get("version", "(of a version it does not tell)"),
        round_trip,
        await _ahead(client),
        bool(publisher.question),
    )


async def _ahead(client: Redis) -> float | None:
    asked = time.time()
    try:
        seconds, microseconds = await client.time()
    except ResponseError:
        return None
    answered = time.time()
    shown = float(seconds + microseconds / 1_000_000)
    return 0.0 if asked <= shown <= answered else shown - (asked if shown < asked else answered)


async def _next(pubsub: PubSub) -> str | None:
    message = await pubsub.get_message(timeout=None)
    return None if message is None else str(message["type"])
