"""The one loop that joins a bus of any kind, and joins it again after every failure.

broadcaster's own backends fall silent for ever when their connection drops (docs/adr/0009). This one never ends, and
tells when it has lost touch and when it is back.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from broadcaster import Event
from broadcaster._backends.base import BroadcastBackend

from userline.changes.explanations import explain
from userline.changes.protocol import NotHeardError, NotJoinedError
from userline.common.backoff import Backoff
from userline.common.outage import Outage

if TYPE_CHECKING:
    from userline.changes.protocol import Backend, Heard, Link

logger = logging.getLogger("userline.changes")

HEARTBEAT_SECONDS: Final = 1.0
"""How often a message to itself is published, which has to be heard within twice that time."""

UNHEARD_SECONDS: Final = 10.0
"""How much longer that message may wait behind others."""

PATIENCE_SECONDS: Final = 1.5
"""How long publishing may take."""

JOIN_PATIENCE_SECONDS: Final = 3.0
"""How long it may take altogether until the first message is heard."""

LONGEST_PAUSE_SECONDS: Final = 0.5
"""The most that is waited between two attempts to join."""

_FIRST_PAUSE_SECONDS: Final = 0.02

_GLANCE_SECONDS: Final = 0.25
"""How soon it is noticed that publishing has failed."""

_MOST_REASONS: Final = 10
"""How often the log says at most, in one outage, what to do about it."""


class Contact(Protocol):
    """Who is told whether messages are being received."""

    def lost(self) -> None:
        """Messages are no longer heard; some may be missed."""

    def joined(self) -> None:
        """Messages are heard from now on."""


@dataclass(slots=True)
class _Joined:
    """A link and its state."""

    link: Link
    beat_at: float = 0.0
    """When the next heartbeat is due, by the event loop's clock."""
    unheard: bytes | None = None
    """The heartbeat that has not come back yet."""
    failure: BaseException | None = None
    """Why nothing can be published through it any more."""
    one_at_a_time: asyncio.Lock = field(default_factory=asyncio.Lock)


class Rejoining(BroadcastBackend):
    """Publishes and listens through a backend. ``publish`` raises what that raises; listening never raises.

    A shared bus is joined while what is published there is heard: a heartbeat is a message to itself, on a channel of
    its own (``echo``). That proves that this gateway is heard and hears, which no answer to a question does.
    """

    def __init__(self, backend: Backend, contact: Contact, echo: str) -> None:
        self._backend = backend
        self._is_shared = backend.is_shared
        self._contact = contact
        self._echo = echo
        self._channels: set[str] = set()
        self._beats = 0
        self._wanted = asyncio.Event()
        self._joined: _Joined | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._backoff = Backoff(_FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS)
        self._told: set[str] = set()
        """What to do about the outage there is, as far as the log has said it."""
        self._outage = Outage()

    async def connect(self) -> None:
        """Nothing to do yet: the first subscription joins."""

    async def disconnect(self) -> None:
        """Close every connection."""
        await self._leave()
        await self._backend.close()

    async def subscribe(self, channel: str) -> None:
        """Listen to a channel from the next joining on."""
        self._channels.add(channel)
        self._wanted.set()

    async def unsubscribe(self, channel: str) -> None:
        """Listen to a channel no more."""
        self._channels.discard(channel)
        if not self._channels:
            self._wanted.clear()
            if self._joined is not None:  # whoever hears there leaves it
                self._joined.failure = self._joined.failure or NotJoinedError()

    async def publish(self, channel: str, message: bytes) -> None:
        """Publish, or raise what the backend raises: then it may have been published all the same."""
        joined = self._joined
        if joined is None:
            raise NotJoinedError
        if self._is_shared:
            await self._publish(joined, channel, message)
        else:
            await joined.link.publish(channel, message)

    async def next_published(self) -> Event:
        """Return the next message, however long that takes and however often the connection is lost meanwhile."""
        while True:
            if not self._wanted.is_set():
                await self._leave()
                await self._wanted.wait()
            try:
                if self._joined is not None and not self._is_shared:
                    heard = await self._joined.link.hear(None)
                else:
                    heard = await self._next()
            except Exception as error:  # noqa: BLE001 - broadcaster's listener ends for good with whatever is raised
                if self._wanted.is_set():  # else the link was closed, because nobody listens any more
                    await self._lost(error)
            else:
                if heard is not None:
                    return Event(heard.channel, heard.message)  # type: ignore[arg-type] # it says str and takes anything

    async def _next(self) -> Heard | None:
        joined = self._joined
        if joined is None:
            joined = self._joined = await self._join()
            self._backoff.reset()
            self._told.clear()
            self._contact.joined()
        if not self._is_shared:
            return None
        if joined.failure is not None:
            raise joined.failure
        now = asyncio.get_running_loop().time()
        if now >= joined.beat_at and joined.unheard is None:
            await self._beat(joined)
        elif now >= joined.beat_at + UNHEARD_SECONDS:
            raise NotHeardError
        heard = await joined.link.hear(_GLANCE_SECONDS)
        if heard is not None:
            return self._take(joined, heard)
        # Nothing else waits to be read either, so the heartbeat is not on its way.
        if joined.unheard is not None and now >= joined.beat_at + HEARTBEAT_SECONDS:
            raise NotHeardError
        return None

    def _take(self, joined: _Joined, heard: Heard) -> Heard | None:
        if heard.channel != self._echo:
            return heard
        if heard.message == joined.unheard:
            joined.unheard = None
        return None

    async def _beat(self, joined: _Joined) -> None:
        self._beats += 1
        joined.unheard = b"%d" % self._beats
        joined.beat_at = asyncio.get_running_loop().time() + HEARTBEAT_SECONDS
        await self._publish(joined, self._echo, joined.unheard)

    async def _publish(self, joined: _Joined, channel: str, message: bytes) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS), joined.one_at_a_time:
            if joined.failure is not None:
                raise NotJoinedError from joined.failure
            try:
                await joined.link.publish(channel, message)
            except BaseException as error:
                # Whoever was cancelled here has left a link in the middle of something.
                joined.failure = error if isinstance(error, Exception) else TimeoutError()
                raise

    async def _join(self) -> _Joined:
        if not self._is_shared:
            return _Joined(await self._backend.join(self._channels))
        joined = None
        try:
            async with asyncio.timeout(JOIN_PATIENCE_SECONDS):
                joined = _Joined(await self._backend.join({*self._channels, self._echo}))
                await self._hear_itself(joined)
        except BaseException:
            if joined is not None:
                await joined.link.close()
            raise
        away = self._outage.end()
        logger.info("Listening to the changes of all gateways%s.", f" again, after {away}" if away else "")
        return joined

    async def _hear_itself(self, joined: _Joined) -> None:
        await self._beat(joined)
        try:
            async with asyncio.timeout(HEARTBEAT_SECONDS):
                while joined.unheard is not None:
                    heard = await joined.link.hear(None)
                    if heard is not None:
                        self._take(joined, heard)
        except TimeoutError:
            raise NotHeardError from None

    async def _lost(self, error: BaseException) -> None:
        why = explain(self._backend, error)
        self._outage.begin()
        if self._joined is not None:
            self._told.add(why.advice)
            logger.warning(
                "Lost the connection to the bus (%s). Changes of other gateways are not received until it is back. %s",
                why.text,
                why.advice,
            )
            self._contact.lost()
            await self._leave()
        elif why.advice not in self._told and len(self._told) < _MOST_REASONS:
            # Once an outage, and not once an attempt, unless there is something else to be done about it.
            self._told.add(why.advice)
            logger.warning("The gateway cannot connect to the bus (%s) and keeps trying. %s", why.text, why.advice)
        await self._backoff.wait()

    async def _leave(self) -> None:
        joined, self._joined = self._joined, None
        if joined is not None:
            joined.failure = joined.failure or NotJoinedError()
            self._leaving = asyncio.create_task(joined.link.close())
        if self._leaving is not None:  # to the end, also for who comes after one that was cancelled here
            await asyncio.shield(self._leaving)
