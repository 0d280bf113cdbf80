"""What carries broadcaster's messages: in this process, or through Redis.

broadcaster's own Redis backend falls silent for ever when its connection drops (docs/adr/0009). The one here never
ends: it joins again, and tells when it has lost touch and when it is back.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import parse_qs, urlsplit

from broadcaster import Event
from broadcaster._backends.base import BroadcastBackend
from broadcaster._backends.memory import MemoryBackend
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

if TYPE_CHECKING:
    from redis.asyncio.client import PubSub

logger = logging.getLogger("userline.changes")

HEARTBEAT_SECONDS: Final = 1.0
"""How long Redis may be silent before it is pinged, and then how long it may take to answer."""

PATIENCE_SECONDS: Final = 1.5
"""How long connecting, subscribing and publishing may take."""

LONGEST_PAUSE_SECONDS: Final = 0.5
"""The most that is waited between two attempts to join."""

_FAILURES: Final = (RedisError, OSError, TimeoutError)

# What a URL may say beyond the address. Anything else that redis-py takes, such as time-outs, is set here.
_OPTIONS: Final = re.compile(r"username|password|db|client_name|protocol|ssl_\w+")


class Contact(Protocol):
    """Who wants to know whether messages are being heard."""

    def lost(self) -> None:
        """Messages are no longer heard; some may be missed."""

    def joined(self) -> None:
        """Messages are heard from now on."""


def make_backend(url: str, contact: Contact) -> BroadcastBackend:
    """Return the backend for a bus URL. Raises ValueError as :func:`check_bus_url` does."""
    check_bus_url(url)
    return RedisBackend(url, contact) if urlsplit(url).scheme in ("redis", "rediss") else _Memory(url, contact)


def check_bus_url(url: str) -> None:
    """Raise ValueError if ``url`` names no bus, with a sentence that says what would, and never what was given."""
    if url == "memory://":
        return
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise ValueError("The URL of the bus is not a URL. Examples: memory:// and redis://127.0.0.1:6379.") from None
    if parts.scheme not in ("redis", "rediss"):
        raise ValueError(
            "The bus is memory:// (one process), or redis://HOST:PORT or rediss://HOST:PORT (any number of gateways)."
        )
    if not parts.hostname:
        raise ValueError("The URL of the bus has no host. An example: redis://127.0.0.1:6379.")
    for option in parse_qs(parts.query, keep_blank_values=True):
        if not _OPTIONS.fullmatch(option):
            raise ValueError("The URL of the bus has an option that it cannot have. Leave out what follows the ?.")
    try:
        Redis.from_url(url).connection_pool.make_connection()  # type: ignore[no-untyped-call]
    except (RedisError, TypeError, ValueError):
        raise ValueError("The URL of the bus has an option that it cannot have, or not with that value.") from None


def reason(error: BaseException) -> str:
    """Return what a failure says of itself, for logs."""
    return f"{type(error).__name__}: {error}".removesuffix(": ").removesuffix(".")


class _Memory(MemoryBackend):
    """broadcaster's own backend for one process, where nothing is ever lost."""

    def __init__(self, url: str, contact: Contact) -> None:
        super().__init__(url)
        self._contact = contact

    async def subscribe(self, channel: str) -> None:
        await super().subscribe(channel)
        self._contact.joined()


class RedisBackend(BroadcastBackend):
    """Publishes and listens through Redis, and joins again whatever happens to the connection.

    Messages are bytes. ``publish`` raises what redis-py raises; listening never raises.
    """

    def __init__(self, url: str, contact: Contact) -> None:
        self._contact = contact
        self._channels: set[str] = set()
        self._wanted = asyncio.Event()
        self._pubsub: PubSub | None = None
        self._pinged = False
        self._pause = 0.0
        self._reasons: set[str] = set()
        # No retries inside of redis-py: it would join again by itself and nobody would know of the gap.
        retry = Retry(NoBackoff(), 0)
        self._publisher = Redis.from_url(
            url, retry=retry, socket_connect_timeout=PATIENCE_SECONDS, socket_timeout=PATIENCE_SECONDS
        )
        self._listener = Redis.from_url(url, retry=retry, socket_connect_timeout=PATIENCE_SECONDS, socket_timeout=None)

    async def connect(self) -> None:
        """Nothing to do yet: the first subscription joins."""

    async def disconnect(self) -> None:
        """Close every connection."""
        await self._leave()
        for client in (self._publisher, self._listener):
            await client.aclose()

    async def subscribe(self, channel: str) -> None:
        """Listen to a channel from the next joining on."""
        self._channels.add(channel)
        self._wanted.set()

    async def unsubscribe(self, channel: str) -> None:
        """Listen to a channel no more."""
        self._channels.discard(channel)
        if not self._channels:
            self._wanted.clear()
            await self._leave()

    async def publish(self, channel: str, message: bytes) -> None:
        """Publish, or raise RedisError, OSError or TimeoutError: then it may have been published all the same."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._publisher.publish(channel, message)

    async def next_published(self) -> Event:
        """Return the next message, however long that takes and however often the connection is lost meanwhile."""
        while True:
            await self._wanted.wait()
            try:
                event = await self._next()
            except Exception as error:  # noqa: BLE001 - broadcaster's listener ends for good with whatever is raised
                await self._lost(error)
            else:
                if event is not None:
                    return event

    async def _next(self) -> Event | None:
        pubsub = self._pubsub
        if pubsub is None:
            pubsub = self._pubsub = await self._join()
            self._pinged = False
            self._pause = 0.0
            self._reasons.clear()
            self._contact.joined()
        try:
            message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=HEARTBEAT_SECONDS)
        except ResponseError:
            if not self._pinged:
                raise
            # A ping that is refused is answered as well: a Redis that cannot save refuses it, and carries messages.
            self._pinged = False
            return None
        if message is None:
            if self._pinged:
                raise TimeoutError("Redis does not answer a ping.")
            self._pinged = True
            async with asyncio.timeout(PATIENCE_SECONDS):
                await pubsub.ping()
            return None
        self._pinged = False
        if message["type"] != "message":
            return None
        return Event(message["channel"].decode(), message["data"])

    async def _join(self) -> PubSub:
        pubsub = self._listener.pubsub()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                await pubsub.subscribe(*self._channels)
                answered = 0
                while answered < len(self._channels):
                    message = await pubsub.get_message(timeout=None)
                    answered += message is not None and message["type"] == "subscribe"
        except BaseException:
            await _close(pubsub)
            raise
        logger.info("Listening to the changes of all gateways.")
        return pubsub

    async def _lost(self, error: BaseException) -> None:
        if self._pubsub is not None:
            logger.warning(
                "Lost the bus (%s): changes of other gateways are not heard until it is back.", reason(error)
            )
            self._contact.lost()
            await self._leave()
        elif reason(error) not in self._reasons:
            # Each once an outage, not once an attempt.
            self._reasons.add(reason(error))
            logger.warning("The bus cannot be joined (%s); trying on.", reason(error))
        self._pause = min(max(self._pause * 2, 0.02), LONGEST_PAUSE_SECONDS)
        await asyncio.sleep(random.uniform(0, self._pause))  # noqa: S311 - jitter, not a secret

    async def _leave(self) -> None:
        pubsub, self._pubsub = self._pubsub, None
        if pubsub is not None:
            await _close(pubsub)


async def _close(pubsub: PubSub) -> None:
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await pubsub.aclose()  # type: ignore[no-untyped-call]
    except _FAILURES:
        pass
