"""Joining a Redis: two connections, one that listens and one that publishes."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.maint_notifications import MaintNotificationsConfig

from userline.changes.protocol import Heard, LinkFacts
from userline.changes.redis.answers import explain
from userline.changes.redis.publisher import Publisher, ask_role

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from redis.asyncio.client import PubSub
    from redis.asyncio.connection import AbstractConnection

    from userline.changes.protocol import Explanation

logger = logging.getLogger("userline.changes")

PATIENCE_SECONDS: Final = 1.5
"""How long connecting and answering may take."""

_NO_ROLE: Final = (
    "Redis does not tell this user whether it is a master. What is published at a replica stays there.",
    "See that USERLINE_BUS_URL leads to the master, or let the user ask INFO (ACL SETUSER: +info).",
)


class RedisBackend:
    """A Redis. It is joined while it calls itself a master, or does not tell."""

    is_shared: Final = True

    def __init__(self, url: str) -> None:
        self._said_unknown = False
        make = partial(
            Redis.from_url,
            url,
            retry=Retry(NoBackoff(), 0),  # or it would join again by itself, and nobody would know of the gap
            socket_connect_timeout=PATIENCE_SECONDS,
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )
        self._publisher: Redis = make(socket_timeout=PATIENCE_SECONDS)
        # Without a time-out its sends do not yield: with one, redis-py loses subscriptions that race (docs/adr/0009).
        self._listener: Redis = make(socket_timeout=None)

    async def join(self, channels: Collection[str]) -> _RedisLink:
        """Listen to the channels, and connect what publishes."""
        link = _RedisLink(self._listener.pubsub(), Publisher(self._publisher))
        try:
            await link.open(channels)
        except BaseException:
            await link.close()
            raise
        if not link.says_role and not self._said_unknown:
            self._said_unknown = True
            logger.warning(
                "Redis does not tell this user whether it is a master (neither HELLO nor INFO). If it is a replica, "
                "other gateways may not hear this one: see that USERLINE_BUS_URL leads to the master."
            )
        return link

    def explain(self, error: BaseException) -> Explanation:
        """Say what a failure means."""
        return explain(error)

    async def close(self) -> None:
        """Close both clients."""
        for client in (self._publisher, self._listener):
            await client.aclose()


class _RedisLink:
    """What listens and what publishes, on the same Redis."""

    def __init__(self, pubsub: PubSub, publisher: Publisher) -> None:
        self._pubsub = pubsub
        self._publisher = publisher
        self._said: Mapping[str, str] = {}

    @property
    def says_role(self) -> bool:
        """Whether Redis says that it is a master."""
        return bool(self._publisher.question)

    async def open(self, channels: Collection[str]) -> None:
        pubsub = self._pubsub
        await pubsub.connect()  # type: ignore[no-untyped-call]
        connection: AbstractConnection = pubsub.connection  # type: ignore[assignment]
        self._publisher.question, self._said = await ask_role(connection)
        await pubsub.subscribe(*channels)
        answered = 0
        while answered < len(channels):
            message = await pubsub.get_message(timeout=None)
            answered += message is not None and message["type"] == "subscribe"
        await self._publisher.open()

    async def publish(self, channel: str, message: bytes) -> None:
        await self._publisher.publish(channel, message)

    async def hear(self, seconds: float | None) -> Heard | None:
        message = await self._pubsub.get_message(ignore_subscribe_messages=True, timeout=seconds)
        if message is None or message["type"] != "message":
            return None
        return Heard(message["channel"].decode(), message["data"])

    async def facts(self) -> LinkFacts:
        version = self._said.get("version", "(of a version it does not tell)")
        remarks = () if self.says_role else (_NO_ROLE,)
        return LinkFacts(f"Redis {version}", await self._seconds_ahead(), remarks)

    async def _seconds_ahead(self) -> float | None:
        asked = time.time()
        try:
            seconds, microseconds = await self._publisher.ask("TIME")
        except ResponseError:
            return None
        answered = time.time()
        shown = int(seconds) + int(microseconds) / 1_000_000
        return 0.0 if asked <= shown <= answered else shown - (asked if shown < asked else answered)

    async def close(self) -> None:
        await self._publisher.close()
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._pubsub.aclose()  # type: ignore[no-untyped-call]
