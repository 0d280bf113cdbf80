"""What a connection has sent and nobody has parsed yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.http.flow_control import FlowControl

if TYPE_CHECKING:
    from asyncio import Transport
    from collections.abc import Callable


class Unparsed:
    """Bytes in the order in which they came."""

    __slots__ = ("data", "position")

    def __init__(self) -> None:
        self.data = b""
        self.position = 0
        """How much of ``data`` has been parsed."""

    def __len__(self) -> int:
        return len(self.data) - self.position

    def append(self, data: bytes) -> None:
        """Add what has come in."""
        self.data = data if self.position == len(self.data) else self.data[self.position :] + data
        self.position = 0

    def take(self, most: int) -> bytes:
        """Return the next bytes, and go on behind them."""
        start, self.position = self.position, min(self.position + most, len(self.data))
        return self.data[start : self.position]

    def clear(self) -> None:
        """Forget everything."""
        self.data, self.position = b"", 0


def _nobody() -> None:
    """Stand in for who parsed, once nobody does."""


class Inflow(FlowControl):
    """Flow control that pauses parsing; the transport is read from while what waits to be parsed is little."""

    def __init__(self, transport: Transport, unparsed: Unparsed, most: int, parse: Callable[[], None]) -> None:
        super().__init__(transport)
        self._unparsed = unparsed
        self._most = most
        self._parse = parse
        self._transport_paused = False

    def pause_reading(self) -> None:
        """Parse nothing, and read nothing more."""
        self.read_paused = True
        self.balance()

    def resume_reading(self) -> None:
        """Parse what waits, in a moment, and read on when it is little."""
        if self.read_paused:
            self.read_paused = False
            if self._unparsed:
                self._parse()
            self.balance()

    def end(self) -> None:
        """Nothing is parsed any more: let go of what did it."""
        self._unparsed.clear()
        self._parse = _nobody

    def balance(self) -> None:
        """Read, or stop to read, by how much waits."""
        unparsed = self._unparsed
        pause = self.read_paused or len(unparsed.data) - unparsed.position > self._most
        if pause is not self._transport_paused and not self._transport.is_closing():
            self._transport_paused = pause
            if pause:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()
