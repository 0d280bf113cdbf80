"""Subscriptions: the public objects that ``subscribe`` returns."""

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
    """A result that comes once. It can be awaited any number of times; if nobody awaits an error, nothing is logged."""

    def __init__(self) -> None:
        self._future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._future.add_done_callback(lambda future: future.cancelled() or future.exception())

    def __await__(self) -> Generator[object, None, T]:
        """Wait for the result. If this wait is cancelled, others go on waiting."""
        return (yield from asyncio.shield(self._future).__await__())

    def done(self) -> bool:
        """Whether the result is there, or an error instead."""
        return self._future.done()

    def resolve(self, value: T) -> None:
        """Set the result, unless it is there (called by the session)."""
        if not self._future.done():
            self._future.set_result(value)

    def reject(self, error: UserlineError) -> None:
        """Set an error instead of the result, unless it is there (called by the session)."""
        if not self._future.done():
            self._future.set_exception(error)


class Subscription(Generic[T]):
    """A subscription. Its state is ``pending``, then ``active``, and at the end ``unsubscribed`` or ``error``.

    ``async with`` unsubscribes at its end. ``async for`` gives the current snapshot, and then the snapshot after each
    change. If the loop is slow it may miss snapshots in between, but never the last one. The loop ends when the
    subscription is unsubscribed, and raises the error if the subscription ends with one.
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
        """The current state: ``Pending``, ``Active``, ``Unsubscribed`` or ``Failed``."""
        return self._state

    @property
    def latest_snapshot(self) -> T | None:
        """The latest snapshot. ``None`` while the state is ``pending``, and if there is no such user."""
        return self._latest

    @property
    def connected(self) -> Outcome[Active[T]]:
        """Await it for the first ``Active`` state.

        If the subscription ends before that, it raises the error, or ``SubscriptionEnded`` after ``unsubscribe()``.
        """
        return self._connected

    @property
    def terminated(self) -> Outcome[Unsubscribed | Failed]:
        """Await it for the last state, ``Unsubscribed`` or ``Failed``. It raises no error."""
        return self._terminated

    def unsubscribe(self) -> None:
        """End the subscription. If it has ended already, nothing happens."""
        if self.is_over:
            return
        self.end(Unsubscribed(), SubscriptionEnded("The subscription was ended before it was connected."))
        self._on_unsubscribe(self)

    @property
    def is_over(self) -> bool:
        """Whether the subscription has ended: the state is ``Unsubscribed`` or ``Failed``."""
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
        """Whether the state is ``Pending``."""
        return isinstance(self._state, Pending)

    def show(self, snapshot: T) -> None:
        """Show a snapshot (called by the session)."""
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
        """Set the last state (called by the session)."""
        if self.is_over:
            return
        self._state = state
        self._connected.reject(error)
        self._terminated.resolve(state)
        self._wake()

    async def next_after(self, revision: int) -> tuple[int, T]:
        """Wait for a newer snapshot than that of a revision. Return the new revision and the snapshot.

        Raises ``StopAsyncIteration`` after ``unsubscribe()``, and the error if the subscription has ended with one.
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
    """A subscription to a user. A snapshot is ``None`` if there is no such user. ``UserRef.subscribe`` returns it."""


class UsersSubscription(Subscription[Mapping[str, UserSnapshot | None]]):
    """A subscription to many users. A snapshot is a read-only mapping by id. ``UserRefs.subscribe`` returns it."""


class OnlineSubscription(Subscription[UserOnline]):
    """A subscription to a user and whether it is connected. ``UserRef.subscribe_online`` returns it."""


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
            if not before or snapshot != self._last:  # after a change that was missed, it may look as before
                self._last = snapshot
                return snapshot
