"""Joining a Redis: two connections, one that listens and one that publishes, to one node."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.maint_notifications import MaintNotificationsConfig

from userline.changes.protocol import Heard, LinkFacts, NotJoinedError
from userline.changes.redis.answers import ReplicaError, StaleSentinelError
from userline.changes.redis.publisher import Publisher, ask_cluster, ask_role
from userline.changes.redis.refusals import explain
from userline.changes.redis.url import address_of
from userline.changes.redis.ways import way_of
from userline.common.backoff import spread

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from redis.asyncio.client import PubSub
    from redis.asyncio.connection import AbstractConnection

    from userline.changes.protocol import Explanation
    from userline.changes.redis.url import Node
    from userline.changes.redis.ways import Way

logger = logging.getLogger("userline.changes")

PATIENCE_SECONDS: Final = 1.5
"""How long connecting and answering may take."""

_NODE_SECONDS: Final = 1.0
"""How long joining a node may take where there are others."""

_WATCH_SECONDS: Final = 4.0
"""How often it is asked whether gateways should meet elsewhere."""

_NO_ROLE: Final = (
    (
        "Redis does not tell this user whether it is a master. Messages that are published at a replica reach no other "
        "server."
    ),
    "Check that USERLINE_BUS_URL leads to the master, or allow the user the command INFO (ACL SETUSER: +info).",
)

_NO_STATE: Final = (
    (
        "The cluster does not tell this user its state. Messages that are published at a node without a connection to "
        "the others reach no other node."
    ),
    "Allow the user the command CLUSTER INFO (ACL SETUSER: +cluster|info). The gateway then leaves such a node.",
)


class RedisBackend:
    """A Redis server, the master named by Sentinels, or a cluster. Servers that would lose messages are not joined."""

    is_shared: Final = True

    def __init__(self, url: str) -> None:
        self._said_unknown = False
        self._address = address_of(url)
        self._way = way_of(self._address)

    async def join(self, channels: Collection[str]) -> _RedisLink:
        """Listen to the channels, and connect what publishes."""
        nodes = await self._way.nodes()
        if len(nodes) == 1:
            link = await self._join(nodes[0], channels)
        else:
            link = await self._join_first(nodes, channels)
        if not link.says_role and not self._said_unknown:
            self._said_unknown = True
            logger.warning(
                "Redis does not tell this user whether it is a master (neither HELLO nor INFO is allowed). If it is a "
                "replica, other gateways may not receive the changes of this one. Check that USERLINE_BUS_URL leads to "
                "the master."
            )
        return link

    async def _join_first(self, nodes: Sequence[Node], channels: Collection[str]) -> _RedisLink:
        """Join the first node that can be joined; if none can, raise why the first of them could not."""
        failures: list[Exception] = []
        for node in nodes:
            try:
                async with asyncio.timeout(_NODE_SECONDS):
                    return await self._join(node, channels)
            except Exception as error:  # noqa: BLE001 - whatever is wrong there, another node is tried
                failures.append(error)
            except asyncio.CancelledError:
                self._way.failed(node)
                raise
            self._way.failed(node)
        raise failures[0]

    async def _join(self, node: Node, channels: Collection[str]) -> _RedisLink:
        publisher = Publisher(self._address.connection(node, seconds=PATIENCE_SECONDS))
        link = _RedisLink(self._way, node, self._listener(node).pubsub(), publisher)
        try:
            await link.open(channels, in_cluster=self._address.kind == "cluster")
        except BaseException as error:
            await link.close()
            if isinstance(error, ReplicaError) and self._address.kind == "sentinel":
                raise StaleSentinelError from error
            raise
        return link

    def _listener(self, node: Node) -> Redis:
        host, port = node
        options = dict(self._address.options) | {"host": host, "port": port}
        return Redis(
            connection_pool=ConnectionPool(
                connection_class=self._address.connection_class,
                **options,
                retry=Retry(NoBackoff(), 0),  # or it would join again by itself, and nobody would know of the gap
                socket_connect_timeout=PATIENCE_SECONDS,
                # Without it sends do not yield: with it, redis-py loses subscriptions that race (docs/adr/0009).
                socket_timeout=None,
                maint_notifications_config=MaintNotificationsConfig(enabled=False),
            )
        )

    def explain(self, error: BaseException) -> Explanation:
        """Say what a failure means."""
        return explain(error)

    async def close(self) -> None:
        """Wait for what the way to it has open."""
        await self._way.close()


class _RedisLink:
    """The connection that listens and the one that publishes, to the same server."""

    def __init__(self, way: Way, node: Node, pubsub: PubSub, publisher: Publisher) -> None:
        self._way = way
        self._node = node
        self._pubsub = pubsub
        self._publisher = publisher
        self._said: Mapping[str, str] = {}
        self._remarks: tuple[tuple[str, str], ...] = ()
        self._watching: asyncio.Task[None] | None = None

    @property
    def says_role(self) -> bool:
        """Whether Redis says that gateways may meet there."""
        return self._publisher.question is not None

    async def open(self, channels: Collection[str], *, in_cluster: bool) -> None:
        pubsub = self._pubsub
        await pubsub.connect()  # type: ignore[no-untyped-call]
        connection: AbstractConnection = pubsub.connection  # type: ignore[assignment]
        self._publisher.question, self._said = await ask_role(connection)
        if not self.says_role:
            self._remarks = (_NO_ROLE,)
        if in_cluster:
            question = await ask_cluster(connection, self._said)
            self._remarks = () if question else (_NO_STATE,)
            self._publisher.question = question or self._publisher.question
        await pubsub.subscribe(*channels)
        answered = 0
        while answered < len(channels):
            message = await pubsub.get_message(timeout=None)
            answered += message is not None and message["type"] == "subscribe"
        await self._publisher.open()
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        """End when gateways should meet elsewhere by now."""
        while True:
            await asyncio.sleep(spread(_WATCH_SECONDS, 0.5, 1.5))
            await self._way.check(self._node)

    async def publish(self, channel: str, message: bytes) -> None:
        self._raise_if_moved()
        await self._publisher.publish(channel, message)

    async def hear(self, seconds: float | None) -> Heard | None:
        self._raise_if_moved()
        message = await self._pubsub.get_message(ignore_subscribe_messages=True, timeout=seconds)
        if message is None or message["type"] != "message":
            return None
        return Heard(message["channel"].decode(), message["data"])

    def _raise_if_moved(self) -> None:
        if self._watching is not None and self._watching.done():
            if self._watching.cancelled():  # the link is closed
                raise NotJoinedError
            self._watching.result()

    async def facts(self) -> LinkFacts:
        version = self._said.get("version", "(version not known)")
        name = "Valkey" if self._said.get("server") == "valkey" else "Redis"
        return LinkFacts(f"{name} {version}", await self._seconds_ahead(), self._remarks)

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
        if self._watching is not None:
            self._watching.cancel()
            with suppress(asyncio.CancelledError, RedisError):
                await self._watching
        await asyncio.gather(self._publisher.close(), self._close_listener())

    async def _close_listener(self) -> None:
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._pubsub.aclose()  # type: ignore[no-untyped-call]
