"""What the system takes for sending alone: ``python -m bench.sending [--sockets N …]``.

A frame of an event's size is written to so many sockets in turn, by ``write(2)`` and nothing else, and again when a
process of its own has read it from all of them. It is the part of a delivery that no server can do without, and how it
grows with the number of sockets is how much a delivery must.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import resource
import select
import socket
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

_FRAME: Final = b"x" * 300
_WRITES: Final = 200_000


def _read(port: int, count: int, done: Connection) -> None:
    """Hold so many sockets; say so when a frame has come on each of them, again and again until they are closed."""
    sockets = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
    poll = select.epoll()
    for made in sockets:
        poll.register(made, select.EPOLLIN)
    done.send(None)
    heard = 0
    while True:
        for fd, _ in poll.poll():
            data = os.read(fd, 65_536)
            if not data:
                return
            heard += len(data)
        if heard == count * len(_FRAME):
            heard = 0
            done.send(None)


def measure(count: int, *, shuffled: bool = False) -> float:
    """Return the CPU time of one write to one of ``count`` sockets, in µs."""
    here, there = multiprocessing.Pipe()
    with socket.create_server(("127.0.0.1", 0), backlog=count) as listener:
        reader = multiprocessing.Process(target=_read, args=(listener.getsockname()[1], count, there), daemon=True)
        reader.start()
        sockets = [listener.accept()[0] for _ in range(count)]
    here.recv()
    for made in sockets:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    descriptors = [made.fileno() for made in sockets]
    if shuffled:
        random.shuffle(descriptors)
    rounds = max(3, _WRITES // count)
    _write(descriptors, here, 2)
    started = time.process_time()
    _write(descriptors, here, rounds)
    cost = (time.process_time() - started) / (rounds * count) * 1e6
    for made in sockets:
        made.close()
    reader.join()
    return cost


def _write(descriptors: list[int], heard: Connection, rounds: int) -> None:
    for _ in range(rounds):
        for descriptor in descriptors:
            os.write(descriptor, _FRAME)
        heard.recv()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m bench.sending", description=__doc__)
    parser.add_argument("--sockets", type=int, nargs="+", default=[1000, 5000], help="how many (default: 1000 5000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often, in turns (default: 3)")
    arguments = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    for _ in range(arguments.rounds):
        for count in arguments.sockets:
            in_order, shuffled = measure(count), measure(count, shuffled=True)
            print(f"{count:>6} sockets: {in_order:.2f} µs a write in the order of opening, {shuffled:.2f} µs in none")


if __name__ == "__main__":
    main()
