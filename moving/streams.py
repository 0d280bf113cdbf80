"""Reads and writes pipes, terminals and devices so that an interruption works while the other side is slow.

They are not made non-blocking, which would be so for whoever else has them open; they are asked before each step.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import time
from typing import TYPE_CHECKING, BinaryIO, Final

from userline.moving.checkpoint import MoveRefused

if TYPE_CHECKING:
    from pathlib import Path

READER_SECONDS: Final = 10.0
"""How long a named pipe waits for somebody to read it."""

_STEP: Final = 4096
"""A pipe that can be written takes as much without waiting (PIPE_BUF is no less)."""

_READ: Final = 1 << 18
_PAUSE_SECONDS: Final = 0.01
_STEPS_A_TURN: Final = 64


async def write_stream(descriptor: int, data: bytes, stop: asyncio.Event) -> None:
    """Write all of ``data``, or less if ``stop`` is set while nobody takes it. Raises OSError."""
    rest = memoryview(data)
    steps = 0
    while rest and await _ready(descriptor, select.POLLOUT, stop):
        rest = rest[os.write(descriptor, rest[:_STEP]) :]
        steps += 1
        if steps % _STEPS_A_TURN == 0:
            await asyncio.sleep(0)


async def read_stream(descriptor: int, copy: BinaryIO, stop: asyncio.Event) -> None:
    """Copy everything until the end, or less if ``stop`` is set. Raises OSError."""
    while await _ready(descriptor, select.POLLIN, stop) and not stop.is_set():
        data = os.read(descriptor, _READ)
        if not data:
            break
        copy.write(data)
        await asyncio.sleep(0)
    copy.flush()


async def open_to_write(path: Path, stop: asyncio.Event) -> int:
    """Open a pipe or a device that is there, and return its descriptor. Raises MoveRefused if nobody reads the pipe."""
    give_up = time.monotonic() + READER_SECONDS
    while True:
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            if stop.is_set() or time.monotonic() > give_up:
                raise MoveRefused(
                    f"No program reads from the pipe {path}. Start the reader first, or name a file."
                ) from None
            await asyncio.sleep(_PAUSE_SECONDS)
            continue
        os.set_blocking(descriptor, True)
        return descriptor


async def _ready(descriptor: int, event: int, stop: asyncio.Event) -> bool:
    """Wait until a descriptor can be read or written without waiting; return False if ``stop`` is set meanwhile."""
    poll = select.poll()
    poll.register(descriptor, event)
    while not poll.poll(0):
        if stop.is_set():
            return False
        await asyncio.sleep(_PAUSE_SECONDS)
    return True
