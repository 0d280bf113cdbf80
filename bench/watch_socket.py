"""Blocking sockets that know what they need of RFC 6455, graphql-transport-ws and HTTP/1.1, and no more."""

from __future__ import annotations

import base64
import os
import re
import socket
from typing import Any, Final

import orjson

from bench import users
from bench.http_load import post

_TEXT, _CLOSE, _PING, _PONG = 1, 8, 9, 10
_PATIENCE: Final = 60.0
_READ_BYTES: Final = 65_536
_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


class WrongAnswer(Exception):
    """The server sent something else than it should have, or nothing."""


class WatchSocket:
    """One WebSocket with one subscription, to the user with the number ``user``."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, _PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = b""
        self._texts: list[bytes] = []
        self._frame = b""
        self._name = b""
        self._operation = ""
        self.user = 0
        """The user who is watched, or the first of the list."""
        self._watches_list = False

    def fileno(self) -> int:
        return self._socket.fileno()

    def shake_hands(self) -> None:
        key = base64.b64encode(os.urandom(16)).decode()
        self._socket.sendall(
            "GET /graphql HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n"
            "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n".encode()
        )

    def is_opened(self) -> None:
        """Wait for the end of the handshake."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._buffer += self._read()
        if not self._buffer.startswith(b"HTTP/1.1 101"):
            raise WrongAnswer(f"The server refused a socket: {self._buffer[:200]!r}")
        self._buffer = self._buffer[end + 4 :]

    def init(self, token: str) -> None:
        self._send({"type": "connection_init", "payload": {"Authorization": f"Bearer {token}"}})

    def subscribe(self, operation: str, user: int) -> None:
        self._operation, self.user = operation, user
        self._send({"type": "subscribe", "id": operation, "payload": users.watch(user)})

    def subscribe_list(self, operation: str, numbers: range) -> None:
        self._operation, self.user, self._watches_list = operation, numbers[0], True
        self._send({"type": "subscribe", "id": operation, "payload": users.watch_many(numbers)})

    def expect_list(self, numbers: range) -> None:
        """Wait for the first events of a list, which must tell of all of it in its order."""
        told: list[dict[str, Any]] = []
        while len(told) < len(numbers):
            told += orjson.loads(self._next())["payload"]["data"]["usersChanged"]
        if told != [_changed(users.user(number)) for number in numbers]:
            raise WrongAnswer("The first events of a list do not tell of its users.")

    def resubscribe(self, number: int) -> None:
        """End the subscription, and begin another to another user."""
        self._send({"type": "complete", "id": self._operation})
        self.subscribe(f"{number:07}", number % users.USERS)

    def is_acknowledged(self) -> None:
        """Wait for the acknowledgement, which may say more than that it is one."""
        found = self._next()
        if orjson.loads(found).get("type") != "connection_ack":
            raise WrongAnswer(f"The server sent {found.decode()}, not connection_ack.")

    def expect(self, wanted: dict[str, Any]) -> None:
        """Wait for the next message, which must be this one."""
        found = self._next()
        if orjson.loads(found) != wanted:
            raise WrongAnswer(f"The server sent {found.decode()}, not {wanted}.")

    def _next(self) -> bytes:
        while not self._texts:
            self.take(self._read())
        return self._texts.pop(0)

    def expect_event(self, user: dict[str, Any]) -> None:
        """Wait for the next event of the subscription, which must be this user."""
        data = {"usersChanged": [_changed(user)]} if self._watches_list else {"userChanged": user}
        self.expect({"type": "next", "id": self._operation, "payload": {"data": data}})

    def is_subscribed(self, data: bytes) -> bool:
        """Return whether the first event of the subscription is now here."""
        self.take(data)
        # A server may confirm that the subscription before is over.
        self._texts = [text for text in self._texts if orjson.loads(text)["type"] != "complete"]
        if not self._texts:
            return False
        self.expect_event(users.user(self.user))
        return True

    def hears(self, data: bytes, name: str) -> bool:
        """Take what was read, and return whether the event of a change to this name is now here."""
        self.take(data)
        if not self._texts:
            return False
        self.expect_event(users.user(self.user) | {"name": name})
        return True

    def hears_anew(self, data: bytes, name: str) -> bool:
        """Do what ``hears`` does, where no other socket hears the same.

        The event's frame is the one before with another name of the same length: there is nothing to decode.
        """
        new = name.encode()
        if self._frame and data == self._frame.replace(self._name, new):
            self._frame, self._name = data, new
            return True
        if not self.hears(data, name):
            return False
        self._frame, self._name = data if is_one_frame(data) else b"", new
        return True

    def take(self, data: bytes) -> None:
        """Take bytes: texts are kept, pings are answered. Raises WrongAnswer if the socket is closed."""
        if not data:
            raise WrongAnswer("The server closed a socket.")
        self._buffer += data
        while (frame := _frame_of(self._buffer)) is not None:
            opcode, start, end = frame
            payload, self._buffer = self._buffer[start:end], self._buffer[end:]
            if opcode == _TEXT:
                self._texts.append(payload)
            elif opcode == _PING:
                self._socket.sendall(_masked(_PONG, payload))
            elif opcode == _CLOSE:
                raise WrongAnswer(f"The server closed a socket: {payload!r}")

    def _read(self) -> bytes:
        data = self._socket.recv(_READ_BYTES)
        if not data:
            raise WrongAnswer("The server closed a socket.")
        return data

    def _send(self, message: dict[str, Any]) -> None:
        self._socket.sendall(_masked(_TEXT, orjson.dumps(message)))


class Writer:
    """A connection that changes users, one at a time; the last was the one with the number ``user``."""

    def __init__(self, address: tuple[str, int], token: str) -> None:
        self._socket = socket.create_connection(address, _PATIENCE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._token = token
        self.user = 0
        self._wanted: dict[str, Any] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether there is an answer to wait for."""
        return self._wanted is not None

    def fileno(self) -> int:
        return self._socket.fileno()

    def close(self) -> None:
        self._socket.close()

    def write(self, user: int, name: str) -> None:
        self.user = user
        operation = users.write(user, name)
        self._wanted = operation.answer
        self._socket.sendall(post(operation.body, self._token))

    def finish(self) -> None:
        """Wait for the answer, which must be the right one."""
        data = b""
        while not _is_whole(data):
            more = self._socket.recv(_READ_BYTES)
            if not more:
                raise WrongAnswer("The server closed the connection of a change.")
            data += more
        head, _, body = data.partition(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200") or orjson.loads(body) != self._wanted:
            raise WrongAnswer(f"The server answers {data[:1000]!r} to a change, not {self._wanted}.")
        self._wanted = None


def _changed(user: dict[str, Any]) -> dict[str, Any]:
    return {"id": user["id"], "user": user}


def is_one_frame(data: bytes) -> bool:
    """Return whether that is one whole frame, and nothing else."""
    frame = _frame_of(data)
    return frame is not None and frame[2] == len(data)


def _is_whole(answer: bytes) -> bool:
    end = answer.find(b"\r\n\r\n")
    length = _LENGTH.search(answer, 0, end) if end >= 0 else None
    return length is not None and len(answer) >= end + 4 + int(length[1])


def _masked(opcode: int, payload: bytes) -> bytes:
    """Return a frame; a mask of zeros leaves the payload as it is."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else bytes([0x80 | 126]) + size.to_bytes(2)
    return bytes([0x80 | opcode]) + length + bytes(4) + payload


def _frame_of(buffer: bytes) -> tuple[int, int, int] | None:
    """Return the opcode, start and end of the first frame, or None if it is not complete."""
    have = len(buffer)
    start = 2
    if have < start:
        return None
    size = buffer[1]
    if size >= 126:
        extended = 2 if size == 126 else 8
        if have < start + extended:
            return None
        size = int.from_bytes(buffer[start : start + extended])
        start += extended
    return (buffer[0] & 0x0F, start, start + size) if have >= start + size else None
