"""What carries broadcaster's messages: in this process, or through Redis.

broadcaster's own Redis backend falls silent for ever when its connection drops (docs/adr/0009). The one here never
ends: it joins again, and tells when it has lost touch and when it is back.
"""

from __future__ import annotations

import asyncio
import logging
import re
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import parse_qs, urlsplit

from broadcaster import Event
from broadcaster._backends.base import BroadcastBackend
from broadcaster._backends.memory import MemoryBackend
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from userline.changes.redis_answers import NotHeardError, NotJoinedError, explain
from userline.changes.redis_publisher import Publisher, ask_role
from userline.common.backoff import Backoff

if TYPE_CHECKING:
    from redis.asyncio.client import PubSub
    from redis.asyncio.connection import AbstractConnection

logger = logging.getLogger("userline.changes")

HEARTBEAT_SECONDS: Final = 1.0
"""How often Redis is asked whether it is a master, by a message that has to be heard within twice that time."""

UNHEARD_SECONDS: Final = 10.0
"""How much longer that message may wait behind others."""

PATIENCE_SECONDS: Final = 1.5
"""How long connecting and publishing may take."""

JOIN_PATIENCE_SECONDS: Final = 3.0
"""How long it may take altogether until the first message is heard."""

LONGEST_PAUSE_SECONDS: Final = 0.5
"""The most that is waited between two attempts to join."""

_FIRST_PAUSE_SECONDS: Final = 0.02

_GLANCE_SECONDS: Final = 0.25
"""How soon it is noticed that publishing has failed."""

_MOST_REASONS: Final = 10
"""How many different reasons of one outage are logged."""

# What a URL may say beyond the address. Anything else that redis-py takes, such as time-outs, is set here.
_OPTIONS: Final = re.compile(r"username|password|db|client_name|protocol|ssl_\w+")


class Contact(Protocol):
    """Who wants to know whether messages are being heard."""

    def lost(self) -> None:
        """Messages are no longer heard; some may be missed."""

    def joined(self) -> None:
        """Messages are heard from now on."""


def make_backend(url: str, contact: Contact, echo: str) -> BroadcastBackend:
    """Return the backend for a bus URL. Raises ValueError as :func:`check_bus_url` does.

    ``echo`` is a channel of this gateway's own, where it may send messages to itself.
    """
    check_bus_url(url)
    return RedisBackend(url, contact, echo) if urlsplit(url).scheme in ("redis", "rediss") else _Memory(url, contact)


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


class _Memory(MemoryBackend):
    """broadcaster's own backend for one process, where nothing is ever lost."""

    def __init__(self, url: str, contact: Contact) -> None:
        super().__init__(url)
        self._contact = contact

    async def subscribe(self, channel: str) -> None:
        await super().subscribe(channel)
        self._contact.joined()


@dataclass(slots=True)
class _Link:
    """What listens and what publishes, on the same Redis: what the one sends, the other hears."""

    pubsub: PubSub
    publisher: Publisher
    beat_at: float
    """When the next heartbeat is due, by the event loop's clock."""
    unheard: bytes | None = None
    """The heartbeat that has not come back yet."""


class RedisBackend(BroadcastBackend):
    """Publishes and listens through Redis, and joins again whatever happens to the connections.

    Messages are bytes. ``publish`` raises what redis-py raises; listening never raises. It is joined while Redis calls
    itself a master (or nothing), and while what is published there is heard: a heartbeat is a message to itself.
    """

    def __init__(self, url: str, contact: Contact, echo: str) -> None:
        self._contact = contact
        self._channels: set[str] = set()
        self._echo = echo
        self._beats = 0
        self._wanted = asyncio.Event()
        self._link: _Link | None = None
        self._backoff = Backoff(_FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        self._reasons: set[str] = set()
        self._said_unknown = False
        make = partial(
            Redis.from_url,
            url,
            retry=Retry(NoBackoff(), 0),  # or it would join again by itself, and nobody would know of the gap
            socket_connect_timeout=PATIENCE_SECONDS,
            maint_notifications_config=MaintNotificationsConfig(enabled=False),
        )
        self._publisher: Redis = make(socket_timeout=PATIENCE_SECONDS)
        self._listener: Redis = make(socket_timeout=None)

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
        if self._link is None:
            raise NotJoinedError
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._link.publisher.publish(channel, message)

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
        link = self._link
        if link is None:
            link = self._link = await self._join()
            self._backoff.reset()
            self._reasons.clear()
            self._contact.joined()
        if link.publisher.failure is not None:
            raise link.publisher.failure
        now = asyncio.get_running_loop().time()
        if now >= link.beat_at and link.unheard is None:
            await self._beat(link)
        elif now >= link.beat_at + UNHEARD_SECONDS:
            raise NotHeardError
        message = await link.pubsub.get_message(ignore_subscribe_messages=True, timeout=_GLANCE_SECONDS)
        if message is not None:
            return self._take(link, message)
        # Nothing else waits to be read either, so the heartbeat is not on its way.
        if link.unheard is not None and now >= link.beat_at + HEARTBEAT_SECONDS:
            raise NotHeardError
        return None

    def _take(self, link: _Link, message: dict[str, Any]) -> Event | None:
        if message["type"] != "message":
            return None
        channel = message["channel"].decode()
        if channel != self._echo:
            return Event(channel, message["data"])
        if message["data"] == link.unheard:
            link.unheard = None
        return None

    async def _beat(self, link: _Link) -> None:
        self._beats += 1
        link.unheard = b"%d" % self._beats
        link.beat_at = asyncio.get_running_loop().time() + HEARTBEAT_SECONDS
        async with asyncio.timeout(PATIENCE_SECONDS):
            await link.publisher.publish(self._echo, link.unheard)

    async def _join(self) -> _Link:
        link = _Link(self._listener.pubsub(), Publisher(self._publisher), 0.0)
        try:
            async with asyncio.timeout(JOIN_PATIENCE_SECONDS):
                await self._connect(link)
        except BaseException:
            await _close(link)
            raise
        logger.info("Listening to the changes of all gateways.")
        return link

    async def _connect(self, link: _Link) -> None:
        pubsub, channels = link.pubsub, {*self._channels, self._echo}
        await pubsub.connect()  # type: ignore[no-untyped-call]
        connection: AbstractConnection = pubsub.connection  # type: ignore[assignment]
        link.publisher.question, _ = await ask_role(connection)
        if not link.publisher.question and not self._said_unknown:
            self._said_unknown = True
            logger.warning(
                "Redis does not tell this user whether it is a master (neither HELLO nor INFO). If it is a replica, "
                "other gateways may not hear this one: see that USERLINE_BUS_URL leads to the master."
            )
        await pubsub.subscribe(*channels)
        answered = 0
        while answered < len(channels):
            message = await pubsub.get_message(timeout=None)
            answered += message is not None and message["type"] == "subscribe"
        await link.publisher.open()
        await self._beat(link)
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                while link.unheard is not None:
                    message = await pubsub.get_message(timeout=None)
                    if message is not None:
                        self._take(link, message)
        except TimeoutError:
            raise NotHeardError from None

    async def _lost(self, error: BaseException) -> None:
        why = explain(error)
        if self._link is not None:
            self._reasons.add(why.kind)
            logger.warning(
                "Lost the bus (%s): changes of other gateways are not heard until it is back. %s", why.text, why.advice
            )
            self._contact.lost()
            await self._leave()
        elif why.kind not in self._reasons and len(self._reasons) < _MOST_REASONS:
            # Each once an outage, not once an attempt.
            self._reasons.add(why.kind)
            logger.warning("The bus cannot be joined (%s); trying on. %s", why.text, why.advice)
        await self._backoff.wait()

    async def _leave(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            await _close(link)


async def _close(link: _Link) -> None:
    await link.publisher.close()
    with suppress(RedisError, OSError):
        async with asyncio.timeout(PATIENCE_SECONDS):
            await link.pubsub.aclose()  # type: ignore[no-untyped-call]
