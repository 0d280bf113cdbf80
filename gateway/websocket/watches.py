"""The users that one socket watches by slots: subscriptions that have a plan, without a task for any of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from userline.directory.users import distinct_ids
from userline.execution.errors import format_refusal, mask
from userline.gateway.websocket.deliveries import MemberSlot, Slot
from userline.users.errors import BadUserInput, RateLimited, UserlineError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from userline.execution.errors import FormattedError
    from userline.execution.plans.planned import PlannedSubscription
    from userline.gateway.websocket.deliveries import Deliveries
    from userline.resolvers.context import Context
    from userline.server.direct import DirectSocket
    from userline.users.viewer import Viewer


class Watch:
    """What one operation watches: a slot for each user."""

    __slots__ = ("_context", "_leave", "_slots")

    def __init__(self, context: Context, slots: Sequence[Slot], leave: Callable[[], None]) -> None:
        self._context = context
        self._slots = slots
        self._leave = leave

    def begin(self) -> None:
        """Deliver what the slots have, now that all of them were offered what there is."""
        for slot in self._slots:
            slot.release()

    def __contains__(self, slot: Slot) -> bool:
        return slot in self._slots

    def end(self) -> None:
        """Deliver nothing more."""
        context = self._context
        context.users.detach_many([slot.user_id for slot in self._slots], self._slots, context.allowance)
        self._leave()
        for slot in self._slots:
            slot.close()


class SocketWatches:
    """What one socket watches, by the ids of its operations."""

    __slots__ = ("_enter", "_fail", "_watches", "deliveries", "socket", "waiting")

    def __init__(
        self,
        socket: DirectSocket,
        deliveries: Deliveries,
        fail: Callable[[str, list[FormattedError]], None],
        enter: Callable[[Viewer], Callable[[], None]],
    ) -> None:
        self.socket = socket
        self.deliveries = deliveries
        self.waiting: list[Slot] = []
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
        begin = self._watch_many if subscription.bound.step.is_of_many else self._watch
        try:
            watch, loading = begin(subscription, prefix)
        except (BadUserInput, RateLimited):
            return False
        self._watches[operation_id] = watch
        if loading is not None:
            loading.add_done_callback(partial(self._loaded, operation_id, watch, subscription.context.request_id))
        else:
            watch.begin()
        return True

    def stop(self, operation_id: str) -> bool:
        """End a watch, and return whether there was one."""
        watch = self._watches.pop(operation_id, None)
        if watch is None:
            return False
        watch.end()
        return True

    def refuse(self, slot: Slot, error: UserlineError) -> None:
        """End the watch of a slot whose event cannot be sent, and tell the client why."""
        for operation_id, watch in self._watches.items():
            if slot in watch:
                self.stop(operation_id)
                self._fail(operation_id, [format_refusal(error)])
                return

    def close(self) -> None:
        """End all watches."""
        self.socket.on_writable = None
        self.waiting.clear()
        for operation_id in list(self._watches):
            self.stop(operation_id)

    def _watch(self, subscription: PlannedSubscription, prefix: bytes) -> tuple[Watch, asyncio.Future[Any] | None]:
        """Watch one user. Raises BadUserInput."""
        bound, context = subscription.bound, subscription.context
        slot = Slot(self, bound.argument, bound.step, prefix)
        loading = context.users.attach(slot.user_id, slot)
        return Watch(context, [slot], self._enter(context.viewer)), loading

    def _watch_many(self, subscription: PlannedSubscription, prefix: bytes) -> tuple[Watch, asyncio.Future[Any] | None]:
        """Watch several users. Raises BadUserInput and RateLimited."""
        bound, context = subscription.bound, subscription.context
        user_ids = distinct_ids(bound.argument)
        slots = [MemberSlot(self, user_id, bound.step, prefix) for user_id in user_ids]
        loading = context.users.attach_many(user_ids, slots, context.allowance)
        return Watch(context, slots, self._enter(context.viewer)), loading

    def _loaded(self, operation_id: str, watch: Watch, request_id: str, loading: asyncio.Future[Any]) -> None:
        """The store has answered: the hub has offered the slots what there is, unless it failed."""
        error = None if loading.cancelled() else loading.exception()
        if self._watches.get(operation_id) is not watch:
            return
        if error is None:
            watch.begin()
            return
        self.stop(operation_id)
        told = format_refusal(error) if isinstance(error, UserlineError) else mask(error, request_id)
        self._fail(operation_id, [told])

    def _go_on(self) -> None:
        waiting, self.waiting = self.waiting, []
        for slot in waiting:
            self.deliveries.add(slot)
