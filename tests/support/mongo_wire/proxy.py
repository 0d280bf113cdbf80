"""A port that speaks MongoDB's protocol: in front of a server, or in place of one."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol, Self, TypeAlias
from urllib.parse import urlencode

from tests.support.listening import stop_listening
from tests.support.mongo_wire.messages import Message, ProtocolError, encode, read
from tests.support.mongo_wire.rules import Action, Answer, Close, Delay, Hang, LoseAnswer, Rewrite, Rule

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tests.support.mongo_wire.messages import Document

    Forward: TypeAlias = Callable[[Message], Awaitable[Message]]

_MOST_REMEMBERED: Final = 20_000

HELLOS: Final = frozenset({"hello", "isMaster", "ismaster"})

STANDALONE: Final[dict[str, object]] = {
    "isWritablePrimary": True,
    "ismaster": True,
    "helloOk": True,
    "maxBsonObjectSize": 16 * 1024 * 1024,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
    "minWireVersion": 0,
    "maxWireVersion": 17,
    "readOnly": False,
    "ok": 1.0,
}
"""What a server of MongoDB 6 says of itself."""


class Player(Protocol):
    """Answers some commands by itself."""

    async def play(self, message: Message, forward: Forward) -> Message | None:
        """Return the answer, or None to leave the command to the next player. ``forward`` asks those and the server."""


class WireProxy:
    """Made by ``await WireProxy.open(port)``; without a port it stands in place of a server.

    ``rules`` are asked in their order, and the first that takes a command says what happens to it; then the ``players``
    are, and what none of them answers goes to the server. ``commands`` has every command that came, in order.
    Compression is never agreed on.
    """

    def __init__(self, upstream: int | None) -> None:
        self._upstream = upstream
        self.rules: list[Rule] = []
        self.players: list[Player] = []
        self.commands: deque[Message] = deque(maxlen=_MOST_REMEMBERED)
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusing = False
        self.port = 0

    @classmethod
    async def open(cls, upstream: int | None = None, *, players: Sequence[Player] = ()) -> WireProxy:
        proxy = cls(upstream)
        proxy.players += players
        proxy._server = await asyncio.start_server(proxy._accept, "127.0.0.1", 0)
        proxy.port = proxy._server.sockets[0].getsockname()[1]
        return proxy

    def url(self, database: str, **options: object) -> str:
        return f"mongodb://127.0.0.1:{self.port}/{database}?{urlencode(options)}"

    def rule(
        self,
        action: Action,
        *commands: str,
        namespace: str | None = None,
        where: Callable[[Message], bool] | None = None,
        skip: int = 0,
        times: int | None = 1,
    ) -> Rule:
        """Add a rule and return it."""
        rule = Rule(action, frozenset(commands), namespace, where, skip, times)
        self.rules.append(rule)
        return rule

    def names(self) -> list[str]:
        """Return the names of the commands that came, without those of handshakes and the end of sessions."""
        return [each.command for each in self.commands if each.command not in HELLOS | {"endSessions"}]

    def refuse(self, *, connections: bool) -> None:
        """Close every connection, and each new one at once, until it is told otherwise."""
        self._refusing = connections
        for task in self._tasks:
            task.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Drop every connection."""
        self._refusing = True
        if self._server is not None:
            await stop_listening(self._server)
        while tasks := set(self._tasks):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refusing:
            writer.close()
            return
        task = asyncio.create_task(_Connection(self, reader, writer).serve())
        self._tasks.add(task)
        task.add_done_callback(lambda _: writer.close())  # also if it was cancelled before it began
        task.add_done_callback(self._tasks.discard)

    def action_for(self, message: Message) -> Action | None:
        """Return what is to happen to a command."""
        return next((rule.action for rule in self.rules if rule.takes(message)), None)

    async def open_upstream(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self._upstream)

    @property
    def has_upstream(self) -> bool:
        return self._upstream is not None


class _Closed(Exception):
    """The connection is to be closed."""


class _Connection:
    """One client's connection, and the one to the server that belongs to it."""

    def __init__(self, proxy: WireProxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._reader = reader
        self._writer = writer
        self._server: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def serve(self) -> None:
        try:
            while (message := await read(self._reader)) is not None:
                self._proxy.commands.append(message)
                await self._serve_one(message)
        except (_Closed, OSError, ProtocolError):
            pass
        finally:
            for writer in (self._writer, *((self._server[1],) if self._server else ())):
                with suppress(OSError):
                    writer.close()

    async def _serve_one(self, message: Message) -> None:
        action = self._proxy.action_for(message)
        answer = await self._before(message, action)
        if answer is None:
            answer = await self._after(message, action, await self._play(message, list(self._proxy.players)))
        if message.more_to_come:
            return
        await self._send(answer)
        while answer.more_to_come and self._server is not None:
            answer = await self._receive(self._server[0])
            await self._send(answer)

    async def _before(self, message: Message, action: Action | None) -> Message | None:
        """Do what a rule says before the command has an effect. An answer is all that comes of it then."""
        match action:
            case Close():
                raise _Closed
            case Hang(after_effect=False):
                await self._hang()
            case Delay(seconds, of_answer=False):
                await asyncio.sleep(seconds)
            case Answer(document, after_effect=False):
                return message.answered(document)
        return None

    async def _after(self, message: Message, action: Action | None, answer: Message) -> Message:
        """Return what becomes of the answer by a rule."""
        match action:
            case LoseAnswer():
                raise _Closed
            case Hang():
                await self._hang()
            case Delay(seconds, of_answer=True):
                await asyncio.sleep(seconds)
            case Answer(document):
                return message.answered(document)
            case Rewrite(change):
                return message.answered(change(dict(answer.body)), answer.flags)
        return answer

    async def _play(self, message: Message, players: list[Player]) -> Message:
        if players:

            async def forward(changed: Message) -> Message:
                return await self._play(changed, players[1:])

            return await players[0].play(message, forward) or await forward(message)
        if self._proxy.has_upstream:
            return await self._ask(message)
        if message.command in HELLOS:
            return message.answered(dict(STANDALONE))
        return message.answered({"ok": 1.0})

    async def _ask(self, message: Message) -> Message:
        if message.command in HELLOS:
            message = message.without("compression")
        if self._server is None:
            self._server = await self._proxy.open_upstream()
        reader, writer = self._server
        writer.write(encode(message))
        await writer.drain()
        if message.more_to_come:
            return message.answered({"ok": 1.0})
        return await self._receive(reader)

    async def _receive(self, reader: asyncio.StreamReader) -> Message:
        answer = await read(reader)
        if answer is None:
            raise _Closed
        return answer

    async def _hang(self) -> None:
        """Wait until the client gives up."""
        while await self._reader.read(65536):
            pass
        raise _Closed

    async def _send(self, answer: Message) -> None:
        self._writer.write(encode(answer))
        await self._writer.drain()


def hello_of(**more: object) -> Document:
    """Return a server's answer to a handshake."""
    return {**STANDALONE, **more}
