"""A process that watches: ``python -m bench.watch_client HOST PORT HOST PORT TOKEN``, driven by ``bench.watch_work``.

It costs as little as it can, so that it is not the limit: no event loop, no WebSocket library, one ``read`` for each
event. A frame from a server is a function of its operation's id and the event, and all sockets use the same id; so once
an event has been decoded and compared with the right one, the same bytes are the same event.
"""

from __future__ import annotations

import os
import select
import sys
import time
from itertools import cycle
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import orjson

from bench import users
from bench.sample import percentile
from bench.watch_socket import WatchSocket, Writer, WrongAnswer, is_one_frame

if TYPE_CHECKING:
    from collections.abc import Iterator

_BATCH: Final = 50
_WRITERS: Final = 32
_PATIENCE: Final = 60.0
_READ_BYTES: Final = 65_536


class Change(NamedTuple):
    """A change that its watcher has not heard of."""

    sent: float
    name: str
    writer: Writer


class WatchClient:
    """Sockets to one server, of which each watches one user. Changes are sent to ``writes_to``."""

    def __init__(self, address: tuple[str, int], writes_to: tuple[str, int], token: str) -> None:
        self._address = address
        self._writes_to = writes_to
        self._token = token
        self._poll = select.epoll()
        self._sockets: dict[int, WatchSocket] = {}
        self._changes = 0

    def open(self, count: int, watched: int, first: int, listed: int = 0) -> None:
        """Open so many more sockets, each with one subscription: to ``watched`` users in turn, from ``first`` on.

        Or each to the same list of ``listed`` users, if that is more than none.
        """
        for done in range(0, count, _BATCH):
            batch = [WatchSocket(self._address) for _ in range(min(_BATCH, count - done))]
            for step in (WatchSocket.shake_hands, WatchSocket.is_opened):
                for socket in batch:
                    step(socket)
            for socket in batch:
                socket.init(self._token)
            for socket in batch:
                socket.is_acknowledged()
            for socket in batch:
                if listed:
                    socket.subscribe_list("1", range(first, first + listed))
                else:
                    socket.subscribe("1", first + len(self._sockets) % watched)
                self._sockets[socket.fileno()] = socket
                self._poll.register(socket.fileno(), select.EPOLLIN)
            for socket in batch:
                if listed:
                    socket.expect_list(range(first, first + listed))
                else:
                    socket.expect_event(users.user(socket.user))

    def fan_out(self, seconds: float) -> dict[str, Any]:
        """Change the one watched user again and again, each time after everybody has heard of the change before."""
        user = next(iter(self._sockets.values())).user
        writer = Writer(self._writes_to, self._token)
        self._poll.register(writer.fileno(), select.EPOLLIN)
        arrivals: list[tuple[float, int]] = []
        started = time.perf_counter()
        while time.perf_counter() - started < seconds:
            name = self._new_name()
            sent = time.perf_counter()
            writer.write(user, name)
            left = len(self._sockets)
            known = b""
            while left or writer.is_busy:
                heard = 0
                for fd, _ in self._wait():
                    if fd == writer.fileno():
                        writer.finish()
                        continue
                    data = os.read(fd, _READ_BYTES)
                    if data == known:
                        heard += 1
                    elif self._sockets[fd].hears(data, name):
                        heard += 1
                        known = data if is_one_frame(data) else known
                left -= heard
                arrivals.append((time.perf_counter() - sent, heard))
        self._poll.unregister(writer.fileno())
        writer.close()
        return _outcome(arrivals, time.perf_counter() - started)

    def spread(self, seconds: float) -> dict[str, Any]:
        """Change all watched users in turn, several at a time; a writer goes on when its change has been heard of."""
        arrivals: list[tuple[float, int]] = []
        waiting: dict[int, Change] = {}
        watched = sorted({socket.user for socket in self._sockets.values()})
        numbers = cycle(watched)
        writers: dict[int, Writer] = {}
        started = time.perf_counter()
        for _ in range(min(_WRITERS, len(watched))):
            writer = Writer(self._writes_to, self._token)
            writers[writer.fileno()] = writer
            self._poll.register(writer.fileno(), select.EPOLLIN)
            self._change(writer, numbers, waiting)
        while waiting or any(writer.is_busy for writer in writers.values()):
            for fd, _ in self._wait():
                if fd in writers:
                    writer = writers[fd]
                    writer.finish()
                else:
                    socket = self._sockets[fd]
                    data = os.read(fd, _READ_BYTES)
                    change = waiting.get(socket.user)
                    if change is None or not socket.hears_anew(data, change.name):
                        if change is None:
                            socket.take(data)
                        continue
                    del waiting[socket.user]
                    arrivals.append((time.perf_counter() - change.sent, 1))
                    writer = change.writer
                is_done = not writer.is_busy and writer.user not in waiting
                if is_done and time.perf_counter() - started < seconds:
                    self._change(writer, numbers, waiting)
        elapsed = time.perf_counter() - started
        for fd, writer in writers.items():
            self._poll.unregister(fd)
            writer.close()
        return _outcome(arrivals, elapsed)

    def subscribe(self, seconds: float) -> dict[str, Any]:
        """On every socket, subscribe, hear of the user as it is, and unsubscribe, again and again."""
        arrivals: list[tuple[float, int]] = []
        sent: dict[int, float] = {}
        number = 0
        started = time.perf_counter()
        for socket in self._sockets.values():
            number += 1
            sent[socket.fileno()] = time.perf_counter()
            socket.resubscribe(number)
        while sent:
            for fd, _ in self._wait():
                socket = self._sockets[fd]
                if not socket.is_subscribed(os.read(fd, _READ_BYTES)):
                    continue
                now = time.perf_counter()
                arrivals.append((now - sent.pop(fd), 1))
                if now - started < seconds:
                    number += 1
                    sent[fd] = now
                    socket.resubscribe(number)
        return _outcome(arrivals, time.perf_counter() - started)

    def wait_for_command(self) -> bytes:
        """Return the next line of standard input; until then, answer pings."""
        self._poll.register(sys.stdin.fileno(), select.EPOLLIN)
        try:
            while True:
                for fd, _ in self._poll.poll():
                    if fd == sys.stdin.fileno():
                        return sys.stdin.buffer.readline()
                    self._sockets[fd].take(os.read(fd, _READ_BYTES))
        finally:
            self._poll.unregister(sys.stdin.fileno())

    def _wait(self) -> list[tuple[int, int]]:
        ready = self._poll.poll(_PATIENCE)
        if not ready:
            raise WrongAnswer(f"Nothing was heard for {_PATIENCE:.0f} s.")
        return ready

    def _new_name(self) -> str:
        self._changes += 1
        return f"Change {self._changes:07}"

    def _change(self, writer: Writer, numbers: Iterator[int], waiting: dict[int, Change]) -> None:
        number = next(number for number in numbers if number not in waiting)
        change = waiting[number] = Change(time.perf_counter(), self._new_name(), writer)
        writer.write(number, change.name)


def _outcome(arrivals: list[tuple[float, int]], seconds: float) -> dict[str, Any]:
    latencies = sorted(latency for latency, heard in arrivals for _ in range(heard))
    p50, p99 = (percentile(latencies, percent) * 1e3 for percent in (50, 99))
    return {"count": len(latencies), "seconds": seconds, "p50": p50, "p99": p99}


def main() -> None:
    """Obey commands, each a line of JSON with the name of a method and its arguments; answer each with a line."""
    host, port, writes_host, writes_port, token = sys.argv[1:]
    client = WatchClient((host, int(port)), (writes_host, int(writes_port)), token)
    try:
        while line := client.wait_for_command():
            command, *arguments = orjson.loads(line)
            busy = time.process_time()
            outcome = getattr(client, command)(*arguments)
            _answer({"outcome": outcome, "busy": time.process_time() - busy})
    except (WrongAnswer, OSError) as error:
        _answer({"error": f"{type(error).__name__}: {error}"})


def _answer(answer: dict[str, Any]) -> None:
    print(orjson.dumps(answer).decode(), flush=True)


main()
