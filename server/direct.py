"""Writing to thousands of sockets: one small object for each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from asyncio import Transport
    from collections.abc import Callable

DIRECT: Final = "server.direct"
"""Where the state of a socket's scope has its ``DirectSocket``, if there is one."""

ADMIT: Final = "server.admit"
"""Where it has what is to be called when the client is known: then its messages may be as large as messages may be."""

_TEXT: Final = 0x81
_TEXT_2: Final = b"\x81\x7e"
_TEXT_8: Final = b"\x81\x7f"
_LENGTH_IN_2_BYTES: Final = 126
_LENGTH_IN_8_BYTES: Final = 65_536


class DirectSocket:
    """A WebSocket that is written to without ASGI messages.

    It has those parts of the connection's state that say whether one may: five thousand of these fit into a cache of
    the processor, and five thousand connections with all that they refer to do not.
    """

    __slots__ = ("close_sent", "handshake_complete", "is_paused", "on_writable", "transport")

    transport: Transport

    def __init__(self) -> None:
        self.handshake_complete = False
        self.close_sent = False
        self.is_paused = False
        """Whether the client is to read before more is written."""
        self.on_writable: Callable[[], None] | None = None
        """Called when the socket can be written to again."""

    def is_writable(self) -> bool:
        """Whether a frame would be sent now, neither thrown away nor added to what the client has not read."""
        return (
            self.handshake_complete and not self.close_sent and not self.is_paused and not self.transport.is_closing()
        )


def text_frame(data: bytes) -> bytes:
    """Return an unmasked frame with this text. Source: RFC 6455, section 5.2."""
    length = len(data)
    if length < _LENGTH_IN_2_BYTES:
        return b"%c%c%b" % (_TEXT, length, data)
    if length < _LENGTH_IN_8_BYTES:
        return b"%b%b%b" % (_TEXT_2, length.to_bytes(2), data)
    return b"%b%b%b" % (_TEXT_8, length.to_bytes(8), data)
