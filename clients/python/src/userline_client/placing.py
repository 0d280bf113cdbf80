"""Which socket carries which watches."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from userline_client.carrier import Carrier
from userline_client.errors import TooManyWatches, UserlineError

if TYPE_CHECKING:
    from collections.abc import Callable

    from userline_client.carrier import WatchOwner
    from userline_client.connection import Connection, Listener
    from userline_client.link import Limits
    from userline_client.watch import Batch, Watch

MAX_SOCKETS: Final = 32
"""How many sockets a session may have."""


class Carriers:
    """The sockets of a session: one, and more when that is full.

    Watches that are queued in a turn of the event loop are given to carriers at its end, together.
    """

    def __init__(
        self,
        connect: Callable[[Listener], Connection],
        owner: WatchOwner,
        refuse: Callable[[Watch, UserlineError], None],
        on_fatal: Callable[[UserlineError], None],
    ) -> None:
        self._connect = connect
        self._owner = owner
        self._refuse = refuse
        self._on_fatal = on_fatal
        self._queue: dict[Watch, None] = {}
        self._to_review: dict[Batch, None] = {}
        self._is_scheduled = False
        self.known_limits: Limits | None = None
        """What the gateway has said last that a socket may do."""
        self._carriers = [Carrier(connect, self, owner)]

    @property
    def main(self) -> Connection:
        """The connection that requests travel over."""
        return self._carriers[0].connection

    def use_token(self) -> None:
        """Show the token that was just set over every socket."""
        for carrier in self._carriers:
            carrier.connection.use_token()

    def queue(self, watch: Watch) -> None:
        """Let a watch begin at the end of this turn."""
        self._queue[watch] = None
        self._schedule()

    def discard(self, watch: Watch) -> None:
        """Carry a watch no more."""
        self._queue.pop(watch, None)
        if watch.carrier is not None:
            watch.carrier.remove(watch)

    def review_later(self, batch: Batch) -> None:
        """Look at the end of this turn whether a batch is worth what it costs."""
        self._to_review[batch] = None
        self._schedule()

    def opened(self, carrier: Carrier) -> None:
        """Begin what has waited for this socket."""
        self.known_limits = carrier.connection.limits
        carrier.begin()
        self._place()

    def fatal(self, carrier: Carrier, error: UserlineError) -> None:
        """End everything, over all sockets."""
        for other in self._carriers:
            if other is not carrier:
                other.connection.abandon(error)
        self._on_fatal(error)

    async def close(self, error: UserlineError) -> None:
        """Close all sockets."""
        await asyncio.gather(*(carrier.connection.close(error) for carrier in self._carriers))

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._place)

    def _place(self) -> None:
        self._is_scheduled = False
        batches, self._to_review = self._to_review, {}
        for batch in batches:
            batch.carrier.review(batch)
        while self._queue:
            while self._queue:  # to make room, others are queued again
                queue, self._queue = self._queue, {}
                for watch in queue:
                    try:
                        self._with_room(watch).add(watch)
                    except TooManyWatches as error:
                        self._refuse(watch, error)
            for carrier in list(self._carriers):
                carrier.begin()

    def _with_room(self, watch: Watch) -> Carrier:
        for carrier in self._carriers:
            if carrier.has_room_for(watch):
                return carrier
        if sum(carrier.reclaim() for carrier in self._carriers):
            return self._with_room(watch)
        if len(self._carriers) == MAX_SOCKETS:
            raise TooManyWatches(f"More users are watched than {MAX_SOCKETS} sockets may carry.")
        self._carriers.append(Carrier(self._connect, self, self._owner))
        return self._carriers[-1]
