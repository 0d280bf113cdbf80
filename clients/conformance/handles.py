"""The sessions and subscriptions of a client, as cases hold them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from clients.conformance.world import World

Message = dict[str, Any]


class Subscription:
    """A subscription of the client."""

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self.name = name
        self.shown: list[Any] = []
        """What it was shown, as the driver tells it."""

    @property
    def users(self) -> list[Any]:
        """The users that it was shown."""
        return [None if value is None else value["user"] for value in self.shown]

    @property
    def names(self) -> list[str | None]:
        """Their names."""
        return [None if user is None else user["name"] for user in self.users]

    async def state(self) -> Message:
        """Return what it is now."""
        state: Message = await self._world.ask("state", subscription=self.name)
        return state

    async def type(self) -> str:
        """Return the type of its state."""
        return str((await self.state())["type"])

    async def error(self) -> Message:
        """Return the error that it has ended with. Its state must be that."""
        state = await self.state()
        assert state["type"] == "error", state
        error: Message = state["error"]
        return error

    async def connected(self) -> Message:
        """Wait for it."""
        state: Message = await self._world.ask("connected", subscription=self.name)
        return state

    async def terminated(self) -> Message:
        """Wait for it."""
        state: Message = await self._world.ask("terminated", subscription=self.name)
        return state

    async def unsubscribe(self) -> None:
        """End it."""
        await self._world.ask("unsubscribe", subscription=self.name)

    async def iterate(self) -> Callable[[], Awaitable[Message]]:
        """Return what gives the next one each time."""
        name = self._world.new_name("i")
        await self._world.ask("iterate", subscription=self.name, iterator=name)
        return lambda: self._world.ask("next", iterator=name)


class Session:
    """A session of the client."""

    def __init__(self, world: World, name: str, number: int) -> None:
        self._world = world
        self.name = name
        self.object = number
        """The same number for the same session."""
        self.errors: list[Message] = []
        """What the application was told."""
        self.statuses: list[str] = []
        self.asks = 0
        """How often it was asked for a token."""
        self.latest_ask = 0
        self.on_need_token: Callable[[int], str | Exception | None] = lambda _: None
        """What is answered: a token, an error, or nothing ever."""

    def answer(self, token: str) -> None:
        """Answer the latest question for a token."""
        self._world.start("answerToken", ask=self.latest_ask, token=token)

    def start(self, do: str, **given: Any) -> asyncio.Future[Any]:
        """Send a command of this session, and return what will be its answer."""
        return self._world.start(do, session=self.name, **given)

    async def ask(self, do: str, **given: Any) -> Any:
        """Send a command of this session, and return its answer."""
        return await self._world.ask(do, session=self.name, **given)

    async def get(self, user: str) -> Any:
        """Return what a user is."""
        shown = await self.ask("get", user=user)
        return None if shown is None else shown["user"]

    async def name_of(self, user: str) -> str | None:
        """Return a user's name."""
        got = await self.get(user)
        return None if got is None else str(got["name"])

    async def set(self, user: str, **fields: Any) -> Message:
        """Patch a user."""
        result: Message = await self.ask("set", user=user, input=fields)
        return result

    async def subscribe(self, user: str, **more: Any) -> Subscription:
        """Subscribe to a user."""
        return (await self._subscribe([{"user": user, **more}]))[0]

    async def subscribe_all(self, users: Iterable[str], **more: Any) -> list[Subscription]:
        """Subscribe to users, to each of them, in one turn."""
        return await self._subscribe([{"user": user, **more} for user in users])

    async def subscribe_online(self, user: str) -> Subscription:
        """Subscribe to whether a user is connected."""
        return await self.subscribe(user, online=True)

    async def subscribe_many(self, users: Sequence[str]) -> Subscription:
        """Subscribe to many users as one."""
        return (await self._subscribe([{"users": list(users)}]))[0]

    async def _subscribe(self, wanted: list[Message]) -> list[Subscription]:
        subscriptions = [self._world.new_subscription() for _ in wanted]
        commands = [
            self._world.command("subscribe", session=self.name, subscription=subscription.name, **each)
            for subscription, each in zip(subscriptions, wanted, strict=True)
        ]
        await asyncio.gather(*self._world.together(commands))
        return subscriptions

    async def close(self) -> None:
        """Close it."""
        await self.ask("close")
