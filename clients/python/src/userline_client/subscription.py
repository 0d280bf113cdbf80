"""A subscription, as whoever asked for it sees it."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from userline_client.errors import InvalidInput, SubscriptionEnded, UserlineError
from userline_client.snapshot import UserOnline, UserSnapshot
from userline_client.states import Active, Failed, Pending, Unsubscribed

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from types import TracebackType

    from userline_client.states import StateOf

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


class Subscription(Generic[T]):
    """Shows something live: ``pending`` → ``active`` → ``unsubscribed`` or ``error``.

    ``async with`` unsubscribes at its end; ``async for`` gives the current snapshot, and then each that follows. A
    reader who is slow misses some in between, never the last one.
    """

    def __init__(
        self, on_snapshot: Callable[[T], None] | None, on_unsubscribe: Callable[[Subscription[Any]], None]
    ) -> None:
        if inspect.iscoroutinefunction(on_snapshot):
            raise InvalidInput(
                "on_snapshot must be a plain function, not a coroutine function. Use `async for` instead."
            )
        self._on_snapshot = on_snapshot
        self._on_unsubscribe = on_unsubscribe
        self._state: StateOf[T] = Pending()
        self._revision = 0
        self._changed = asyncio.Event()
        self._latest: T | None = None
        self._connected: Outcome[Active[T]] = Outcome()
        self._terminated: Outcome[Unsubscribed | Failed] = Outcome()

    @property
    def state(self) -> StateOf[T]:
        """What the subscription is now."""
        return self._state

    @property
    def latest_snapshot(self) -> T | None:
        """The latest snapshot; ``None`` as long as the state is ``pending``, and if there is no such user."""
        return self._latest

    @property
    def connected(self) -> Outcome[Active[T]]:
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

    def __aiter__(self) -> SnapshotIterator[T]:
        return SnapshotIterator(self)

    @property
    def is_pending(self) -> bool:
        """Whether there is no first snapshot yet."""
        return isinstance(self._state, Pending)

    def show(self, snapshot: T) -> None:
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

    async def next_after(self, revision: int) -> tuple[int, T]:
        """Wait for a snapshot later than that of a revision.

        Raises ``StopAsyncIteration`` when there will be none, and the error if that is the reason.
        """
        while self._revision <= revision:
            if isinstance(self._state, Failed):
                raise self._state.error
            if isinstance(self._state, Unsubscribed):
                raise StopAsyncIteration
            await self._changed.wait()
        return self._revision, cast("T", self._latest)

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


class UserSubscription(Subscription[UserSnapshot | None]):
    """Shows a user live; a snapshot is ``None`` if there is no such user. Made by ``UserRef.subscribe``."""


class UsersSubscription(Subscription[Mapping[str, UserSnapshot | None]]):
    """Shows many users live, as a read-only mapping by id. Made by ``UserRefs.subscribe``."""


class OnlineSubscription(Subscription[UserOnline]):
    """Shows a user live, and whether it is connected. Made by ``UserRef.subscribe_online``."""


class SnapshotIterator(Generic[T]):
    """The snapshots of a subscription, for ``async for``."""

    def __init__(self, subscription: Subscription[T]) -> None:
        self._subscription = subscription
        self._revision = 0
        self._last: T | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while True:
            before = self._revision
            self._revision, snapshot = await self._subscription.next_after(before)
            if not before or snapshot != self._last:  # of what was missed, something may have come back to what it was
                self._last = snapshot
                return snapshot
