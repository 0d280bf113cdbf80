"""Closes a connection so that the client still receives the last response."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Transport

LINGER_SECONDS: Final = 1.0
"""How long a client that goes on sending may take to read what was sent to it last."""

_LOOKS: Final = 10
"""How often it is looked whether it has, at most."""


def linger(transport: Transport, loop: AbstractEventLoop) -> None:
    """Say that nothing more will be sent, and cut the connection some time later.

    Closed at once, the client might see a reset in place of the last word, because it has sent more than was read. What
    it sends meanwhile is to be read and thrown away.
    """
    if transport.can_write_eof() and not transport.is_closing():
        transport.write_eof()
    _cut_off_later(transport, loop, _LOOKS)


def _cut_off_later(transport: Transport, loop: AbstractEventLoop, looks: int) -> None:
    def look() -> None:
        if looks > 1 and not transport.is_closing() and transport.get_write_buffer_size():
            _cut_off_later(transport, loop, looks - 1)
        else:
            transport.abort()

    loop.call_later(LINGER_SECONDS, look)
