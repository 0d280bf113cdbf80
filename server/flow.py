"""Flow control of input: bytes of a connection that are not parsed yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from uvicorn.protocols.http.flow_control import FlowControl

from userline.server.nobody import nobody

if TYPE_CHECKING:
    from asyncio import Transport
    from collections.abc import Callable

_MOST_BYTES: Final = 65_536
"""How much may wait to be parsed before the connection is no longer read from; one read can add 256 KiB to it."""


class Unparsed:
    """Bytes in the order in which they came. While there are many, reading from the transport is paused."""

    __slots__ = ("_transport", "data", "is_paused", "position", "searched")

    def __init__(self, transport: Transport) -> None:
        self.data = b""
        self.position = 0
        """How much of ``data`` has been parsed."""
        self.searched = 0
        """How much of ``data`` is known not to hold what was looked for."""
        self._transport = transport
        self.is_paused = False
        """Whether the transport is not read from."""

    def __len__(self) -> int:
        return len(self.data) - self.position

    def append(self, data: bytes) -> None:
        """Add what has come in."""
        position = self.position
        if position == len(self.data):
            self.data, self.searched = data, 0
        else:
            self.data = self.data[position:] + data if position else self.data + data
            self.searched = max(self.searched - position, 0)
        self.position = 0

    def read(self, most: int) -> bytes:
        """Return the next bytes, and go on behind them."""
        start, self.position = self.position, min(self.position + most, len(self.data))
        return self.data[start : self.position]

    def clear(self) -> None:
        """Forget everything."""
        self.data, self.position, self.searched = b"", 0, 0

    def balance(self, paused: bool = False) -> None:
        """Read on, or stop to read: if ``paused``, and by how much waits."""
        paused = paused or len(self.data) - self.position > _MOST_BYTES
        if paused is not self.is_paused and not self._transport.is_closing():
            self.is_paused = paused
            if paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()


class ReadFlow(FlowControl):
    """Flow control that pauses parsing, and with it reading."""

    def __init__(self, transport: Transport, unparsed: Unparsed, parse: Callable[[], None]) -> None:
        super().__init__(transport)
        self.at_end = False
        """Whether the client has said its last word: reading on would have it say that again."""
        self._unparsed = unparsed
        self._parse = parse

    def pause_reading(self) -> None:
        """Parse nothing, and read nothing more."""
        self.read_paused = True
        self.balance()

    def resume_reading(self) -> None:
        """Parse what waits, in a moment, and read on when it is little."""
        if self.read_paused:
            self.read_paused = False
            self._parse()
            self.balance()

    def end(self) -> None:
        """Nothing is parsed any more: let go of what did it."""
        self._unparsed.clear()
        self._parse = nobody

    def balance(self) -> None:
        """Read, or stop to read, by how much waits."""
        if not self.at_end:
            self._unparsed.balance(self.read_paused)
