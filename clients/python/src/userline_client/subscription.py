"""A subscription to one user, as whoever asked for it sees it."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from userline_client.errors import SubscriptionEnded, UserlineError
from userline_client.states import Active, Failed, Pending, Unsubscribed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import TracebackType

    from userline_client.snapshot import UserSnapshot
    from userline_client.states import SubscriptionState

logger: logging.Logger = logging.getLogger("userline_client")

T = TypeVar("T")


class Outcome(Generic[T]):
    """Something that will be known once: await it as often as you like, or never."""

    def __init__(self) -> None:
        self._future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._future.add_done_callback(lambda future: future.cancelled() or future.exception())

    def __await__(self) -> Generator[object, None, T]:
        """Wait for it. Being cancelled while waiting changes nothing for others."""
        return (yield from asyncio.shield(self._future).__await__())

    def done(self) -> bool:
        """Whether it is known."""
        return self._future.done()

    def resolve(self, value: T) -> None:
        """Make it known, unless it is."""
        if not self._future.done():
            self._future.set_result(value)

    def reject(self, error: UserlineError) -> None:
        """Make known that it will not come, unless it is known."""
        if not self._future.done():
            self._future.set_exception(error)


class UserSubscription:
    """Shows a user live: ``pending`` → ``active`` → ``unsubscribed`` or ``error``.

    Made by ``UserRef.subscribe``. ``async with`` unsubscribes at its end; ``async for`` gives the current snapshot, and
    then each that follows. A reader who is slow misses some in between, never the last one.
    """

    def __init__(
        self,
        on_snapshot: Callable[[UserSnapshot | None], None] | None,
        on_unsubscribe: Callable[[UserSubscription], None],
    ) -> None:
        self._on_snapshot = on_snapshot
        self._on_unsubscribe = on_unsubscribe
        self._state: SubscriptionState = Pending()
        self._latest: UserSnapshot | None = None
        self._revision = 0
        self._changed = asyncio.Event()
        self._connected: Outcome[Active] = Outcome()
        self._terminated: Outcome[Unsubscribed | Failed] = Outcome()

    @property
    def state(self) -> SubscriptionState:
        """What the subscription is now."""
        return self._state

    @property
    def latest_snapshot(self) -> UserSnapshot | None:
        """The latest snapshot; ``None`` if there is no such user, and as long as the state is ``pending``."""
        return self._latest

    @property
    def connected(self) -> Outcome[Active]:
        """Await it for the first ``Active`` state. Raises what ended the subscription, if it ends before that."""
        return self._connected

    @property
    def terminated(self) -> Outcome[Unsubscribed | Failed]:
        """Await it for the last state. It raises nothing."""
        return self._terminated

    def unsubscribe(self) -> None:
        """End the subscription; nothing happens if it has ended."""
        if self.is_over:
            return
        self.end(Unsubscribed(), SubscriptionEnded("The subscription was ended before it was connected."))
        self._on_unsubscribe(self)

    @property
    def is_over(self) -> bool:
        """Whether the state is one of the last two."""
        return isinstance(self._state, Unsubscribed | Failed)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.unsubscribe()

    def __aiter__(self) -> SnapshotIterator:
        return SnapshotIterator(self)

    def show(self, snapshot: UserSnapshot | None) -> None:
        """Take a snapshot (called by the session)."""
        if self.is_over or (isinstance(self._state, Active) and snapshot == self._latest):
            return
        self._latest = snapshot
        self._state = Active(snapshot)
        self._revision += 1
        self._connected.resolve(self._state)
        self._wake()
        if self._on_snapshot is not None:
            try:
                self._on_snapshot(snapshot)
            except Exception:
                logger.exception("on_snapshot has raised")

    def end(self, state: Unsubscribed | Failed, error: UserlineError) -> None:
        """Go to a last state (called by the session)."""
        if self.is_over:
            return
        self._state = state
        self._connected.reject(error)
        self._terminated.resolve(state)
        self._wake()

    async def next_after(self, revision: int) -> tuple[int, UserSnapshot | None]:
        """Wait for a snapshot later than that of a revision.

        Raises ``StopAsyncIteration`` when there will be none, and the error if that is the reason.
        """
        while self._revision <= revision:
            if isinstance(self._state, Failed):
                raise self._state.error
            if isinstance(self._state, Unsubscribed):
                raise StopAsyncIteration
            await self._changed.wait()
        return self._revision, self._latest

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class SnapshotIterator:
    """The snapshots of a subscription, for ``async for``."""

    def __init__(self, subscription: UserSubscription) -> None:
        self._subscription = subscription
        self._revision = 0

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> UserSnapshot | None:
        self._revision, snapshot = await self._subscription.next_after(self._revision)
        return snapshot
