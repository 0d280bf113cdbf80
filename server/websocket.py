"""WebSocket connections whose floods cost the gateway little, and which end when they are to end."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, ClassVar, Final

from uvicorn.protocols.utils import ClientDisconnected
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import CloseCode

from userline.gateway.websocket.protocol import CloseCode as OurCloseCode
from userline.gateway.websocket.watches import DIRECT
from userline.server.cut_offs import CUT_OFFS, Reason
from userline.server.direct import DirectSocket
from userline.server.flow import Unparsed
from userline.server.linger import LINGER_SECONDS
from userline.server.stuck import StuckWatch
from userline.server.turns import Turns

if TYPE_CHECKING:
    from asyncio import BaseTransport

    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
    from websockets.frames import Frame
    from websockets.http11 import Request

_SLICE_BYTES: Final = 2048
"""How much is parsed before it is looked at whether to go on: a frame can be as small as six bytes."""

_CONTROL_FRAMES_PER_SECOND: Final = 10.0
_CONTROL_FRAMES_AT_ONCE: Final = 100
_FRAGMENTS: Final = 256
"""How many frames one message may come in."""

_BYTES_AFTER_CLOSE: Final = 262_144
"""How much is looked at while the gateway waits for the answer to its close."""

_PATIENCE: Final = 5.0
"""How long a client that reads slowly may take to get the last that was sent to it."""

_PATIENCE_ONCE_EXPIRED: Final = 0.5
"""How long, and how long it may take to answer the close, if its token has expired: within a second it is gone."""

_PATIENCE_AT_THE_END: Final = 1.0
"""How long it may take to read and answer the close of a gateway that stops."""


class BoundedWebSocketProtocol(WebSocketsSansIOProtocol):
    """Closes floods of control frames and of fragments (1008), answers pings only as fast as the answers are read,
    and aborts connections whose client has stopped reading where Uvicorn would wait for it.

    Frames are parsed a few at a time, and nothing more while the application has a message that it has not taken; while
    what waits is much, the connection is not read from. What comes after a close is thrown away.
    """  # noqa: D205 - one sentence

    direct: ClassVar[bool] = True
    turns: ClassVar[Turns]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._socket = DirectSocket()
        super().__init__(*args, **kwargs)
        self._waits = False
        """Whether parsing goes on in a later turn."""
        self._is_deaf = False
        """Whether nothing more of what comes in is looked at."""
        self._fragments = 0
        self._control_frames = 0.0
        self._counted_at = 0.0
        self._owed_pong = b""
        self._thrown_away = 0

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
        self.conn.parser.close()
        error: BaseException | None = self.conn.parser_exc or self.conn.handshake_exc
        while error is not None:
            error.__traceback__ = None
            error = error.__context__

    def data_received(self, data: bytes) -> None:
        """Parse what is there, until enough of it is under way."""
        if self._is_deaf:
            return
        if self.close_sent:
            self._thrown_away += len(data)
            if self._thrown_away > _BYTES_AFTER_CLOSE:
                self._stop_listening()
                return
        self._unparsed.append(data)
        if self._waits:
            self._unparsed.balance()
        else:
            self._parse()

    def _parse(self) -> None:
        self._waits = False
        unparsed = self._unparsed
        goes_on = False
        while (
            unparsed.position < len(unparsed.data)
            and not self.read_paused
            and not self._is_deaf
            and (self.handshake_complete or not self.handshake_initiated)  # what follows it waits for the answer
        ):
            if self.transport.is_closing():
                unparsed.clear()
                return
            if goes_on and self.turns.is_over():
                self._waits = True
                self.turns.wait(self._parse)
                break
            goes_on = True
            super().data_received(unparsed.take(_SLICE_BYTES))
            if self.conn.handshake_exc is not None and not self.handshake_initiated:
                self._refuse_handshake()
        unparsed.balance()

    def _parse_soon(self) -> None:
        self.read_paused = False
        if self._unparsed and not self._waits:
            self._waits = True
            self.loop.call_soon(self._parse)

    async def receive(self) -> ASGIReceiveEvent:
        """Return the next event; when there is none left, what has been read meanwhile is parsed."""
        message = await self.queue.get()
        if self.queue.empty():
            self._parse_soon()
        if self.turns.is_over():
            await self.turns.pass_on()
        return message

    async def send(self, message: ASGISendEvent) -> None:
        """Send; to close, wait for a client that does not read no longer than it deserves."""
        if message["type"] != "websocket.close":
            await super().send(message)
            if message["type"] == "websocket.accept":
                del self.request, self.response  # of no more use, and sockets stay for long
                self._parse_soon()
            elif self.initial_response is not None and self.close_sent:
                self.handshake_complete = True  # by a refusal, which Uvicorn would take for no answer at all
            return
        self.read_paused = False  # or Uvicorn would read on, however much waits
        expired = message.get("code") == OurCloseCode.TOKEN_EXPIRED
        try:
            async with asyncio.timeout(_PATIENCE_ONCE_EXPIRED if expired else _PATIENCE):
                await super().send(message)
        except TimeoutError:
            CUT_OFFS[Reason.STUCK] += 1
            self.transport.abort()
            raise ClientDisconnected from None
        self._parse_soon()
        if self.close_timer is not None:
            self.close_timer.cancel()
            patience = _PATIENCE_ONCE_EXPIRED if expired else self.close_timeout
            self.close_timer = self.loop.call_later(patience, self.transport.abort)

    def handle_text(self, event: Frame) -> None:
        """Count the first frame of a message."""
        self._fragments = 1
        super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        """Count the first frame of a message."""
        self._fragments = 1
        super().handle_bytes(event)

    def handle_cont(self, event: Frame) -> None:
        """Count a further frame of a message."""
        self._fragments += 1
        if self._fragments > _FRAGMENTS:
            self._refuse(f"A message has more than {_FRAGMENTS} frames")
        else:
            super().handle_cont(event)

    def handle_ping(self) -> None:
        """Answer, or owe the answer to a client that does not read: the newest one is enough (RFC 6455, 5.5.3)."""
        pong = b"".join(self.conn.data_to_send())
        if self._is_flood():
            return
        if self.writable.is_set():
            self.transport.write(pong)
        else:
            self._owed_pong = pong

    def handle_pong(self, event: Frame) -> None:
        """Take the answer to a ping of ours."""
        if not self._is_flood():
            super().handle_pong(event)

    def connection_made(self, transport: BaseTransport) -> None:
        """Start to watch whether the client reads."""
        super().connection_made(transport)
        self._socket.transport = self.transport
        self._unparsed = Unparsed(self.transport)
        self._stuck = StuckWatch(self.transport, self.loop, self._cut_off)

    def handle_connect(self, event: Request) -> None:
        """Begin a socket, and let the application write to it directly if it wants to."""
        super().handle_connect(event)
        if self.direct and not self.close_sent:
            self.scope["state"][DIRECT] = self._socket

    def pause_writing(self) -> None:
        """Wait for the client to read, but not for ever."""
        super().pause_writing()
        self._socket.is_paused = True
        self._stuck.start()

    def _cut_off(self) -> None:
        self.disconnected = True
        self.transport.abort()

    def resume_writing(self) -> None:
        """Go on sending, an owed answer first."""
        super().resume_writing()
        self._socket.is_paused = False
        self._stuck.stop()
        if self._socket.on_writable is not None:
            self._socket.on_writable()
        if self._owed_pong and not self.transport.is_closing():
            self.transport.write(self._owed_pong)
        self._owed_pong = b""

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

    def send_receive_event_to_app(self) -> None:
        """Hand over a message, and close for one that is no UTF-8; Uvicorn would log what a client did as a failure."""
        frames, self.frames = self.frames, []
        if self.close_sent:
            return
        data = frames[0] if len(frames) == 1 else b"".join(frames)
        if self.curr_msg_data_type == "bytes":
            self.queue.put_nowait({"type": "websocket.receive", "bytes": data})
        else:
            try:
                text = data.decode()
            except UnicodeDecodeError:
                self._refuse("A text message is not UTF-8", CloseCode.INVALID_DATA)
                return
            self.queue.put_nowait({"type": "websocket.receive", "text": text})
        self.read_paused = True

    def handle_parser_exception(self) -> None:
        """Close for what is no WebSocket frame, or too large."""
        if self._is_deaf:
            return
        close = self.conn.close_sent
        if close is not None:
            self._hear_no_more(close.code, close.reason)
        else:
            self.transport.abort()

    def _refuse_handshake(self) -> None:
        """Answer a handshake that websockets cannot read: its limits are lower than those of the HTTP parser."""
        self.handshake_complete = True
        self.close_sent = True
        self._unparsed.clear()
        output = b"".join(self.conn.data_to_send())
        if not output:
            self.conn.send_response(self.conn.reject(HTTPStatus.BAD_REQUEST, "The handshake cannot be read.\n"))
            output = b"".join(self.conn.data_to_send())
        self.transport.write(output)
        self.transport.close()

    def _is_flood(self) -> bool:
        """Count a control frame, and whether there are too many."""
        if self.close_sent:
            return True
        now = self.loop.time()
        forgotten = (now - self._counted_at) * _CONTROL_FRAMES_PER_SECOND
        self._control_frames = max(self._control_frames - forgotten, 0.0) + 1.0
        self._counted_at = now
        if self._control_frames <= _CONTROL_FRAMES_AT_ONCE:
            return False
        self._refuse("Too many control frames")
        return True

    def _refuse(self, reason: str, code: CloseCode = CloseCode.POLICY_VIOLATION) -> None:
        """Close. What comes in after it is not looked at."""
        if self.close_sent:
            return
        if code is CloseCode.POLICY_VIOLATION:
            CUT_OFFS[Reason.FLOOD] += 1
        self.conn.fail(code, reason)
        self._hear_no_more(code, reason)

    def _hear_no_more(self, code: int, reason: str) -> None:
        """Send the close that there is to be sent, and end; the application is told of it."""
        self.frames = []
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        output = b"".join(self.conn.data_to_send())
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


def make_websocket_protocol(*, direct: bool, turns: Turns | None = None) -> type[BoundedWebSocketProtocol]:
    """Return the protocol class, which lets applications write to sockets directly or not."""
    attributes: dict[str, Any] = {"direct": direct, "turns": turns or Turns()}
    return type("BoundedWebSocketProtocol", (BoundedWebSocketProtocol,), attributes)
