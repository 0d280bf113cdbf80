"""The ends of a WebSocket connection: closed, refused, silent, stuck, or drained."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Close, CloseCode, Frame, Opcode

from userline.server.cut_offs import CUT_OFFS, Reason
from userline.server.direct import ADMIT, DirectSocket
from userline.server.linger import LINGER_SECONDS
from userline.server.waiting import Gate, Mailbox

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from uvicorn._types import ASGISendEvent

    from userline.server.flow import Unparsed
    from userline.server.stuck import StuckWatch

    TooLarge: TypeAlias = Callable[[int], str]

_PATIENCE: Final = 5.0
"""How long a client that reads slowly may take to get the last that was sent to it."""

_PATIENCE_IN_A_HURRY: Final = 0.5
"""How long, and how long it may take to answer the close, if that is hurried: within a second it is gone."""

_PATIENCE_AT_THE_END: Final = 1.0
"""How long it may take to read and answer the close of a gateway that stops."""


class EndingWebSocketProtocol(WebSocketsSansIOProtocol):
    """Ends connections whose client has stopped reading where Uvicorn would wait for it.

    What comes after a close is thrown away. Whoever inherits this reads and writes.
    """

    # Uvicorn's attributes too: the dictionary of so many takes 1.6 KiB, and what is new there goes into one.
    __slots__ = (
        "_is_deaf",
        "_owed_pong",
        "_socket",
        "_stuck",
        "_unparsed",
        "app",
        "app_state",
        "asgi_version",
        "client",
        "close_timeout",
        "close_timer",
        "config",
        "conn",
        "connections",
        "curr_msg_data_type",
        "default_headers",
        "disconnected",
        "frames",
        "handshake_initiated",
        "initial_response",
        "last_ping_rtt",
        "logger",
        "loop",
        "pending_ping_payload",
        "ping_interval",
        "ping_sent_at",
        "ping_timeout",
        "ping_timer",
        "pong_timer",
        "queue",
        "read_paused",
        "request",
        "response",
        "root_path",
        "scheme",
        "scope",
        "server",
        "tasks",
        "transport",
        "writable",
    )

    hurried: ClassVar[frozenset[int]] = frozenset()
    """The codes of closes that a client gets no time to read, beyond half a second."""
    too_large: ClassVar[TooLarge]
    """Returns the reason of the close for a message that has more bytes than this, which is the limit."""

    _unparsed: Unparsed
    _stuck: StuckWatch

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._socket = DirectSocket()
        super().__init__(*args, **kwargs)
        self.queue = Mailbox()  # type: ignore[assignment]  # it has what Uvicorn uses of asyncio's
        self.writable = Gate()  # type: ignore[assignment]
        self._is_deaf = False
        """Whether nothing more of what comes in is looked at."""
        self._owed_pong = b""

    # What Uvicorn's class keeps here is kept where it is looked at for every frame.

    @property
    def handshake_complete(self) -> bool:
        """Whether the handshake was answered, or will never be."""
        return self._socket.handshake_complete

    @handshake_complete.setter
    def handshake_complete(self, value: bool) -> None:
        self._socket.handshake_complete = value

    @property
    def close_sent(self) -> bool:
        """Whether nothing more may be sent."""
        return self._socket.close_sent

    @close_sent.setter
    def close_sent(self, value: bool) -> None:
        self._socket.close_sent = value

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget what was still to be done."""
        self._is_deaf = True
        self._unparsed.clear()
        self._owed_pong = b""
        self._stuck.end()
        super().connection_lost(exc)
        self._let_go()

    def _let_go(self) -> None:
        """Nothing comes any more: drop all that refers back to this, so that no collection has to find it."""
        if hasattr(self, "scope"):  # Uvicorn makes it of a handshake that it understands
            self.scope["state"].pop(ADMIT, None)
        self.conn.parser.close()
        error: BaseException | None = self.conn.parser_exc or self.conn.handshake_exc
        while error is not None:
            error.__traceback__ = None
            error = error.__context__

    def pause_writing(self) -> None:
        """Wait for the client to read, but not for ever."""
        super().pause_writing()
        self._socket.is_paused = True
        self._stuck.start()

    def _cut_off(self) -> None:
        self.disconnected = True
        self.transport.abort()

    def keepalive_timeout(self) -> None:
        """Close a connection whose client does not answer; what it has not read yet, it never will."""
        CUT_OFFS[Reason.SILENT] += 1
        super().keepalive_timeout()
        if self.transport.get_write_buffer_size():
            self.transport.abort()

    def leave(self, *, retry_after: float) -> None:
        """Close because the gateway stops, and tell the client after how many seconds to connect again."""
        if self.close_sent or not self.handshake_complete:
            return
        reason = f"This gateway is being stopped; retry after {retry_after:.1f} s"
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": CloseCode.SERVICE_RESTART, "reason": reason})
        self.conn.send_close(CloseCode.SERVICE_RESTART, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.close_timer = self.loop.call_later(_PATIENCE_AT_THE_END, self.transport.abort)

    def shutdown(self) -> None:
        """End, and do not wait for who does not read."""
        if self.handshake_complete:
            self.leave(retry_after=0)
        else:
            super().shutdown()
        self.loop.call_later(_PATIENCE_AT_THE_END, self.transport.abort)

    def handle_parser_exception(self) -> None:
        """Close for what is no WebSocket frame, or too large."""
        if self._is_deaf:
            return
        close = self.conn.close_sent
        if close is None:
            self.transport.abort()
        elif close.code == CloseCode.MESSAGE_TOO_BIG:
            self.conn.data_to_send()  # the close with the words of websockets, which name no setting
            reason = type(self).too_large(self.conn.max_message_size or 0)
            frame = Frame(Opcode.CLOSE, Close(close.code, reason).serialize())
            self._hear_no_more(close.code, reason, frame.serialize(mask=False))
        else:
            self._hear_no_more(close.code, close.reason)

    def _refuse_handshake(self) -> None:
        """Answer a handshake that websockets cannot read: its limits are lower than those of the HTTP parser."""
        self.handshake_complete = True
        self.close_sent = True
        self._unparsed.clear()
        output = b"".join(self.conn.data_to_send())
        if not output:
            self.conn.send_response(self.conn.reject(HTTPStatus.BAD_REQUEST, "The handshake is not valid.\n"))
            output = b"".join(self.conn.data_to_send())
        self.transport.write(output)
        self.transport.close()

    def _refuse(self, reason: str, code: CloseCode = CloseCode.POLICY_VIOLATION) -> None:
        """Close. What comes in after it is not looked at."""
        if self.close_sent:
            return
        if code is CloseCode.POLICY_VIOLATION:
            CUT_OFFS[Reason.FLOOD] += 1
        self.conn.fail(code, reason)
        self._hear_no_more(code, reason)

    def _hear_no_more(self, code: int, reason: str, close: bytes | None = None) -> None:
        """Send the close that there is to be sent, or this one, and end; the application is told of it."""
        self.frames = []
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        output = close or b"".join(self.conn.data_to_send())
        if self.close_sent or self.writable.is_set():
            if not self.transport.is_closing():
                self.transport.write(output)
            self.close_sent = True
            self._stop_listening()
        else:
            self.close_sent = True
            self.transport.abort()

    def _stop_listening(self) -> None:
        """Throw away what still comes; the client has some time to read the close before the connection is cut."""
        self._is_deaf = True
        self._owed_pong = b""
        self._unparsed.clear()
        self._unparsed.balance()
        if self.transport.can_write_eof() and not self.transport.is_closing():
            self.transport.write_eof()
        if self.close_timer is not None:
            self.close_timer.cancel()
        self.close_timer = self.loop.call_later(LINGER_SECONDS, self.transport.abort)

    async def _close(self, message: ASGISendEvent) -> None:
        """Close for the application, and wait for a client that does not read no longer than it deserves."""
        self.read_paused = False  # or Uvicorn would read on, however much waits
        is_hurried = message.get("code") in self.hurried
        try:
            async with asyncio.timeout(_PATIENCE_IN_A_HURRY if is_hurried else _PATIENCE):
                await super().send(message)
        except TimeoutError:
            CUT_OFFS[Reason.STUCK] += 1
            self.transport.abort()
            raise ClientDisconnected from None
        self._parse_soon()
        if self.close_timer is not None:
            self.close_timer.cancel()
            patience = _PATIENCE_IN_A_HURRY if is_hurried else self.close_timeout
            self.close_timer = self.loop.call_later(patience, self.transport.abort)

    def _parse_soon(self) -> None:
        """Look soon for what can be done with what is there."""
        raise NotImplementedError
