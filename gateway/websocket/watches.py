"""The users that one socket watches by slots: subscriptions that have a plan, without a task for any of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

from userline.execution.errors import format_refusal, mask
from userline.gateway.websocket.deliveries import Slot
from userline.users.errors import BadUserInput, UserlineError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from userline.execution.errors import FormattedError
    from userline.execution.plans.planned import PlannedSubscription
    from userline.gateway.websocket.deliveries import Deliveries
    from userline.resolvers.users import Users
    from userline.users.record import UserSnapshot

DIRECT: Final = "userline.direct"
"""Where the state of a socket's scope has its ``DirectSocket``, if there is one."""


class DirectSocket(Protocol):
    """A socket whose frames are written without an ASGI message."""

    on_writable: Callable[[], None] | None
    """Called when the socket can be written to again."""

    def is_writable(self) -> bool:
        """Whether a text would be sent now, neither thrown away nor added to what the client has not read."""

    def write_text(self, data: bytes) -> None:
        """Send a text frame."""


class SocketWatches:
    """The slots of one socket, by the ids of their operations."""

    def __init__(
        self,
        socket: DirectSocket,
        users: Users,
        deliveries: Deliveries,
        fail: Callable[[str, list[FormattedError]], None],
    ) -> None:
        self.socket = socket
        self.deliveries = deliveries
        self.waiting: list[Slot] = []
        """Slots that are to be emptied when the client has read what was sent to it."""
        self._users = users
        self._fail = fail
        self._slots: dict[str, Slot] = {}
        socket.on_writable = self._go_on

    def __len__(self) -> int:
        return len(self._slots)

    def __contains__(self, operation_id: str) -> bool:
        return operation_id in self._slots

    def start(self, operation_id: str, subscription: PlannedSubscription, prefix: bytes) -> bool:
        """Watch a user, and return whether that is possible. ``prefix`` begins each message to the client."""
        bound = subscription.bound
        slot = Slot(self, bound.user_id, bound.step, prefix)
        try:
            loading = self._users.attach(bound.user_id, slot)
        except BadUserInput:
            return False
        self._slots[operation_id] = slot
        if loading is not None:
            loading.add_done_callback(partial(self._loaded, operation_id, slot, subscription.context.request_id))
        return True

    def stop(self, operation_id: str) -> bool:
        """Stop to watch a user, and return whether one was watched."""
        slot = self._slots.pop(operation_id, None)
        if slot is None:
            return False
        self._users.detach(slot.user_id, slot)
        slot.close()
        return True

    def close(self) -> None:
        """Stop to watch all users."""
        self.socket.on_writable = None
        self.waiting.clear()
        for operation_id in list(self._slots):
            self.stop(operation_id)

    def _loaded(
        self, operation_id: str, slot: Slot, request_id: str, loading: asyncio.Future[UserSnapshot | None]
    ) -> None:
        """The store has answered: the hub has offered the slot what there is, unless it failed."""
        error = None if loading.cancelled() else loading.exception()
        if error is None or self._slots.get(operation_id) is not slot:
            return
        self.stop(operation_id)
        told = format_refusal(error) if isinstance(error, UserlineError) else mask(error, request_id)
        self._fail(operation_id, [told])

    def _go_on(self) -> None:
        waiting, self.waiting = self.waiting, []
        for slot in waiting:
            self.deliveries.add(slot)
