"""Ports of the loopback address for servers that are killed and come back."""

from __future__ import annotations

import os
import random
import socket
from typing import Final

_FIRST: Final = 20_000
_LAST: Final = 32_000
_WORKERS: Final = 8
"""Into how many parts the ports are divided, one for each process that runs tests at the same time."""


def free_port() -> int:
    """Return a port that nothing listens on just now, and that no outgoing connection is given.

    A port that the kernel hands out itself may be taken while its server is dead, even by a client that tries to reach
    that server and connects to itself.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _WORKERS
    share = (_LAST - _FIRST) // _WORKERS
    while True:
        port = _FIRST + worker * share + random.randrange(share)
        try:
            with socket.create_server(("127.0.0.1", port)):
                return port
        except OSError:
            continue
