"""Answers of the application, whose head and body are two messages: written as one, by one system call."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from asyncio import Transport

    from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


class HeldHeads:
    """Heads whose body has not come at once; they are sent when the turn of the event loop is over. For one loop."""

    def __init__(self) -> None:
        self._held: list[JoinedAnswer] = []

    def add(self, answer: JoinedAnswer) -> None:
        """Have a head sent soon, if its body does not come before."""
        if not self._held:
            asyncio.get_running_loop().call_soon(self._flush)
        self._held.append(answer)

    def _flush(self) -> None:
        held, self._held = self._held, []
        for answer in held:
            answer.flush()


class JoinedAnswer:
    """What the cycles of one connection take for its transport: the first write of an answer waits for the second."""

    __slots__ = ("_cycle", "_head", "_held", "_transport")

    def __init__(self, transport: Transport, held: HeldHeads) -> None:
        self._transport = transport
        self._held = held
        self._head: bytes | None = None
        self._cycle: RequestResponseCycle | None = None
        """The cycle whose answer has not begun yet."""

    def begin(self, cycle: RequestResponseCycle) -> None:
        """Write for this cycle from now on."""
        self._cycle = cycle
        cycle.transport = self  # type: ignore[assignment]  # it has all that a cycle does with its transport

    def write(self, data: bytes) -> None:
        """Write, or keep for a moment what is the head of an answer."""
        head, cycle = self._head, self._cycle
        if head is not None:
            self._head = None
            self._transport.writelines((head, data))
        elif cycle is not None and cycle.response_started:
            self._cycle = None
            self._head = data
            self._held.add(self)
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Write what is kept."""
        if self._head is not None:
            head, self._head = self._head, None
            if not self._transport.is_closing():
                self._transport.write(head)

    def close(self) -> None:
        """Close the connection when everything is written."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether the connection is closing, or closed."""
        return self._transport.is_closing()
