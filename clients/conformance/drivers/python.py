"""Drives the Python client: takes commands as lines of JSON and answers so (README.md has all of them).

``python python.py``, with the client on PYTHONPATH.
"""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import inspect
import json
import logging
import pickle
import random
import sys
import time
from collections.abc import Mapping
from typing import Any

from userline_client import Session, Subscription, UserlineError, UserOnline, UserSnapshot
from userline_client.fields import contract_name

ABILITIES = ["clock", "random", "share", "handshake", "tls", "leftovers", "cancel"]


def tell(message: dict[str, Any]) -> None:
    """Print a line."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


class Wall:
    """The clock on the wall: it stands still until the runner moves it."""

    seconds = 1_800_000_000.0


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock stands still until the runner moves it; what comes over sockets comes at once."""

    _seconds = 1000.0

    def time(self) -> float:
        """Return the time of the runner's clock."""
        return self._seconds

    def go_to(self, seconds: float) -> None:
        """Move on to this time, and the clock on the wall by as much. Who is due is called at the next turn."""
        if seconds > self._seconds:
            Wall.seconds += seconds - self._seconds
            self._seconds = seconds

    def timers(self) -> list[asyncio.TimerHandle]:
        """Return who waits to be called."""
        handles: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        return [handle for handle in handles if not handle.cancelled()]

    async def advance(self, seconds: float) -> None:
        """Let time pass, and let each be called at its time."""
        end = self._seconds + seconds
        while due := [handle.when() for handle in self.timers() if handle.when() <= end]:
            self.go_to(min(due))
            await turns(20)
        self.go_to(end)


async def turns(count: int) -> None:
    """Let the event loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


def snake(name: str) -> str:
    """Return a name of the contract as Python writes it."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


class Driver:
    """Carries out commands; each has a method of its name, in which `.` is `_`."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._sessions: dict[str, Session] = {}
        self._subscriptions: dict[str, Subscription[Any]] = {}
        self._iterators: dict[str, Any] = {}
        self._asked: dict[int, asyncio.Future[str]] = {}
        self._objects: list[Any] = []
        self._running: dict[int, asyncio.Task[None]] = {}
        self._own = asyncio.all_tasks()

    def run(self, command: dict[str, Any]) -> None:
        """Carry out a command, and answer when it is done."""
        method = getattr(self, snake(command["do"]).replace(".", "_"))
        given = {snake(name): value for name, value in command.items() if name not in {"id", "do"}}
        try:
            result = method(**given)
        except Exception as error:  # noqa: BLE001 - all of them are for the runner
            self._answer(command, error=self._error(error))
            return
        if inspect.isawaitable(result):
            task = asyncio.ensure_future(self._finish(command, result))
            self._running[command.get("id", 0)] = task
            task.add_done_callback(lambda _: self._running.pop(command.get("id", 0), None))
        else:
            self._answer(command, ok=result)

    async def _finish(self, command: dict[str, Any], awaited: Any) -> None:
        try:
            self._answer(command, ok=await awaited)
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - all of them are for the runner
            self._answer(command, error=self._error(error))

    @staticmethod
    def _answer(command: dict[str, Any], **answer: Any) -> None:
        if "id" in command:
            tell({"id": command["id"], **answer})

    # What the runner is shown

    def _number(self, thing: object) -> int:
        for number, known in enumerate(self._objects):
            if known is thing:
                return number
        self._objects.append(thing)
        return len(self._objects) - 1

    def _show(self, value: Any) -> Any:
        match value:
            case UserSnapshot():
                fields = dataclasses.asdict(value)
                user = {contract_name(name): field for name, field in fields.items()}
                return {"user": user, "object": self._number(value)}
            case UserOnline():
                user = self._show(value.user)
                return {"user": user, "isConnected": value.is_connected, "object": self._number(value)}
            case Mapping():
                users = [[user_id, self._show(user)] for user_id, user in value.items()]
                return {"users": users, "object": self._number(value)}
        return value

    @staticmethod
    def _error(error: BaseException) -> dict[str, Any]:
        shown: dict[str, Any] = {"code": type(error).__name__, "kind": type(error).__name__, "message": str(error)}
        if isinstance(error, UserlineError):
            problems = getattr(error, "problems", None)
            shown |= {
                "code": error.code,
                "closeCode": getattr(error, "close_code", None),
                "retryAfterSeconds": getattr(error, "retry_after", None),
                "field": getattr(error, "field", None),
                "problems": None if problems is None else [dataclasses.asdict(problem) for problem in problems],
            }
        return {name: value for name, value in shown.items() if value is not None}

    def _state(self, state: Any) -> dict[str, Any]:
        shown: dict[str, Any] = {"type": state.type}
        if state.type == "active":
            shown["latestSnapshot"] = self._show(state.latest_snapshot)
        if state.type == "error":
            shown["error"] = self._error(state.error)
        return shown

    # Sessions

    async def sync(self) -> None:
        await turns(20)

    def open(
        self,
        session: str,
        url: str,
        *,
        token: str | None = None,
        user_id: str | None = None,
        shared: bool = False,
        asks_for_tokens: bool = False,
        timeout: float | None = None,
        idle: float | None = None,
    ) -> dict[str, Any]:
        async def need_token() -> str:
            ask = len(self._asked) + 1
            self._asked[ask] = self._loop.create_future()
            tell({"event": "needToken", "session": session, "ask": ask})
            return await self._asked[ask]

        options: dict[str, Any] = {
            "token": token,
            "on_need_token": need_token if asks_for_tokens else None,
            "on_error": lambda error: tell({"event": "failed", "session": session, "error": self._error(error)}),
        }
        if timeout is not None:
            options["timeout"] = timeout / 1000
        if idle is not None:
            options["idle_seconds"] = idle / 1000
        made = Session.shared(url, user_id=user_id, **options) if shared else Session(url, **options)
        self._sessions[session] = made
        return {"object": self._number(made)}

    def answer_token(self, ask: int, token: Any = None, error: str | None = None) -> None:
        asked = self._asked[ask]
        if asked.done():
            return
        if error is None:
            asked.set_result(token)
        else:
            asked.set_exception(RuntimeError(error))

    def set_token(self, session: str, token: str) -> None:
        self._sessions[session].set_token(token)

    async def close(self, session: str) -> None:
        await self._sessions[session].close()

    def user(self, session: str, user: Any) -> dict[str, Any]:
        ref = self._sessions[session].user(user)
        return {"id": ref.id, "object": self._number(ref)}

    def users(self, session: str, users: list[Any]) -> dict[str, Any]:
        return {"ids": list(self._sessions[session].users(users).ids)}

    async def app(self, session: str) -> dict[str, Any]:
        app = await self._sessions[session].app()
        roles = {name: dict(settings) for name, settings in app.roles.items()}
        return {"id": app.id, "defaultLocale": app.default_locale, "roles": roles, "object": self._number(app)}

    # Users

    async def get(self, session: str, user: str) -> Any:
        return self._show(await self._sessions[session].user(user).get())

    async def get_many(self, session: str, users: list[str]) -> Any:
        return [self._show(each) for each in await self._sessions[session].users(users).get()]

    async def set(self, session: str, user: str, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002 - the wire's
        result = await self._sessions[session].user(user).set(**self._read(input))
        return {"user": self._show(result.user), "created": result.created, "changed": result.changed}

    async def create_if_not_exists(self, session: str, user: str, input: dict[str, Any]) -> dict[str, Any]:  # noqa: A002
        result = await self._sessions[session].user(user).create_if_not_exists(**self._read(input))
        return {"user": self._show(result.user), "created": result.created}

    async def delete(self, session: str, user: str) -> bool:
        return await self._sessions[session].user(user).delete()

    def _read(self, given: dict[str, Any]) -> dict[str, Any]:
        def read(value: Any) -> Any:
            if isinstance(value, dict):
                return object() if "$unsendable" in value else {key: read(each) for key, each in value.items()}
            return value

        return {snake(name): read(value) for name, value in given.items()}

    # Subscriptions

    def subscribe(
        self,
        session: str,
        subscription: str,
        *,
        user: str = "",
        users: list[str] | None = None,
        online: bool = False,
        callback: Any = None,
    ) -> dict[str, Any]:
        def on_snapshot(value: Any) -> None:
            tell({"event": "shown", "subscription": subscription, "value": self._show(value)})
            if callback == "raise":
                raise RuntimeError("of the application")
            for command in callback or []:
                self.run(command)

        source = self._sessions[session]
        made: Subscription[Any]
        if users is not None:
            made = source.users(users).subscribe(on_snapshot)
        elif online:
            made = source.user(user).subscribe_online(on_snapshot)
        else:
            made = source.user(user).subscribe(on_snapshot)
        self._subscriptions[subscription] = made
        return self._state(made.state)

    def state(self, subscription: str) -> dict[str, Any]:
        return self._state(self._subscriptions[subscription].state)

    async def connected(self, subscription: str) -> dict[str, Any]:
        return self._state(await self._subscriptions[subscription].connected)

    async def terminated(self, subscription: str) -> dict[str, Any]:
        return self._state(await self._subscriptions[subscription].terminated)

    def unsubscribe(self, subscription: str) -> None:
        self._subscriptions[subscription].unsubscribe()

    def iterate(self, subscription: str, iterator: str) -> None:
        self._iterators[iterator] = aiter(self._subscriptions[subscription])

    async def next(self, iterator: str) -> dict[str, Any]:
        try:
            return {"done": False, "value": self._show(await anext(self._iterators[iterator]))}
        except StopAsyncIteration:
            return {"done": True}

    # What is asked of the language

    def tamper(self, object: int) -> list[str]:  # noqa: A002 - the wire's
        thing: Any = self._objects[object]
        changes: dict[str, Any] = {
            "name": lambda: setattr(thing, "name", "no"),
            "another field": lambda: setattr(thing, "added", "no"),
            "remove": lambda: delattr(thing, "name"),
            "custom": lambda: thing.custom.update(added="no"),
            "custom, an item": lambda: thing.custom.__setitem__("added", "no"),
        }
        if isinstance(thing, Mapping):
            several: Any = thing
            changes = {"set": lambda: several.__setitem__("a", None), "remove": lambda: several.pop("a")}
        done = []
        for name, change in changes.items():
            try:
                change()
            except (AttributeError, TypeError):
                continue
            done.append(name)
        return done

    def copy(self, object: int) -> list[Any]:  # noqa: A002 - the wire's
        thing = self._objects[object]
        copies = [copy.copy(thing), copy.deepcopy(thing), pickle.loads(pickle.dumps(thing))]  # noqa: S301 - our own
        return [self._show(each)["user"] for each in copies]

    def leftovers(self) -> dict[str, int]:
        tasks = asyncio.all_tasks() - self._own - set(self._running.values())
        return {"timers": len(self._loop.timers()), "tasks": len(tasks)}

    def cancel(self, command: int) -> None:
        self._running[command].cancel()

    # The clock

    async def clock_advance(self, ms: float) -> dict[str, float]:
        await turns(2)
        await self._loop.advance(ms / 1000)
        await turns(2)
        return {"now": self._loop.time() * 1000, "wall": Wall.seconds * 1000}

    def clock_block(self, ms: float) -> None:
        self._loop.go_to(self._loop.time() + ms / 1000)

    def clock_sleep(self, ms: float) -> None:
        Wall.seconds += ms / 1000

    def random(self, value: float | None) -> None:
        random.uniform = _uniform if value is None else lambda a, b: a + (b - a) * value

    def together(self, commands: list[dict[str, Any]]) -> None:
        for command in commands:
            self.run(command)


_uniform = random.uniform


class _Logged(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        tell({"event": "logged", "text": self.format(record)})


async def main(loop: Loop) -> None:
    """Answer commands until there are no more."""
    logging.getLogger("userline_client").addHandler(_Logged(logging.WARNING))
    reader = asyncio.StreamReader(limit=2**26)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    driver = Driver(loop)
    tell({"hello": {"client": "userline-client", "abilities": ABILITIES}})
    while line := await reader.readline():
        driver.run(json.loads(line))


if __name__ == "__main__":
    time.time = lambda: Wall.seconds
    the_loop = Loop()
    the_loop.run_until_complete(main(the_loop))
