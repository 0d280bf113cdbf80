"""What the bus tells of itself."""

from __future__ import annotations

import asyncio
import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.exceptions import RedisError

if TYPE_CHECKING:
    from redis.asyncio.client import PubSub

_SECONDS: Final = 3.0
_PREFIX: Final = "userline:doctor:"


class BusUnavailable(Exception):
    """Nothing can be sent from gateway to gateway. The text says why, and has nothing of the URL."""


@dataclass(frozen=True, slots=True)
class RedisFacts:
    """What is known of a Redis."""

    version: str
    round_trip: float
    """Seconds from publishing a message to hearing it."""
    seconds_ahead: float
    """How far its clock is ahead of this machine's."""


async def examine_bus(url: str) -> RedisFacts | None:
    """Send a message through the bus and hear it; None for a bus within one process. Raises BusUnavailable."""
    if urlsplit(url).scheme == "memory":
        return None
    client: Redis = Redis.from_url(url, socket_connect_timeout=_SECONDS, socket_timeout=_SECONDS)
    try:
        async with asyncio.timeout(_SECONDS), client, client.pubsub() as pubsub:
            return await _examine(client, pubsub)
    except TimeoutError:
        raise BusUnavailable(f"It does not answer within {_SECONDS:g} s") from None
    except (RedisError, OSError) as error:
        raise BusUnavailable(str(error).removesuffix(".") or type(error).__name__) from None


async def _examine(client: Redis, pubsub: PubSub) -> RedisFacts:
    asked = time.time()
    seconds, microseconds = await client.time()
    answered = time.time()
    shown = seconds + microseconds / 1_000_000
    version = (await client.info("server")).get("redis_version", "?")
    channel = _PREFIX + secrets.token_hex(8)
    await pubsub.subscribe(channel)
    while await _next(pubsub) != "subscribe":
        pass
    started = time.perf_counter()
    await client.publish(channel, b"Do you hear me?")
    while await _next(pubsub) != "message":
        pass
    round_trip = time.perf_counter() - started
    ahead = 0.0 if asked <= shown <= answered else shown - (asked if shown < asked else answered)
    return RedisFacts(str(version), round_trip, ahead)


async def _next(pubsub: PubSub) -> str | None:
    message = await pubsub.get_message(timeout=None)
    return None if message is None else str(message["type"])
