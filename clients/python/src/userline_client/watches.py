"""What is watched: one subscription on the wire for each user, however many subscriptions there are to it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from userline_client.cache import Known
from userline_client.documents import CHANGED, encode_operation
from userline_client.errors import ProtocolError, RateLimited, StoreUnavailable
from userline_client.operations import Operation
from userline_client.states import Failed, Unsubscribed
from userline_client.subscription import Outcome, UserSubscription

if TYPE_CHECKING:
    from collections.abc import Callable

    from userline_client.backoff import Backoff
    from userline_client.cache import Cache
    from userline_client.connection import Connection
    from userline_client.errors import UserlineError
    from userline_client.snapshot import Snapshots, UserSnapshot


class Watch(Operation):
    """The subscription on the wire to one user."""

    def __init__(self, user_id: str, watches: Watches) -> None:
        super().__init__(encode_operation(CHANGED, {"id": user_id}))
        self.user_id = user_id
        self.subscriptions: list[UserSubscription] = []
        self.known: Known | None = None
        """The latest snapshot that came."""
        self.is_fresh = False
        """Whether no change can have been missed since ``known``."""
        self.written: Known | None = None
        """What a write of this session has answered, as long as it is not certain that ``known`` is not older."""
        self.arrival: Outcome[None] = Outcome()
        """Done when ``known`` is fresh, or when that cannot be waited for."""
        self.retry: asyncio.TimerHandle | None = None
        self.failures = 0
        self._watches = watches

    def await_arrival(self) -> None:
        """Let those who read wait for the next event."""
        if self.arrival.done():
            self.arrival = Outcome()

    def on_data(self, data: dict[str, Any]) -> bool:
        """Show a snapshot to all subscriptions."""
        self._watches.take(self, data)
        return True

    def on_failure(self, error: UserlineError) -> None:
        """Try again in a while, if that may help."""
        if isinstance(error, StoreUnavailable | RateLimited):
            self._watches.retry_later(self)
        else:
            self._watches.fail(self, error)

    def on_complete(self) -> None:
        """Subscribe again: the gateway is being stopped."""
        self._watches.retry_later(self)


class Watches:
    """The watches of a session, by user id."""

    def __init__(self, connection: Connection, snapshots: Snapshots, cache: Cache, backoff: Backoff) -> None:
        self._connection = connection
        self._snapshots = snapshots
        self._cache = cache
        self._backoff = backoff
        self._by_id: dict[str, Watch] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def subscribe(self, user_id: str, on_snapshot: Callable[[UserSnapshot | None], None] | None) -> UserSubscription:
        """Add a subscription. It is ``pending`` at first, also if the user is watched already."""
        watch = self._by_id.get(user_id)
        subscription = UserSubscription(on_snapshot, lambda ended: self._remove(user_id, ended))
        if watch is None:
            watch = self._by_id[user_id] = Watch(user_id, self)
            watch.subscriptions.append(subscription)
            self._connection.start(watch)
        else:
            watch.subscriptions.append(subscription)
            asyncio.get_running_loop().call_soon(self._catch_up, watch, subscription)
        return subscription

    def get(self, user_id: str) -> Known | None:
        """Return what a watched user is now, if that is certain."""
        watch = self._by_id.get(user_id)
        return watch.known if watch is not None and watch.is_fresh and watch.written is None else None

    def arriving(self, user_id: str) -> Outcome[None] | None:
        """Return what to wait for if a watched user's snapshot is on its way; it raises what ends the watch."""
        watch = self._by_id.get(user_id)
        return None if watch is None or watch.arrival.done() else watch.arrival

    def is_doubted(self, user_id: str) -> bool:
        """Whether only the gateway knows what a watched user is now."""
        watch = self._by_id.get(user_id)
        return watch is not None and watch.written is not None

    def note_write(self, user_id: str, snapshot: UserSnapshot | None) -> bool:
        """Take what a write of this session has answered; return whether the user is watched.

        It is not shown to subscriptions: the watch may have shown a later state already. If it has not shown this one,
        reads ask the gateway until an event or an answer says the same as the other. (Not just until the next event,
        which may have been on its way before the write was done.)
        """
        watch = self._by_id.get(user_id)
        if watch is None or watch.known is None:
            return False
        watch.written = None if watch.known.snapshot == snapshot else Known(snapshot)
        return True

    def note_read(self, user_id: str, snapshot: UserSnapshot | None) -> None:
        """Take what a read has answered."""
        watch = self._by_id.get(user_id)
        if watch is not None and watch.known is not None and watch.known.snapshot == snapshot:
            watch.written = None

    def on_lost(self) -> None:
        """Note that changes may be missed from now on. The subscriptions stay as they are."""
        for watch in self._by_id.values():
            watch.is_fresh = False
            if watch.retry is None:
                watch.await_arrival()

    def take(self, watch: Watch, data: dict[str, Any]) -> None:
        """Take an event."""
        if "userChanged" not in data:
            raise ProtocolError("The gateway sent an event that is none.")
        snapshot = self._snapshots.read(data["userChanged"])
        watch.known = Known(snapshot)
        watch.is_fresh = True
        watch.failures = 0
        if watch.written == watch.known:
            watch.written = None
        self._cache.note_change(watch.user_id, watch.known if watch.written is None else None)
        watch.arrival.resolve(None)
        for subscription in tuple(watch.subscriptions):
            subscription.show(snapshot)

    def retry_later(self, watch: Watch) -> None:
        """Subscribe again after a while."""
        watch.is_fresh = False
        watch.arrival.resolve(None)
        watch.failures += 1
        seconds = self._backoff.seconds(watch.failures)
        watch.retry = asyncio.get_running_loop().call_later(seconds, self._retry, watch)

    def fail(self, watch: Watch, error: UserlineError) -> None:
        """End all subscriptions to a user with an error."""
        self._drop(watch, error)
        for subscription in tuple(watch.subscriptions):
            subscription.end(Failed(error), error)

    def fail_all(self, error: UserlineError) -> None:
        """End all subscriptions with an error."""
        for watch in list(self._by_id.values()):
            self.fail(watch, error)

    def close(self, error: UserlineError) -> None:
        """End all subscriptions, as by ``unsubscribe()``; ``error`` goes to those who wait for the first snapshot."""
        for watch in list(self._by_id.values()):
            self._drop(watch, error)
            for subscription in tuple(watch.subscriptions):
                subscription.end(Unsubscribed(), error)

    def _retry(self, watch: Watch) -> None:
        watch.retry = None
        watch.await_arrival()
        self._connection.start(watch)

    def _catch_up(self, watch: Watch, subscription: UserSubscription) -> None:
        if watch.is_fresh and watch.known is not None:
            subscription.show(watch.known.snapshot)

    def _remove(self, user_id: str, subscription: UserSubscription) -> None:
        watch = self._by_id.get(user_id)
        if watch is None or subscription not in watch.subscriptions:
            return
        watch.subscriptions.remove(subscription)
        if not watch.subscriptions:
            known = watch.known if watch.written is None else None
            self._drop(watch)
            if watch.is_fresh:
                self._cache.note_change(user_id, known)

    def _drop(self, watch: Watch, error: UserlineError | None = None) -> None:
        if error is not None:
            watch.arrival.reject(error)
        watch.arrival.resolve(None)
        if watch.retry is not None:
            watch.retry.cancel()
            watch.retry = None
        if self._by_id.get(watch.user_id) is watch:
            del self._by_id[watch.user_id]
        self._connection.stop(watch)
