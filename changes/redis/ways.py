"""Finds the Redis server for messages: a named one, the master of Sentinels, or a node of a cluster."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from userline.changes.redis.answers import MovedMasterError, NoSentinelError, UnknownMasterError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from userline.changes.redis.url import Address, Node

_SENTINEL_SECONDS: Final = 0.8
"""How long a Sentinel may take to answer, connecting included."""


class Way(Protocol):
    """Finds a Redis server, again for each connection."""

    async def nodes(self) -> Sequence[Node]:
        """Return where to try, in that order. Raises what ``explain`` of ``answers`` knows."""

    def failed(self, node: Node) -> None:
        """It could not be joined there."""

    async def check(self, node: Node) -> None:
        """Raise MovedMasterError if gateways should meet elsewhere by now."""

    async def close(self) -> None:
        """Return when nothing is open any more."""


def way_of(address: Address) -> Way:
    """Return the way that an address describes."""
    return SentinelWay(address) if address.kind == "sentinel" else NamedWay(address)


class NamedWay:
    """Nodes that the URL names. A node that could not be joined is tried last from then on.

    All gateways try them in the same order, so that as a rule they meet at one node of a cluster: then nothing depends
    on what nodes hand on to each other, which they do once, and ask for no receipt.
    """

    def __init__(self, address: Address) -> None:
        self._nodes = list(address.nodes)

    async def nodes(self) -> Sequence[Node]:
        """Return all of them."""
        return tuple(self._nodes)

    def failed(self, node: Node) -> None:
        """Try it last."""
        self._nodes.remove(node)
        self._nodes.append(node)

    async def check(self, node: Node) -> None:
        """They do not move."""

    async def close(self) -> None:
        """Nothing is open."""


class SentinelWay:
    """The master that most Sentinels name."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._asking: set[asyncio.Task[Node]] = set()

    async def nodes(self) -> Sequence[Node]:
        """Ask all Sentinels at once, until most of them agree or have had their time. Raises NoSentinelError."""
        named, failures = await self._ask_all()
        if not named:
            raise NoSentinelError(failures)
        return (named.most_common(1)[0][0],)

    def failed(self, node: Node) -> None:
        """They are asked again next time in any case."""

    async def check(self, node: Node) -> None:
        """Ask one of them, and all of them if that one names another.

        A master that is cut off from the Sentinels goes on as a master, and so do the gateways that are at it.
        """
        try:
            if await self._ask(random.choice(self._address.nodes)) == node:  # noqa: S311 - which one is no secret
                return
        except Exception:  # noqa: BLE001 - one that does not answer says nothing of the master
            return
        named, _ = await self._ask_all()
        for other, votes in named.most_common(1):
            if other != node and votes * 2 > len(self._address.nodes):
                raise MovedMasterError

    async def close(self) -> None:
        """Wait for the Sentinels that have not answered yet."""
        await asyncio.gather(*self._asking, return_exceptions=True)

    async def _ask_all(self) -> tuple[Counter[Node], list[Exception]]:
        named: Counter[Node] = Counter()
        failures: list[Exception] = []
        asking = [asyncio.create_task(self._ask(sentinel)) for sentinel in self._address.nodes]
        self._asking.update(asking)
        for task in asking:
            # Whoever is not waited for any more ends by itself, within its time.
            task.add_done_callback(self._answered)
        for answer in asyncio.as_completed(asking):
            try:
                node = await answer
            except Exception as error:  # noqa: BLE001 - what answers there may be anything
                failures.append(error)
                continue
            named[node] += 1
            if named[node] * 2 > len(asking):
                break
        return named, failures

    def _answered(self, task: asyncio.Task[Node]) -> None:
        self._asking.discard(task)
        if not task.cancelled():
            task.exception()  # or asyncio complains that nobody has looked

    async def _ask(self, sentinel: Node) -> Node:
        connection = self._address.connection(sentinel, seconds=_SENTINEL_SECONDS, of_sentinel=True)
        try:
            async with asyncio.timeout(_SENTINEL_SECONDS):
                await connection.connect()  # type: ignore[no-untyped-call]
                await connection.send_command("SENTINEL", "GET-MASTER-ADDR-BY-NAME", self._address.master)
                answer = await connection.read_response()
        except BaseException as error:
            await connection.disconnect(nowait=True)
            if isinstance(error, TimeoutError):
                raise RedisTimeoutError from error
            raise
        with suppress(RedisError, OSError):
            await connection.disconnect()
        if answer is None:
            raise UnknownMasterError
        name, number = answer
        return name.decode(), int(number)
