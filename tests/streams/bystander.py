"""Somebody else: asks for ``/healthz`` all the time, in a process of its own, and tells how long it took at worst.

``python bystander.py PORT PID``. It begins with ``begin`` on standard input, and stops with ``end``; for each it writes
a line: the longest time in seconds since the line before, the longest as it was measured, and the most and the present
memory of the gateway in bytes. The first does without the time in which a processor was waited for, by this process or
by the gateway: it is what the gateway is to blame for, on a machine that does other things as well.
"""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from pathlib import Path

_REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
_PAUSE = 0.003
_PAGE = os.sysconf("SC_PAGE_SIZE")


def waited(schedstat: Path) -> float:
    """Return for how long a process has waited for a processor, if the system tells."""
    try:
        return int(schedstat.read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def resident(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * _PAGE


class Bystander:
    def __init__(self, port: int, process: int) -> None:
        self.port = port
        self.process = process
        self.waits = (Path(f"/proc/{process}/schedstat"), Path("/proc/self/schedstat"))
        self.connect()
        self.forget()

    def connect(self) -> None:
        """Open the connection that is kept for as long as something is asked."""
        self.connection = socket.create_connection(("127.0.0.1", self.port), 300)

    def forget(self) -> None:
        self.worst = self.worst_measured = 0.0
        self.memory = resident(self.process)

    def ask(self) -> None:
        before = [waited(path) for path in self.waits]
        started = time.perf_counter()
        self.connection.sendall(_REQUEST)
        answer = b""
        while not answer.endswith(b"}"):
            part = self.connection.recv(4096)
            if not part:
                raise ConnectionError(answer)
            answer += part
        seconds = time.perf_counter() - started
        self.worst_measured = max(self.worst_measured, seconds)
        blameless = sum(waited(path) - since for path, since in zip(self.waits, before, strict=True))
        self.worst = max(self.worst, seconds - max(blameless, 0.0))
        self.memory = max(self.memory, resident(self.process))

    def run(self) -> None:
        asks = False
        while True:
            ready, _, _ = select.select([sys.stdin], [], [], _PAUSE if asks else None)
            if ready:
                line = sys.stdin.readline()
                if not line:
                    return
                if line == "begin\n":
                    self.connection.close()
                    self.connect()
                self.ask()
                print(self.worst, self.worst_measured, self.memory, resident(self.process), flush=True)
                self.forget()
                asks = line == "begin\n"
            elif asks:
                self.ask()


if __name__ == "__main__":
    Bystander(int(sys.argv[1]), int(sys.argv[2])).run()
