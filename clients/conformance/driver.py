"""A driver: the process that uses a client as the runner says, in lines of JSON (README.md has all of them)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

Message = dict[str, Any]

_LONGEST_LINE = 2**26
_HELLO_SECONDS = 60.0
_END_SECONDS = 5.0


class ClientError(Exception):
    """What the client has thrown, as the driver tells it."""

    def __init__(self, told: Message) -> None:
        super().__init__(f"{told.get('code')}: {told.get('message')}")
        self.told = told
        self.code: str = str(told.get("code"))


class DriverGone(Exception):
    """The driver has ended, or said what nobody understands."""


class Driver:
    """One process of a driver."""

    def __init__(self, process: asyncio.subprocess.Process, transcript: Callable[[str], None]) -> None:
        self._process = process
        self._ids = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._hello: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        self._reading = asyncio.create_task(self._read())
        self._errors = asyncio.create_task(self._read_errors())
        self._stderr: list[str] = []
        self._gone: DriverGone | None = None
        self.transcript = transcript
        self.on_event: Callable[[Message], None] = lambda _: None
        """Is given what the driver says without having been asked."""
        self.abilities: frozenset[str] = frozenset()
        self.client = ""

    async def greet(self) -> None:
        """Wait until it is there."""
        async with asyncio.timeout(_HELLO_SECONDS):
            hello = await self._hello
        self.client = str(hello["client"])
        self.abilities = frozenset(hello["abilities"])

    def command(self, do: str, **given: Any) -> Message:
        """Return a command with an id of its own."""
        return {"id": next(self._ids), "do": do, **given}

    def send(self, command: Message) -> list[asyncio.Future[Any]]:
        """Send a command; return what will be its answer, and after that the answers to those that are in it."""
        futures = []
        loop = asyncio.get_running_loop()
        for each in (command, *command.get("commands", ())):
            future: asyncio.Future[Any] = loop.create_future()
            future.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._answers[each["id"]] = future
            futures.append(future)
            if self._gone is not None:
                future.set_exception(self._gone)
        line = json.dumps(command)
        self.transcript(f"▶ {line}")
        assert self._process.stdin is not None
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(line.encode() + b"\n")
        return futures

    async def ask(self, do: str, **given: Any) -> Any:
        """Send a command and return its answer. Raises ``ClientError``."""
        return await self.send(self.command(do, **given))[0]

    async def end(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            async with asyncio.timeout(_END_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        await asyncio.gather(self._reading, self._errors, return_exceptions=True)

    async def _read(self) -> None:
        assert self._process.stdout is not None
        try:
            while line := await self._process.stdout.readline():
                self._take(line)
        finally:
            gone = self._gone = DriverGone(f"The driver has ended. {''.join(self._stderr)[-2000:]}")
            for future in [self._hello, *self._answers.values()]:
                if not future.done():
                    future.set_exception(gone)

    def _take(self, line: bytes) -> None:
        self.transcript(f"◀ {line.decode().rstrip()}")
        message = json.loads(line)
        if "event" in message:
            self.on_event(message)
        elif "hello" in message:
            self._hello.set_result(message["hello"])
        else:
            answer = self._answers.pop(message["id"], None)
            if answer is None or answer.done():
                return
            if "error" in message:
                answer.set_exception(ClientError(message["error"]))
            else:
                answer.set_result(message["ok"])

    async def _read_errors(self) -> None:
        assert self._process.stderr is not None
        while line := await self._process.stderr.readline():
            self._stderr.append(line.decode(errors="replace"))
            self.transcript(f"! {self._stderr[-1].rstrip()}")


@asynccontextmanager
async def running(command: Sequence[str], environment: Mapping[str, str]) -> AsyncIterator[Driver]:
    """Start a driver, and end it on the way out."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment,
        limit=_LONGEST_LINE,
    )
    driver = Driver(process, lambda _: None)
    try:
        await driver.greet()
        yield driver
    finally:
        await driver.end()
