"""What is watched: one watch for each user, however many subscriptions there are to it, and gets."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from userline_client.clock import Expiry, Timers
from userline_client.errors import ConnectionTimeout, RateLimited, StoreUnavailable, UserlineError
from userline_client.placing import Carriers
from userline_client.state import Remembered
from userline_client.states import Failed, Unsubscribed
from userline_client.subscription import OnlineSubscription, UserSubscription
from userline_client.watch import OnlineWatch, UserWatch, Watch

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from userline_client.backoff import Backoff
    from userline_client.clock import Clock
    from userline_client.connection import Connection, Listener
    from userline_client.snapshot import Snapshots, UserOnline, UserSnapshot
    from userline_client.state import UserState
    from userline_client.subscription import Subscription
    from userline_client.watch import Batch

LINGER_SECONDS: Final = 30.0
"""How long a user stays watched after the last use."""
MAX_LINGERING: Final = 2_000
"""How many users may be watched although nobody uses them now."""


class Watches:
    """The watches of a session, by user id."""

    def __init__(  # noqa: PLR0913, PLR0917 - what it is given
        self,
        connect: Callable[[Listener], Connection],
        on_fatal: Callable[[UserlineError], None],
        snapshots: Snapshots,
        clock: Clock,
        backoff: Backoff,
        timeout: float,
    ) -> None:
        self._snapshots = snapshots
        self._clock = clock
        self._backoff = backoff
        self._timeout = timeout
        self._by_key: dict[object, Watch] = {}
        self._remembered = Remembered()
        self._lingering: Expiry[Watch] = Expiry(clock, LINGER_SECONDS, self._let_go)
        self._pending: Expiry[Subscription[Any]] = Expiry(clock, timeout, self._give_up)
        self._watch_of: dict[Subscription[Any], Watch] = {}
        self._resting = Timers(clock)
        self.carriers: Carriers = Carriers(connect, self, self._fail, on_fatal)

    def subscribe(self, user_id: str, on_snapshot: Callable[[UserSnapshot | None], None] | None) -> UserSubscription:
        """Add a subscription. It is ``pending`` at first, also if the user is watched already."""
        subscription = UserSubscription(on_snapshot, self.remove)
        self.add(user_id, subscription)
        return subscription

    def add(self, user_id: str, subscription: UserSubscription) -> None:
        """Add a subscription that was made elsewhere."""
        self._hold(self._use(user_id), subscription)

    def remove(self, subscription: Subscription[Any]) -> None:
        """End a subscription."""
        self._pending.discard(subscription)
        watch = self._watch_of.pop(subscription, None)
        if watch is not None:
            watch.subscriptions.remove(subscription)
            self._note_use(watch, was_held=True)

    def subscribe_online(self, user_id: str, on_snapshot: Callable[[UserOnline], None] | None) -> OnlineSubscription:
        """Add a subscription to whether a user is connected."""
        subscription = OnlineSubscription(on_snapshot, self.remove)
        watch = self._by_key.get(("online", user_id)) or self._add(OnlineWatch(user_id))
        self._want(watch)
        self._hold(watch, subscription)
        return subscription

    async def get(self, user_id: str, in_time: Callable[[Awaitable[None]], Awaitable[None]]) -> UserSnapshot | None:
        """Return a user as it is, when that is known."""
        watch = self._use(user_id)
        if not watch.is_fresh:
            self._wait(watch, 1)
            try:
                await in_time(watch.arrival)
            except ConnectionTimeout as error:
                raise watch.problem or error from None
            finally:
                self._wait(watch, -1)
        elif not watch.is_held:
            self._linger(watch)
            if watch.carrier is not None:
                watch.carrier.connection.note_use()
        return watch.state.snapshot

    def state_of(self, user_id: str) -> UserState:
        """Return what is known of a user, for writes to add to."""
        watch = self._by_key.get(user_id)
        return watch.state if isinstance(watch, UserWatch) else self._remembered.state_of(user_id)

    def written(self, user_id: str, *, is_doubtful: bool) -> None:
        """Show what a write has changed in ``state_of`` a user, and let those wait who read if that is doubtful."""
        watch = self._by_key.get(user_id)
        if watch is None:
            return
        if watch.is_known:
            self._shown(watch)
            watch.show()
        if is_doubtful and watch.batch is not None:
            self._ask_again(watch)

    def fail_all(self, error: UserlineError) -> None:
        """End all subscriptions with an error."""
        for watch in list(self._by_key.values()):
            self._fail(watch, error)

    def close(self, error: UserlineError) -> None:
        """End all subscriptions, as by ``unsubscribe()``; ``error`` goes to those who wait for the first snapshot."""
        for watch in list(self._by_key.values()):
            self._end(watch, Unsubscribed(), error)
        self._lingering.stop()
        self._pending.stop()
        self._resting.stop()

    # What batches and carriers say

    def take(self, watch: Watch, told: Any) -> None:
        """Take what an event says of a user."""
        if watch.hear(told, self._snapshots):
            self._ask_again(watch)
        else:
            self._shown(watch)
            watch.freshen()

    def take_refusal(self, watch: Watch, error: UserlineError) -> None:
        """Take that one user cannot be watched, or not now."""
        self._release(watch)
        self._take_error([watch], error)

    def batch_failed(self, batch: Batch, error: UserlineError | None) -> None:
        """Take that the gateway has ended an operation."""
        self._take_error(batch.carrier.release(batch), error)

    def sent(self, watch: Watch) -> None:
        """Give the gateway its time to answer."""
        self._expect(watch)

    def lost(self, watch: Watch) -> None:
        """Wait as long as it takes, if the gateway is not to blame."""
        if watch.problem is None:
            self._shown(watch)

    def refused(self, watch: Watch, refusal: UserlineError) -> None:
        """Note why the gateway has no socket for it."""
        watch.problem = refusal
        self._expect(watch)

    def forget(self, watch: Watch) -> None:
        """Watch a user no more."""
        if self._by_key.get(watch.key) is watch:
            del self._by_key[watch.key]
            if isinstance(watch, UserWatch) and watch.is_known:
                self._remembered.keep(watch.user_id, watch.state)
        self._lingering.discard(watch)
        self._shown(watch)
        self.carriers.discard(watch)

    # Who uses a watch

    def _use(self, user_id: str) -> UserWatch:
        watch = self._by_key.get(user_id)
        if not isinstance(watch, UserWatch):
            watch = UserWatch(user_id, self._remembered.take(user_id))
            self._add(watch)
        self._want(watch)
        return watch

    def _add(self, watch: Watch) -> Watch:
        self._by_key[watch.key] = watch
        self.carriers.queue(watch)
        return watch

    def _want(self, watch: Watch) -> None:
        self._lingering.discard(watch)
        if not watch.is_wanted:
            watch.is_wanted = True
            if watch.batch is not None:
                watch.batch.wanted += 1

    def _hold(self, watch: Watch, subscription: Subscription[Any]) -> None:
        was_held = watch.is_held
        watch.subscriptions.append(subscription)
        self._watch_of[subscription] = watch
        self._note_use(watch, was_held=was_held)
        if watch.is_fresh:
            asyncio.get_running_loop().call_soon(self._catch_up, watch, subscription)
        elif watch.batch is not None or watch.problem is not None:
            self._pending.add(subscription)

    def _wait(self, watch: Watch, difference: int) -> None:
        was_held = watch.is_held
        watch.waiting += difference
        self._note_use(watch, was_held=was_held)

    def _note_use(self, watch: Watch, *, was_held: bool) -> None:
        if watch.is_held == was_held or self._by_key.get(watch.key) is not watch:
            return
        if watch.carrier is not None:
            watch.carrier.note_use(watch)
        if not watch.is_held:
            self._linger(watch)

    def _linger(self, watch: Watch) -> None:
        self._lingering.add(watch)
        if len(self._lingering) > MAX_LINGERING:
            oldest = self._lingering.oldest()
            self._lingering.discard(oldest)
            self._let_go(oldest)

    def _let_go(self, watch: Watch) -> None:
        """Want a watch no more. As long as its batch goes on, it is kept up to date, and can be wanted again."""
        if watch.batch is None:
            self.forget(watch)
        else:
            watch.is_wanted = False
            watch.batch.wanted -= 1
            self.carriers.review_later(watch.batch)

    def _catch_up(self, watch: Watch, subscription: Subscription[Any]) -> None:
        if watch.is_fresh:
            subscription.show(watch.snapshot)

    # What becomes of a watch

    def _ask_again(self, watch: Watch) -> None:
        self._release(watch)
        if watch.is_wanted:
            self.carriers.queue(watch)
        else:
            self.forget(watch)

    def _release(self, watch: Watch) -> None:
        if watch.batch is not None:
            self.carriers.review_later(watch.batch)
            watch.batch.release(watch)

    def _take_error(self, watches: list[Watch], error: UserlineError | None) -> None:
        if error is not None and not isinstance(error, StoreUnavailable | RateLimited):
            for watch in watches:
                self._fail(watch, error)
            return
        held = [watch for watch in watches if watch.is_held]
        for watch in watches:
            if not watch.is_held:
                self.forget(watch)
        for watch in held:
            watch.failures += 1
            watch.problem = error or watch.problem
            self._expect(watch)
        if held:
            seconds = self._backoff.after(error, max(watch.failures for watch in held))
            self._resting.call_later(seconds, lambda: self._begin_again(held))

    def _begin_again(self, watches: Iterable[Watch]) -> None:
        for watch in watches:
            if self._by_key.get(watch.key) is watch and watch.is_held:
                self.carriers.queue(watch)
            elif self._by_key.get(watch.key) is watch:
                self.forget(watch)

    def _expect(self, watch: Watch) -> None:
        for subscription in watch.subscriptions:
            if subscription.is_pending and subscription not in self._pending:
                self._pending.add(subscription)

    def _shown(self, watch: Watch) -> None:
        if len(self._pending):
            for subscription in watch.subscriptions:
                self._pending.discard(subscription)

    def _give_up(self, subscription: Subscription[Any]) -> None:
        """End a subscription that the gateway has had time enough to answer."""
        problem = self._watch_of[subscription].problem
        error = problem or ConnectionTimeout(f"The gateway has not sent the user for {self._timeout:g} s.")
        subscription.end(Failed(error), error)
        self.remove(subscription)

    def _fail(self, watch: Watch, error: UserlineError) -> None:
        self._end(watch, Failed(error), error)

    def _end(self, watch: Watch, state: Failed | Unsubscribed, error: UserlineError) -> None:
        self.forget(watch)
        watch.reject(error)
        subscriptions, watch.subscriptions = watch.subscriptions, []
        for subscription in subscriptions:
            del self._watch_of[subscription]
            subscription.end(state, error)
