"""The subscriptions of one socket that have a plan: users watched by slots, without a task."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from userline.directory.ids import distinct_ids
from userline.execution.plans.subscriptions import WatchStep
from userline.gateway.websocket.deliveries import GroupSlot, Slot
from userline.users.errors import BadUserInput, RateLimited

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from userline.execution.errors import FormattedError
    from userline.execution.plans.planned import PlannedSubscription
    from userline.execution.plans.subscriptions import BoundSubscription
    from userline.gateway.websocket.deliveries import AnySlot, Deliveries
    from userline.resolvers.context import Context
    from userline.server.direct import DirectSocket
    from userline.users.errors import UserlineError
    from userline.users.viewer import Viewer


class Failing(Protocol):
    """Tells the client that an operation cannot begin, or cannot continue."""

    def __call__(self, operation_id: str, errors: list[FormattedError], *, has_begun: bool) -> None:
        """Tell it."""


class Watch:
    """The watching of one operation."""

    __slots__ = ("_context", "_leave", "slot")

    def __init__(self, context: Context, slot: AnySlot, leave: Callable[[], None]) -> None:
        self.slot = slot
        self._context = context
        self._leave = leave

    def end(self) -> None:
        """Deliver nothing more."""
        self.slot.detach(self._context)
        self._leave()

    def failure(self, error: BaseException) -> list[FormattedError]:
        """Return the errors of the operation if this keeps it from going on."""
        return [self.slot.step.place.failure(error, self._context.request_id)]


class SocketWatches:
    """The watches of one socket, by the ids of its operations."""

    __slots__ = ("_enter", "_fail", "_watches", "deliveries", "socket", "waiting")

    def __init__(
        self,
        socket: DirectSocket,
        deliveries: Deliveries,
        fail: Failing,
        enter: Callable[[Viewer], Callable[[], None]],
    ) -> None:
        self.socket = socket
        self.deliveries = deliveries
        self.waiting: list[AnySlot] = []
        """Slots that are to be emptied when the client has read what was sent to it."""
        self._fail = fail
        self._enter = enter
        self._watches: dict[str, Watch] = {}
        socket.on_writable = self._go_on

    def __len__(self) -> int:
        return len(self._watches)

    def __contains__(self, operation_id: str) -> bool:
        return operation_id in self._watches

    def start(self, operation_id: str, subscription: PlannedSubscription, prefix: bytes) -> bool:
        """Begin to watch, and return whether that is possible. ``prefix`` begins each message to the client."""
        context = subscription.context
        try:
            slot = self._slot(subscription.bound, prefix)
            loading = slot.attach(context)
        except (BadUserInput, RateLimited):
            return False
        watch = self._watches[operation_id] = Watch(context, slot, self._enter(context.viewer))
        if loading is not None:
            loading.add_done_callback(partial(self._loaded, operation_id, watch))
        else:
            slot.release()
        return True

    def stop(self, operation_id: str) -> bool:
        """End a watch, and return whether there was one."""
        watch = self._watches.pop(operation_id, None)
        if watch is None:
            return False
        watch.end()
        return True

    def refuse(self, slot: AnySlot, error: UserlineError) -> None:
        """End the watch of a slot whose event cannot be sent, and tell the client why."""
        for operation_id, watch in self._watches.items():
            if watch.slot is slot:
                self.stop(operation_id)
                self._fail(operation_id, watch.failure(error), has_begun=slot.has_begun)
                return

    def close(self) -> None:
        """End all watches."""
        self.socket.on_writable = None
        self.waiting.clear()
        for operation_id in list(self._watches):
            self.stop(operation_id)

    def _slot(self, bound: BoundSubscription, prefix: bytes) -> AnySlot:
        """Return what holds the snapshots of who is to be watched. Raises BadUserInput."""
        if isinstance(bound.step, WatchStep):
            return Slot(self, bound.argument, bound.step, prefix)
        return GroupSlot(self, distinct_ids(bound.argument), bound.step, prefix)

    def _loaded(self, operation_id: str, watch: Watch, loading: asyncio.Future[Any]) -> None:
        """The store has answered: the hub has offered the slots what there is, unless it failed."""
        error = None if loading.cancelled() else loading.exception()
        if self._watches.get(operation_id) is not watch:
            return
        if error is None:
            watch.slot.release()
            return
        self.stop(operation_id)
        self._fail(operation_id, watch.failure(error), has_begun=False)

    def _go_on(self) -> None:
        waiting, self.waiting = self.waiting, []
        for slot in waiting:
            self.deliveries.add(slot)
