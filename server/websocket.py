"""WebSocket connections with limits against floods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

from websockets.frames import CloseCode

from userline.server.direct import ADMIT, DIRECT
from userline.server.drain import Drain
from userline.server.flow import Unparsed
from userline.server.listeners import client_of
from userline.server.stuck import StuckWatch
from userline.server.turns import Turns
from userline.server.websocket_end import EndingWebSocketProtocol

if TYPE_CHECKING:
    from asyncio import BaseTransport

    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent
    from websockets.frames import Frame
    from websockets.http11 import Request

    from userline.server.websocket_end import TooLarge

_SLICE_BYTES: Final = 2048
"""How much is parsed before it is looked at whether to go on: a frame can be as small as six bytes."""

_CONTROL_FRAMES_PER_SECOND: Final = 10.0

_CONTROL_FRAMES_AT_ONCE: Final = 100

_FRAGMENTS: Final = 256
"""How many frames one message may come in."""

_BYTES_AFTER_CLOSE: Final = 262_144
"""How much is looked at while the gateway waits for the answer to its close."""


def _too_large(most: int) -> str:
    return f"A message has more than {most} bytes"


class ControlFrames:
    """Counts the pings and pongs that a client has sent lately."""

    __slots__ = ("_at", "_level")

    def __init__(self) -> None:
        self._level = 0.0
        self._at = 0.0

    def count(self, now: float) -> bool:
        """Count one more, and return whether there are too many."""
        self._level = max(self._level - (now - self._at) * _CONTROL_FRAMES_PER_SECOND, 0.0) + 1.0
        self._at = now
        return self._level > _CONTROL_FRAMES_AT_ONCE


class BoundedWebSocketProtocol(EndingWebSocketProtocol):
    """Closes floods of control frames and of fragments (1008), answers pings only as fast as the answers are read,
    and aborts connections whose client has stopped reading where Uvicorn would wait for it.

    Frames are parsed a few at a time, and nothing more while the application has a message that it has not taken; while
    what waits is much, the connection is not read from. What comes after a close is thrown away.
    """  # noqa: D205 - one sentence

    __slots__ = ("_control_frames", "_fragments", "_thrown_away", "_waits")

    direct: ClassVar[bool] = True
    drain: ClassVar[Drain]
    turns: ClassVar[Turns]
    first_bytes: ClassVar[int | None] = None
    """How large a message may be before the application knows the client, where that is less than afterwards."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        most = self.conn.max_message_size
        if self.first_bytes is not None and (most is None or self.first_bytes < most):
            self.conn.max_message_size = self.first_bytes
        self._waits = False
        """Whether parsing goes on in a later turn."""
        self._fragments = 0
        self._control_frames = ControlFrames()
        self._thrown_away = 0

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
            super().data_received(unparsed.read(_SLICE_BYTES))
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
        if message["type"] == "websocket.close":
            await self._close(message)
            return
        await super().send(message)
        if message["type"] == "websocket.accept":
            self.request.headers.clear()  # of no more use, and sockets stay for long; websockets holds the request
            del self.request, self.response
            if self.drain.begun:
                self.leave(retry_after=self.drain.newcomer_hint())
            self._parse_soon()
        elif self.initial_response is not None and self.close_sent:
            self.handshake_complete = True  # by a refusal, which Uvicorn would take for no answer at all

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
        self.client = client_of(transport, self.client)
        self._socket.transport = self.transport
        self._unparsed = Unparsed(self.transport)
        self._stuck = StuckWatch(self.transport, self.loop, self._cut_off)

    def handle_connect(self, event: Request) -> None:
        """Begin a socket, and let the application write to it directly if it wants to."""
        super().handle_connect(event)
        if self.close_sent:
            return
        self.scope["state"][ADMIT] = self._admit
        if self.direct:
            self.scope["state"][DIRECT] = self._socket

    def _admit(self) -> None:
        """Take messages as large as they may be."""
        self.conn.max_message_size = self.config.ws_max_size

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

    def _is_flood(self) -> bool:
        """Count a control frame, and whether there are too many."""
        if self.close_sent:
            return True
        if not self._control_frames.count(self.loop.time()):
            return False
        self._refuse("Too many control frames")
        return True


def make_websocket_protocol(  # noqa: PLR0913 - each is a limit, or a part that the server is handed
    *,
    direct: bool,
    turns: Turns | None = None,
    drain: Drain | None = None,
    hurried: frozenset[int] = frozenset(),
    first_bytes: int | None = None,
    too_large: TooLarge = _too_large,
) -> type[BoundedWebSocketProtocol]:
    """Return the protocol class, which lets applications write to sockets directly or not.

    A client gets no time to read a close with one of the ``hurried`` codes. New sockets of a gateway that stops are
    accepted and asked to leave, because a browser does not show why a handshake was refused. Before the application
    says that it knows a client, by what the state of the scope has under ``ADMIT``, a message has at most
    ``first_bytes``. ``too_large`` makes the reason of the close for a message that has more bytes than it is given.
    """
    attributes: dict[str, Any] = {
        "direct": direct,
        "turns": turns or Turns(),
        "drain": drain or Drain(0),
        "hurried": hurried,
        "first_bytes": first_bytes,
        "too_large": staticmethod(too_large),
    }
    return type("BoundedWebSocketProtocol", (BoundedWebSocketProtocol,), {"__slots__": (), **attributes})
