"""Writes one stream as fast as it is taken, and says what is wrong with how it ended."""

from __future__ import annotations

import re
import select
import socket
import struct
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.streams.kinds import Made
    from tests.streams.stream import Stream

_WRITING_SECONDS: Final = 3.0
"""After which the client has written enough, however little the gateway has taken."""
_STUCK_SECONDS: Final = 0.4
"""After which it has, if the gateway takes nothing at all."""
_QUIET_SECONDS: Final = 0.2
_ANSWER_SECONDS: Final = 8.0
"""How long an answer may take, the times included in which heads and first messages have to arrive."""
_END_SECONDS: Final = 5.0
"""How long it may take until a connection is closed of which nothing more is wanted, after the last answer."""
_ENOUGH_SECONDS: Final = 5.5
"""For how long a client reads answers that it has asked for by the thousand."""

_STATUS: Final = re.compile(rb"HTTP/1\.[01] (\d{3}) ")
_FINE: Final = frozenset((101, 200, 201, 204, 304, 307))
_CLOSES: Final = frozenset((1000, 1002, 1003, 1007, 1008, 1009, 1012))


class Received:
    """What came back: the beginning, how much, and the close of a socket."""

    def __init__(self) -> None:
        self.head = b""
        self.size = 0
        self.close: tuple[int, str] | None = None
        self.is_over = False
        """Whether the gateway has ended the connection."""
        self._left = 0
        self._frames: bytes | None = None

    @property
    def status(self) -> int | None:
        """The status of the first answer."""
        match = _STATUS.match(self.head)
        return int(match[1]) if match else None

    @property
    def is_socket(self) -> bool:
        return self._frames is not None

    def add(self, data: bytes) -> None:
        self.size += len(data)
        if self._frames is None:
            if len(self.head) < 65_536:
                self.head += data
            place = self.head.find(b"\r\n\r\n")
            if self.head.startswith(b"HTTP/1.1 101 ") and place >= 0:
                self._frames, data = b"", self.head[place + 4 :]
            else:
                return
        self._read_frames(data)

    def _read_frames(self, data: bytes) -> None:
        """Pass over frames until there is a close."""
        if self._left:
            passed = min(self._left, len(data))
            self._left -= passed
            data = data[passed:]
        frames = (self._frames or b"") + data
        while len(frames) >= 2:
            length, start = frames[1], 2
            if length >= 126:
                start = 4 if length == 126 else 10
                length = int.from_bytes(frames[2:start], "big")
            is_close = frames[0] == 0x88
            if len(frames) < start + (length if is_close else 0):
                break
            if is_close and self.close is None:
                payload = frames[2 : 2 + length]
                self.close = (int.from_bytes(payload[:2], "big"), payload[2:].decode())
            self._left = max(start + length - len(frames), 0)
            frames = frames[start + length :]
        self._frames = frames


class Driver:
    """One client."""

    def __init__(self, port: int, stream: Stream, made: Made) -> None:
        self.stream = stream
        self.made = made
        self.received = Received()
        self.written = 0
        self.has_reset = False
        self._may_write = True
        self._reads_at = 0.0
        self.socket = socket.create_connection(("127.0.0.1", port), 10)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if stream.reads != "always":
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.setblocking(False)

    def run(self) -> list[str]:
        """Do everything, and return what is wrong."""
        with self.socket:
            self._write(self.made.first, self.stream.steps)
            if self.made.is_socket:
                self._read_something()
            if self.made.init:
                self._write(self.made.init)
                self._read_something()
            self._flood()
            return self._end()

    def _write(self, data: bytes, steps: tuple[int, ...] = ()) -> None:
        place = 0
        for step in steps:
            self._write_part(memoryview(data)[place : place + step])
            place += step
            if place >= len(data) or not self._may_write:
                return
            if self.stream.pause:
                time.sleep(self.stream.pause)
        self._write_part(memoryview(data)[place:])

    def _write_part(self, data: memoryview) -> None:
        began = moved = time.monotonic()
        while data and self._may_write and self._goes_on(began, moved):
            sent = self._turn(data)
            data = data[sent:]
            if sent:
                moved = time.monotonic()

    @staticmethod
    def _goes_on(began: float, moved: float) -> bool:
        """Whether it is not yet long since writing began, and something was taken of late."""
        now = time.monotonic()
        return now - began < _WRITING_SECONDS and now - moved < _STUCK_SECONDS

    def _flood(self) -> None:
        began = moved = time.monotonic()
        left, unit = self.stream.size, memoryview(self.made.again)
        place = 0
        while left > 0 and unit and self._may_write and self._goes_on(began, moved):
            sent = self._turn(unit[place : place + min(left, len(unit))])
            if sent:
                moved = time.monotonic()
            self.written += sent
            left -= sent
            place = (place + sent) % len(unit)

    def _turn(self, data: memoryview | None = None, seconds: float = 0.1) -> int:
        """Write and read what can be written and read; return how much was written."""
        wants = [self.socket] if self._reads() and not self.received.is_over else []
        readable, writable, _ = select.select(wants, [self.socket] if data else [], [], seconds)
        sent = 0
        if writable and data:
            try:
                sent = self.socket.send(data)
            except BlockingIOError:
                pass
            except OSError:
                self._may_write = False
        if readable:
            self._read()
        return sent

    def _reads(self) -> bool:
        if self.stream.reads == "never":
            return False
        return self.stream.reads == "always" or time.monotonic() >= self._reads_at

    def _read(self) -> None:
        try:
            data = self.socket.recv(1024 if self.stream.reads == "slowly" else 262_144)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if self.stream.reads == "slowly":
            self._reads_at = time.monotonic() + 0.02
        if data:
            self.received.add(data)
        else:
            self.received.is_over = True
            self._may_write = False

    def _read_something(self) -> None:
        """Read the answer to the handshake or to what the client says of itself, as everybody does."""
        ends, size = time.monotonic() + _ANSWER_SECONDS, self.received.size
        while self.received.size == size and not self.received.is_over and time.monotonic() < ends:
            if select.select([self.socket], [], [], 0.1)[0]:
                self._read()

    def _read_on(self, quiet: float, most: float) -> bool:
        """Read until nothing came for a while or it is enough; return whether the gateway has ended the connection."""
        began = heard = time.monotonic()
        size = self.received.size
        while not self.received.is_over and time.monotonic() - heard < quiet and time.monotonic() - began < most:
            self._turn(seconds=0.05)
            if self.received.size != size:
                size, heard = self.received.size, time.monotonic()
        return self.received.is_over or time.monotonic() - began >= most

    def _end(self) -> list[str]:
        """End as the stream does, and judge what came back."""
        if self.stream.ends == "reset" or self.stream.reads != "always":
            # Of a client that does not read, it can be seen from outside alone that it costs nothing.
            self.has_reset = True
            if self.stream.reads == "never":
                time.sleep(0.1)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return self._wrong_status()
        if self.stream.ends == "half":
            said_so_first = not self.received.is_over
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError:
                said_so_first = False
            if not self._read_on(_END_SECONDS, _ENOUGH_SECONDS):
                return [f"the connection is still there {_END_SECONDS:g} s after the client has ended it"]
            return self._wrong_end(said_so_first)
        return self._wait()

    def _wait(self) -> list[str]:
        self._read_on(_QUIET_SECONDS if self.received.size else _ANSWER_SECONDS, _ANSWER_SECONDS)
        if self.received.size == 0 and self.made.asks and self._is_asked():
            return [f"no answer within {_ANSWER_SECONDS:g} s"]
        return self._wrong_end(said_so_first=True) if not self.received.is_over else self._wrong_end(False)

    def _is_asked(self) -> bool:
        """Whether a whole request was written."""
        return bool(self.made.first) or self.written >= len(self.made.again)

    def _wrong_status(self) -> list[str]:
        status = self.received.status
        if status is None:
            return [] if not self.received.head else [f"the answer is {self.received.head[:100]!r}"]
        if status >= 500:
            return [f"the status is {status}: {self.received.head[:500]!r}"]
        return []

    def _wrong_end(self, said_so_first: bool) -> list[str]:
        wrong = self._wrong_status()
        received = self.received
        if not received.size and (self.made.asks and self._is_asked()):
            wrong.append("no answer came")
        if said_so_first or not received.is_over:
            return wrong
        if received.is_socket:
            wrong += self._wrong_close()
        elif not received.size:
            wrong.append("the gateway has closed the connection without a word")
        return wrong

    def _wrong_close(self) -> list[str]:
        close = self.received.close
        if close is None:
            return ["the gateway has closed the socket without a close frame"]
        code, reason = close
        if code in (0, 1000) or ((code in _CLOSES or 4400 <= code < 4500) and reason):
            return []
        return [f"the close is {code} {reason!r}"]
