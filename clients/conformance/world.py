"""What a case is given: a gateway that does what it says, and the client that it holds to account."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import TYPE_CHECKING, Any

from clients.conformance.driver import ClientError
from clients.conformance.handles import Session, Subscription

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from clients.conformance.authority import Authority
    from clients.conformance.driver import Driver
    from clients.conformance.gateway import Gateway

Message = dict[str, Any]
PATIENCE = 15.0
"""How many real seconds something may take that is to happen."""
_STEP_MS = 4000
"""How far the clock moves before the network is given the time to do what it has to: less than a ping is waited for."""
_ROUNDS = 200


class Failure(AssertionError):
    """What a case has found."""


class World:
    """A driver, and a gateway of this case alone."""

    def __init__(self, driver: Driver, gateway: Gateway, authority: Authority, real: str) -> None:
        self._driver = driver
        self.gateway = gateway
        self.authority = authority
        self.real = real
        """The URL of a real gateway, for cases that need one."""
        self._count = 0
        self._sessions: dict[str, Session] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._events = 0
        self._commands = 0
        self._settled: tuple[int, ...] = ()
        self.logged: list[str] = []
        """What the client has logged."""
        self.now = 0.0
        self.wall = 0.0
        driver.on_event = self._take

    # The driver

    def command(self, do: str, **given: Any) -> Message:
        """Return a command."""
        return self._driver.command(do, **given)

    def start(self, do: str, **given: Any) -> asyncio.Future[Any]:
        """Send a command, and return what will be its answer."""
        self._commands += do not in {"sync", "state"}
        return self._driver.send(self.command(do, **given))[0]

    async def ask(self, do: str, **given: Any) -> Any:
        """Send a command, and return its answer. Raises ``ClientError``."""
        async with asyncio.timeout(PATIENCE * 2):
            return await self.start(do, **given)

    def together(self, commands: list[Message]) -> list[asyncio.Future[Any]]:
        """Send commands that are carried out in one turn; return what will be their answers."""
        self._commands += 1
        return self._driver.send(self.command("together", commands=commands))[1:]

    def new_name(self, prefix: str) -> str:
        """Return a name that nothing else has."""
        self._count += 1
        return f"{prefix}{self._count}"

    def new_subscription(self) -> Subscription:
        """Return a subscription that is still to be made."""
        subscription = Subscription(self, self.new_name("s"))
        self._subscriptions[subscription.name] = subscription
        return subscription

    async def open(self, url: str | None = None, **options: Any) -> Session:
        """Open a session with the gateway."""
        name = self.new_name("session ")
        session = Session(self, name, -1)
        if "on_need_token" in options:
            session.on_need_token = options.pop("on_need_token")
            options["asksForTokens"] = True
        self._sessions[name] = session
        try:
            opened = await self.ask("open", session=name, url=url or self.gateway.url, **options)
        except ClientError:
            del self._sessions[name]
            raise
        session.object = opened["object"]
        return session

    def _take(self, event: Message) -> None:
        self._events += 1
        match event["event"]:
            case "shown":
                if event["subscription"] in self._subscriptions:
                    self._subscriptions[event["subscription"]].shown.append(event["value"])
            case "needToken":
                self._need_token(event)
            case "failed":
                self._sessions[event["session"]].errors.append(event["error"])
            case "status":
                if event["session"] in self._sessions:
                    self._sessions[event["session"]].statuses.append(event["status"])
            case "logged":
                self.logged.append(event["text"])

    def _need_token(self, event: Message) -> None:
        session = self._sessions[event["session"]]
        session.asks += 1
        session.latest_ask = event["ask"]
        answer = session.on_need_token(session.asks)
        if isinstance(answer, Exception):
            self.start("answerToken", ask=event["ask"], error=str(answer))
        elif answer is not None:
            self.start("answerToken", ask=event["ask"], token=answer)

    # Time

    async def settle(self) -> None:
        """Return when the client and the gateway have done all that does not wait for the clock."""
        quiet = 0
        for _ in range(_ROUNDS):
            before = (self.gateway.activity, self._events, self._commands)
            if before == self._settled:
                return  # since the last time, nobody has done anything
            await self.ask("sync")
            await self.gateway.barrier()
            quiet = quiet + 1 if before == (self.gateway.activity, self._events, self._commands) else 0
            if quiet == 2:
                self._settled = before

    async def until(self, condition: Callable[[], object]) -> None:
        """Return when this is so, without moving the clock."""
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise Failure("It never came true.")
            await self.settle()
            await asyncio.sleep(0.001)

    async def advance(self, seconds: float) -> None:
        """Let time pass, and let everything happen in it."""
        await self.settle()
        left = round(seconds * 1000, 3)
        while left > 0:
            step = min(left, _STEP_MS)
            await self.advance_alone(step / 1000)
            left = round(left - step, 3)
            await self.settle()

    async def advance_alone(self, seconds: float) -> None:
        """Let time pass for the client, faster than any network."""
        clock = await self.ask("clock.advance", ms=seconds * 1000)
        self.now, self.wall = clock["now"] / 1000, clock["wall"] / 1000

    async def advance_until(self, condition: Callable[[], object], most: float, step: float = 0.25) -> float:
        """Let time pass until this is so; return how many seconds that took. It may take ``most``."""
        passed = 0.0
        await self.settle()
        while not condition():
            if passed >= most:
                raise Failure(f"It did not come true within {most} s.")
            await self.advance(step)
            passed += step
        return passed

    async def block(self, seconds: float) -> None:
        """Let time pass in which the client does not run."""
        await self.ask("clock.block", ms=seconds * 1000)

    async def sleep(self, seconds: float) -> None:
        """Let the machine sleep: the clock on the wall alone goes on."""
        await self.ask("clock.sleep", ms=seconds * 1000)

    async def random(self, value: float | None) -> None:
        """Let chance always say this, from 0 to 1; None: let it be chance."""
        await self.ask("random", value=value)

    # What cases say often

    async def fails(self, awaited: Awaitable[Any], *codes: str) -> ClientError:
        """Return the error that this ends with, which must have one of these codes."""
        try:
            result = await asyncio.wait_for(awaited, PATIENCE * 2)
        except ClientError as error:
            if codes and error.code not in codes:
                raise Failure(f"{error}, and not {' or '.join(codes)}") from None
            return error
        raise Failure(f"It did not fail: {result!r}")

    async def types(self, subscriptions: Iterable[Subscription]) -> list[str]:
        """Return the types of the states."""
        return [await subscription.type() for subscription in subscriptions]

    async def close(self) -> None:
        """Close all sessions, and see that nothing of them is left."""
        for socket in self.gateway.connections:
            if socket.is_swallowed or not socket.is_acknowledged:
                socket.cut()
        self.gateway.door = "open"
        closing = [session.start("close") for session in self._sessions.values()]
        _, waiting = await asyncio.wait(closing, timeout=0.5) if closing else ((), ())
        if waiting and "clock" in self._driver.abilities:
            await self.advance(3)
        await asyncio.gather(*closing)
        if {"leftovers", "clock"} <= self._driver.abilities:
            await self._see_that_nothing_is_left()
        if "random" in self._driver.abilities:
            await self.random(None)

    async def _see_that_nothing_is_left(self) -> None:
        deadline = time.monotonic() + PATIENCE / 3
        while any((left := await self.ask("leftovers")).values()):
            if time.monotonic() > deadline:
                raise Failure(f"All sessions are closed, and this is left of them: {left}")
            await asyncio.sleep(0.01)
            await self.settle()


def token_of(user: str | None = "ann", expires_at: float | None = None, **claims: Any) -> str:
    """Return a JWT that says this, and is signed by nobody. Without a user, it is a server's."""
    who = {"tokenType": "app"} if user is None else {"tokenType": "user", "sub": user}
    if expires_at is not None:
        claims["exp"] = int(expires_at)
    body = json.dumps({**who, **claims}).encode()
    return f"e30.{base64.urlsafe_b64encode(body).rstrip(b'=').decode()}.x"
