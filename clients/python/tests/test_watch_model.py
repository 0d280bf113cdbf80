"""Watches under random use and weather, without a network: the books are right after each step, and all ends well.

A seed repeats a run exactly. The gateway is a model: it has versions, answers operations when it likes, refuses them,
loses sockets, and tells of limits that change.
"""

from __future__ import annotations

import asyncio
import json
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from clients.python.tests.clocks import ScriptedClock
from clients.python.tests.helpers import user

from userline_client import Active, Backoff, Failed, StoreUnavailable, Unsubscribed
from userline_client.errors import BadUserInput, SessionClosed, UserlineError
from userline_client.link import Limits
from userline_client.snapshot import Snapshots
from userline_client.watch import OnlineBatch, UserWatch
from userline_client.watches import Watches

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from userline_client.connection import Connection, Listener
    from userline_client.operations import Operation
    from userline_client.subscription import Subscription

SEEDS = range(60)
STEPS = 250
USERS = 40


class ModelConnection:
    """A connection whose socket comes and goes as the test wants."""

    def __init__(self, listener: Listener, weather: Weather) -> None:
        self.listener = listener
        self.weather = weather
        self.limits: Limits | None = None
        self.is_ready = False
        self.is_needed = False
        self.operations: dict[Operation, list[str]] = {}
        """Those under way, and the ids of which nothing has been told yet."""

    def start(self, operation: Operation) -> None:
        assert self.is_ready
        ids = json.loads(operation.payload)["variables"]
        self.operations[operation] = list(ids["ids"]) if "ids" in ids else [ids["id"]]
        assert len(operation.payload) < self.weather.limits.message_bytes
        limits = self.limits
        assert limits is not None
        assert len(self.operations) <= limits.subscriptions
        users = sum(batch.size for batch in self.operations if not isinstance(batch, OnlineBatch))  # type: ignore[attr-defined]
        assert users <= limits.watched_users

    def stop(self, operation: Operation) -> None:
        self.operations.pop(operation, None)

    def need(self) -> None:
        self.is_needed = True

    def settle(self) -> None:
        pass

    def open(self) -> None:
        self.limits = self.weather.limits
        self.is_ready = True
        self.listener.on_open()

    def lose(self, refusal: UserlineError | None) -> None:
        self.is_ready = False
        self.listener.on_lost()
        self.listener.on_refused(refusal)


class Weather:
    """The gateway and the network."""

    def __init__(self, chosen: random.Random) -> None:
        self.chosen = chosen
        self.connections: list[ModelConnection] = []
        self.limits = Limits(4_000, 12, 25)
        self.version = 1
        self.stale: list[dict[str, Any]] = []
        """Users as they were."""
        self.users: dict[str, dict[str, Any] | None] = {f"user-{number}": None for number in range(USERS)}

    def connect(self, listener: Listener) -> Connection:
        self.connections.append(ModelConnection(listener, self))
        return self.connections[-1]  # type: ignore[return-value]

    def change(self) -> None:
        """Write or delete a user, and tell whoever watches it."""
        user_id = self.chosen.choice(list(self.users))
        self.version += 1
        before = self.users[user_id]
        if before is not None:
            self.stale.append(before)
        is_deleted = self.chosen.random() < 0.2
        self.users[user_id] = None if is_deleted else user(user_id, f"v{self.version}", self.version)
        self.tell_all(user_id)

    def tell(self, connection: ModelConnection, operation: Operation, ids: list[str]) -> None:
        """Tell of users as they are, those of the operation."""
        asked = json.loads(operation.payload)["variables"]
        for user_id in [each for each in ids if operation in connection.operations]:
            if "id" in asked and asked["id"] == user_id:
                online = {"isConnected": bool(self.chosen.getrandbits(1)), "user": self.users[user_id]}
                operation.on_data({"userOnlineChanged": online})
            elif user_id in asked.get("ids", ()):
                operation.on_data({"usersChanged": [{"id": user_id, "user": self.users[user_id]}]})
            else:
                continue
            untold = connection.operations.get(operation, [])
            if user_id in untold:
                untold.remove(user_id)

    def tell_what_was(self) -> None:
        """Tell of a user as it was, as a gateway does that is behind; it must not be the last that is told."""
        running = [operation for each in self.connections for operation in each.operations]
        if running and self.stale:
            was = self.chosen.choice(self.stale)
            operation = self.chosen.choice(running)
            asked = json.loads(operation.payload)["variables"].get("ids", ())
            if was["id"] in asked:
                operation.on_data({"usersChanged": [{"id": was["id"], "user": was}]})
                self.tell_all(was["id"])

    def refuse_one(self) -> None:
        """Tell that one user of an operation cannot be watched, for good or for now."""
        running = [operation for each in self.connections for operation in each.operations]
        if running:
            operation = self.chosen.choice(running)
            ids = json.loads(operation.payload)["variables"].get("ids", ())
            code = self.chosen.choice(["BAD_USER_INPUT", "STORE_UNAVAILABLE"])
            for user_id in ids[:1]:
                error = {"message": "No.", "path": ["usersChanged", 0, "user"], "extensions": {"code": code}}
                operation.on_partial_data({"usersChanged": [{"id": user_id, "user": None}]}, [error])

    def tell_all(self, user_id: str) -> None:
        """Tell whoever watches a user how it is."""
        for connection in self.connections:
            for operation in list(connection.operations):
                self.tell(connection, operation, [user_id])

    def answer(self) -> None:
        """Tell of some of those of whom nothing was told yet."""
        for connection in self.connections:
            for operation, untold in list(connection.operations.items()):
                if untold and self.chosen.random() < 0.5:
                    self.tell(connection, operation, untold[: self.chosen.randint(1, len(untold))])

    def refuse(self, error: UserlineError | None) -> None:
        """End an operation."""
        running = [(each, operation) for each in self.connections for operation in each.operations]
        if running:
            connection, operation = self.chosen.choice(running)
            del connection.operations[operation]
            if error is None:
                operation.on_complete()
            else:
                operation.on_failure(error)

    def come_and_go(self) -> None:
        """Open a socket that is needed, or lose one."""
        connection = self.chosen.choice(self.connections)
        if connection.is_ready and self.chosen.random() < 0.3:
            connection.operations.clear()
            connection.lose(self.chosen.choice([None, StoreUnavailable("full")]))
        elif not connection.is_ready and connection.is_needed:
            connection.open()

    def clear_up(self) -> None:
        """Open what is needed, and answer everything."""
        for connection in self.connections:
            if connection.is_needed and not connection.is_ready:
                connection.open()
            for operation, untold in list(connection.operations.items()):
                self.tell(connection, operation, list(untold))


class Run:
    """One seed."""

    def __init__(self, seed: int) -> None:
        self.chosen = random.Random(seed)
        random.seed(seed + 1_000_000)  # pauses have jitter
        self.clock = ScriptedClock()
        self.weather = Weather(self.chosen)
        self.watches = Watches(
            self.weather.connect, lambda _: None, Snapshots(), self.clock, Backoff(base=0.5, ceiling=2), 15
        )
        self.subscriptions: list[Subscription[Any]] = []
        self.getting: dict[asyncio.Task[Any], None] = {}

    def subscribe(self) -> None:
        for _ in range(self.chosen.choice([1, 1, 1, 10, 30])):
            user_id = self.chosen.choice(list(self.weather.users))
            kind = self.watches.subscribe_online if self.chosen.random() < 0.1 else self.watches.subscribe
            self.subscriptions.append(kind(user_id, None))

    def unsubscribe(self) -> None:
        for _ in range(self.chosen.choice([1, 1, 1, 10, 30])):
            if self.subscriptions:
                self.subscriptions.pop(self.chosen.randrange(len(self.subscriptions))).unsubscribe()

    def get(self) -> None:
        async def get(user_id: str) -> None:
            with suppress(UserlineError):
                await self.watches.get(user_id, self._in_time)

        for _ in range(self.chosen.choice([1, 5])):
            task = asyncio.create_task(get(self.chosen.choice(list(self.weather.users))))
            self.getting[task] = None
            task.add_done_callback(lambda done: self.getting.pop(done, None))

    def write(self) -> None:
        """Write a user by this session; the event comes before the answer, or after it."""
        user_id = self.chosen.choice(list(self.weather.users))
        state = self.watches.state_of(user_id)
        mark = state.write_started()
        if self.chosen.random() < 0.3:
            self.weather.change()
        self.weather.version += 1
        written = self.weather.users[user_id] = user(user_id, f"v{self.weather.version}", self.weather.version)
        is_told_first = self.chosen.random() < 0.5
        if is_told_first:
            self.weather.tell_all(user_id)
        seen = Snapshots().read(written, -1)
        assert seen is not None
        is_doubtful = self.watches.state_of(user_id).take_answer(seen, mark)
        self.watches.written(user_id, is_doubtful=is_doubtful)
        if not is_told_first:
            self.weather.tell_all(user_id)

    def delete(self) -> None:
        """Delete a user by this session."""
        user_id = self.chosen.choice(list(self.weather.users))
        state = self.watches.state_of(user_id)
        mark = state.delete_started()
        self.weather.users[user_id] = None
        if self.chosen.random() < 0.5:
            self.weather.tell_all(user_id)
        self.watches.written(user_id, is_doubtful=state.take_deletion(mark))
        state.delete_ended()
        self.weather.tell_all(user_id)

    def give_up(self) -> None:
        if self.getting:
            self.chosen.choice(list(self.getting)).cancel()

    def pass_time(self) -> None:
        self.clock.pass_time(self.chosen.choice([0.1, 1, 5, 31]))

    def change_limits(self) -> None:
        self.weather.limits = Limits(4_000, self.chosen.choice([4, 12, 200]), self.chosen.choice([8, 25, 1000]))

    async def step(self) -> None:
        refuse = self.weather.refuse
        steps: list[Callable[[], None]] = [
            *[self.subscribe] * 4,
            *[self.unsubscribe] * 3,
            *[self.get] * 3,
            *[self.weather.answer] * 6,
            *[self.weather.change] * 6,
            *[self.pass_time] * 2,
            *[self.weather.come_and_go] * 2,
            *(self.write, self.delete) * 2,
            *(self.give_up, self.change_limits, self.weather.tell_what_was, self.weather.refuse_one),
            lambda: refuse(None),
            lambda: refuse(StoreUnavailable("away", {"retryAfterSeconds": 2})),
            lambda: refuse(BadUserInput("bad")),
        ]
        self.chosen.choice(steps)()
        await self.settle()

    async def settle(self) -> None:
        for _ in range(4):
            await asyncio.sleep(0)

    def check(self) -> None:
        """The books are right."""
        watches = self.watches
        carriers = watches.carriers._carriers
        batches = [batch for carrier in carriers for batch in carrier._batches]
        for carrier in carriers:
            assert carrier.held == sum(each.is_held and each.carrier is carrier for each in watches._by_key.values())
            users = [batch.size for batch in carrier._batches if not isinstance(batch, OnlineBatch)]
            assert carrier._watched == sum(users)
            connection = carrier.connection
            assert isinstance(connection, ModelConnection)
            assert set(connection.operations) == set(carrier._batches)
        for batch in batches:
            assert batch.wanted == sum(watch.is_wanted for watch in batch.watches.values()) > 0
            assert batch.wanted * 2 >= batch.size, "more than half of what is sent is unwanted"
            for watch in batch.watches.values():
                assert watch.batch is batch
                assert watches._by_key[watch.key] is watch
        for watch in watches._by_key.values():
            queued = [watch in carrier._queue or watch in carrier._online_queue for carrier in carriers]
            places = sum(queued) + (watch.batch is not None) + (watch in watches.carriers._queue)
            assert places == 1 or (places == 0 and watches._resting._timers), "it is nowhere, or twice"
            assert watch.is_wanted == (watch.is_held or watch in watches._lingering)
            assert watch.batch is not None or not watch.is_fresh
            for subscription in watch.subscriptions:
                assert watches._watch_of[subscription] is watch
                assert not subscription.is_over
        assert len(watches._watch_of) == sum(len(watch.subscriptions) for watch in watches._by_key.values())

    async def end_well(self) -> None:
        """In good weather, everybody who still looks sees what is the case."""
        self.weather.limits = Limits(4_000, 12, 25)
        for _ in range(6):
            self.weather.clear_up()
            await self.settle()
            self.clock.pass_time(3)
            await self.settle()
            self.check()
        self.weather.clear_up()  # what was regrouped just now
        await self.settle()
        for watch in self.watches._by_key.values():
            assert watch.is_fresh, "deaf, or pending for ever"
            if isinstance(watch, UserWatch):
                told = self.weather.users[watch.user_id]
                assert (watch.snapshot and watch.snapshot.version) == (told and told["version"])
            for subscription in watch.subscriptions:
                assert subscription.state == Active(watch.snapshot)
        assert not self.getting
        for subscription in self.subscriptions:
            subscription.unsubscribe()
        self.clock.pass_time(31)
        await self.settle()
        assert not self.watches._by_key, "somebody is watched whom nobody wants"
        assert not any(connection.operations for connection in self.weather.connections)

    async def _in_time(self, arrival: Awaitable[None]) -> None:
        await arrival


@pytest.mark.behaviour(7, 8, 9, 29, 35)
@pytest.mark.parametrize("seed", SEEDS)
async def test_the_books_are_right_and_all_ends_well(seed: int) -> None:
    run = Run(seed)
    for _ in range(STEPS):
        await run.step()
        run.check()
    await run.end_well()


@pytest.mark.behaviour(39)
async def test_closing_ends_everything_at_any_moment() -> None:
    for seed in SEEDS:
        run = Run(seed)
        for _ in range(seed * 2):
            await run.step()
        run.watches.close(SessionClosed())
        await run.settle()
        assert not run.watches._by_key
        assert run.clock.timers == 0
        assert not run.getting
        assert all(isinstance(each.state, Unsubscribed | Failed) for each in run.subscriptions)
