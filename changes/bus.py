"""The bus that carries changes between the gateways of a deployment, on broadcaster.

Every gateway of a deployment listens to the same channels from its start to its end, whoever is watched; docs/adr/0004
says why. ``messages.py`` has what is said there.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from broadcaster import Broadcast

from userline.changes.channels import (
    DEFAULT_PREFIX,
    BusMessageError,
    ForeignMessageError,
    channel_of,
    decode_message,
    encode_message,
)
from userline.changes.explanations import explain
from userline.changes.factory import make_backend
from userline.changes.messages import Found, decode_change, message_of
from userline.changes.outbox import Outbox
from userline.changes.rejoining import Rejoining
from userline.changes.sent import Sent
from userline.common import tasks
from userline.common.backoff import Backoff
from userline.users.codec import is_whole_snapshot
from userline.users.record import Deletion

if TYPE_CHECKING:
    from collections.abc import Callable

    from userline.changes.messages import Told
    from userline.changes.protocol import Backend, Explanation
    from userline.users.record import Change, UserSnapshot

logger = logging.getLogger("userline.changes")

CHANGES: Final = "changes"
"""The topic of what was written."""

MOST_CHANGES_A_MESSAGE: Final = 100
MOST_CHANGES_WAITING: Final = 10_000
START_PATIENCE_SECONDS: Final = 2.0
STOP_PATIENCE_SECONDS: Final = 2.0
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.02, 0.5


class Bus:
    """Publishes changes, and passes the changes of every gateway, also its own, to a listener.

    Publishing never fails and never waits: a change that cannot be sent now is sent when the bus is back, the newest of
    each user. ``connected`` tells whether changes are being heard. Only gateways with the same prefix and app id hear
    each other. What makes no sense, and what is of another app, is dropped and counted.
    """

    def __init__(self, url: str | Backend, *, app_id: str = "userline", prefix: str = DEFAULT_PREFIX) -> None:
        self._backend = make_backend(url) if isinstance(url, str) else url
        self._app_id = app_id
        self._prefix = prefix
        echo = self.channel_of("echo-" + secrets.token_hex(8))
        self._broadcast = Broadcast(backend=Rejoining(self._backend, self, echo))
        self._outbox = Outbox(MOST_CHANGES_WAITING)
        self._under_way: list[Told] = []
        """What is being published, taken out of the outbox."""
        self._tasks: list[asyncio.Task[None]] = []
        self._joined = asyncio.Event()
        self._idle = asyncio.Event()
        self._hear: Callable[[Change], None] = lambda _: None
        self._hear_found: Callable[[UserSnapshot], None] = lambda _: None
        self._hear_in_part: Callable[[UserSnapshot], None] = lambda _: None
        self._on_lost: Callable[[], None] = lambda: None
        self._on_joined: Callable[[], None] = lambda: None
        self.published = 0
        self.publish_failures = 0
        self.heard = 0
        self.changes_of_others = 0
        """How many messages with changes of other gateways were heard."""
        self.nonsense = 0
        self.foreign = 0
        self.gaps = 0
        self.sent = Sent()
        self._ears: dict[str, Callable[[object], None]] = {CHANGES: self._deliver}

    @property
    def is_shared(self) -> bool:
        """Whether there may be other gateways on it."""
        return self._backend.is_shared

    @property
    def connected(self) -> bool:
        """Whether changes are being heard."""
        return self._joined.is_set()

    @property
    def waiting(self) -> int:
        """How many users have a change that is still to be published."""
        return len(self._outbox) + sum(change.id not in self._outbox for change in self._under_way)

    @property
    def dropped(self) -> int:
        """How many changes were given up because too many waited."""
        return self._outbox.dropped

    def explain(self, error: BaseException) -> Explanation:
        """Say what it means that ``send`` has raised this."""
        return explain(self._backend, error)

    def channel_of(self, topic: str) -> str:
        """Return the name that a topic's channel has in this deployment."""
        return channel_of(self._prefix, self._app_id, topic)

    def listen(self, topic: str, hear: Callable[[object], None]) -> None:
        """Have ``hear`` called with what is said on another topic. It may raise BusMessageError. Before the start.

        What is sent there is neither kept nor repeated. Nothing is heard unless the bus is shared.
        """
        if self.is_shared:
            self._ears[topic] = hear

    async def send(self, topic: str, body: object) -> None:
        """Say something on another topic, once. Raises whatever the bus raises."""
        await self._broadcast.publish(self.channel_of(topic), encode_message(self._app_id, body))

    async def start(
        self,
        hear: Callable[[Change], None],
        *,
        hear_found: Callable[[UserSnapshot], None] | None = None,
        hear_in_part: Callable[[UserSnapshot], None] | None = None,
        on_lost: Callable[[], None] = lambda: None,
        on_joined: Callable[[], None] = lambda: None,
    ) -> None:
        """Connect, and call ``hear`` with every change from now on.

        What a userline tells that knows fewer fields goes to ``hear_in_part``, if that is given: the fields that it
        does not know have their defaults there, and may have others in the store.

        What was found of a user whose write had no answer goes to ``hear_found``, if that is given.

        ``on_lost`` is called when changes may be missed, ``on_joined`` each time they are heard (again). Returns when
        they are heard, or after two seconds: a bus that is away at the start is joined when it comes.
        """
        self._hear, self._on_lost, self._on_joined = hear, on_lost, on_joined
        self._hear_found = hear_found or hear
        self._hear_in_part = hear_in_part or hear
        await self._broadcast.connect()
        self._tasks = [
            *(
                # All begin in one turn of the event loop, before the backend joins what is wanted.
                asyncio.create_task(self._listen(topic, hear), name=f"userline-bus-listen-{topic}")
                for topic, hear in self._ears.items()
            ),
            asyncio.create_task(self._publish_waiting(), name="userline-bus-publish"),
        ]
        try:
            async with asyncio.timeout(START_PATIENCE_SECONDS):
                await self._joined.wait()
        except TimeoutError:
            self._on_lost()  # the log says why, when it is known

    async def emptied(self) -> None:
        """Return when nothing waits to be published."""
        await self._idle.wait()

    async def stop(self) -> None:
        """Publish what waits, if that is possible within two seconds, stop listening and disconnect.

        The log says of how many users the others are not told.
        """
        if not self._tasks:
            return
        try:
            async with asyncio.timeout(STOP_PATIENCE_SECONDS):
                await self.emptied()
        except TimeoutError:
            logger.warning(
                "Stopping with unpublished changes of %d users: the bus did not accept them in time. The other "
                "gateways read watched users again within USERLINE_REREAD_SECONDS.",
                self.waiting,
            )
        await tasks.end(self._tasks)
        self._tasks = []
        self._joined.clear()
        await self._broadcast.disconnect()

    def publish(self, change: Told) -> None:
        """Tell every gateway of a change, or of what was found of a user, as soon as possible."""
        self._idle.clear()
        self._outbox.put(change)

    def lost(self) -> None:
        """Take note that messages may be missed. For the backend."""
        self._joined.clear()
        self.gaps += 1
        self._on_lost()

    def joined(self) -> None:
        """Take note that messages are heard. For the backend."""
        self._joined.set()
        self._on_joined()

    async def _listen(self, topic: str, hear: Callable[[object], None]) -> None:
        async with self._broadcast.subscribe(self.channel_of(topic)) as subscriber:
            while True:
                message: bytes | str = (await subscriber.get()).message
                if not self.sent.has(message) and topic == CHANGES:
                    self.changes_of_others += 1
                try:
                    hear(decode_message(self._app_id, message))
                except BusMessageError as error:
                    self._drop(error)
                except ForeignMessageError as error:
                    self._drop_foreign(error)
                except Exception:
                    logger.exception("Processing a message from the bus failed.")

    def _deliver(self, changes: object) -> None:
        if not isinstance(changes, list):
            raise BusMessageError("The changes are not a list.")
        for change in changes:
            try:
                told = decode_change(change)
            except BusMessageError as error:
                self._drop(error)
                continue
            self.heard += 1
            try:
                self._tell(told, is_whole=is_whole_snapshot(change["user"]))
            except Exception:
                logger.exception("Processing a change from the bus failed.")

    def _tell(self, told: Told, *, is_whole: bool) -> None:
        snapshot = told.snapshot if isinstance(told, Found) else told
        if isinstance(snapshot, Deletion) or (is_whole and snapshot is told):
            self._hear(snapshot)
        else:
            (self._hear_found if is_whole else self._hear_in_part)(snapshot)

    def _drop(self, error: BusMessageError) -> None:
        self.nonsense += 1
        logger.warning("Dropped a message on the bus that is not valid: %s", error)

    def _drop_foreign(self, error: ForeignMessageError) -> None:
        self.foreign += 1
        if self.foreign == 1:
            logger.warning(
                "Dropped a message of another app (%.100r) on a channel of this app. Further ones are counted and not "
                "logged. Give each deployment on one bus its own app id or USERLINE_BUS_PREFIX.",
                str(error),
            )

    async def _until_joined(self, seconds: float) -> None:
        """Return after so many seconds, or when the bus is joined again."""
        if self._joined.is_set():
            await asyncio.sleep(seconds)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._joined.wait()

    async def _publish_waiting(self) -> None:
        backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS)
        channel = self.channel_of(CHANGES)
        while True:
            if not self._outbox:
                self._idle.set()
            changes = await self._outbox.next_batch(MOST_CHANGES_A_MESSAGE)
            message, left = message_of(self._app_id, changes)
            if left:
                changes = changes[: -len(left)]
                self._outbox.put_back(left)
            self._under_way = changes
            self.sent.add(message)
            try:
                await self._broadcast.publish(channel, message)
            except Exception as error:  # noqa: BLE001 - whatever it is, the changes are sent when the bus is back
                if backoff.pauses == 1 and self.connected:  # else it is told that the bus is away
                    logger.warning(
                        "Changes cannot be published (%s). They wait until the bus is back.", self.explain(error).text
                    )
                self.publish_failures += 1
                self._outbox.put_back(changes)
                self._under_way = []
                await self._until_joined(backoff.next())
            else:
                backoff.reset()
                self.published += len(changes)
                self._under_way = []
