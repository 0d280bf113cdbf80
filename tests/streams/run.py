"""Sends streams one after the other to four gateways, with somebody else at each, and judges what they cost."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.streams.bystander import resident
from tests.streams.driver import Driver
from tests.streams.stream import VARIANTS, Stream
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET, token_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMITS: Final = ("--header-seconds", "1", "--connection-init-seconds", "2", "--ping-seconds", "5", "--no-access-log")
_UNLIMITED: Final = ("--rate-limit-per-second", "0")
_FLAGS: Final = ((*LIMITS, *_UNLIMITED), (*LIMITS, "--no-fast-lane"), LIMITS, (*LIMITS, "--no-fast-lane", "--no-plans"))
_GUARDED: Final = (False, False, True, True)
_AGAIN: Final = 2
"""How often a stream is sent again before its cost is believed: others may use the machine."""

_LONGEST_SECONDS: Final = 60.0
"""After which it is not waited for a bystander any longer."""

MOST_BYTES: Final = 16 * 1_048_576


class Place:
    """One gateway and a bystander of it."""

    def __init__(self, directory: Path, variant: int) -> None:
        directory.mkdir()
        self.token = b"" if not _GUARDED[variant] else token_of(("alice", None)[variant % 2]).encode()
        env = {"USERLINE_SECRET": SECRET} if _GUARDED[variant] else {}
        self.gateway = RunningGateway(directory, *_FLAGS[variant], env=env)
        self.log = next(directory.glob("gateway-*.log"))
        self.read = 0
        process = self.gateway.process.pid
        self.port = int(self.gateway.url.rpartition(":")[2])
        with contextlib.suppress(OSError):  # not everybody may, and it is only to be surer of what is measured
            os.setpriority(os.PRIO_PROCESS, process, -10)
        self._bystander = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("bystander.py")), str(self.port), str(process)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self._bystander.pid, -10)

    def begin(self) -> int:
        """Have the bystander begin, and return how much memory the gateway has."""
        return self._tell("begin")[3]

    def end(self) -> tuple[float, float, int]:
        """Have it stop; return what it has seen: the longest time, the longest as measured, and the most memory."""
        return self._tell("end")[:3]

    def _tell(self, word: str) -> tuple[float, float, int, int]:
        assert self._bystander.stdin
        assert self._bystander.stdout
        try:
            self._bystander.stdin.write(f"{word}\n")
            self._bystander.stdin.flush()
            if not select.select([self._bystander.stdout], [], [], _LONGEST_SECONDS)[0]:
                raise AssertionError(f"A bystander has waited for {_LONGEST_SECONDS:g} s, and waits.")
            worst, measured, memory, present = self._bystander.stdout.readline().split()
        except (BrokenPipeError, ValueError):
            raise AssertionError(f"The bystander is gone, and the gateway:\n{self.gateway.log[-3000:]}") from None
        return float(worst), float(measured), int(memory), int(present)

    def resident(self) -> int:
        return resident(self.gateway.process.pid)

    def complaints(self) -> list[str]:
        """Return what the gateway has logged since it was asked last and no client should make it log."""
        with self.log.open("rb") as file:
            file.seek(self.read)
            text = file.read().decode()
            self.read = file.tell()
        return [f"the log says {text[-3000:]}"] if "Traceback" in text or "xception" in text else []

    def stop(self) -> None:
        self._bystander.kill()
        self._bystander.communicate()
        self.gateway.kill()


class Run:
    """Streams from a number on. ``most_seconds`` is what a bystander may have to wait."""

    def __init__(self, directory: Path, most_seconds: float, say: Callable[[str], None] = print) -> None:
        self.most_seconds = most_seconds
        self.say = say
        self.places = [Place(directory / f"gateway-{variant}", variant) for variant in range(VARIANTS)]
        self.streams = 0
        self.bytes = 0
        self.problems: list[str] = []
        self.worst_seconds: tuple[float, str] = (0.0, "")
        self.worst_measured = 0.0
        self.worst_bytes: tuple[int, str] = (0, "")
        self.statuses: Counter[int | None] = Counter()
        self.closes: Counter[int] = Counter()
        self.memory = [place.begin() for place in self.places]
        for place in self.places:
            place.end()

    def send(self, stream: Stream) -> list[str]:
        """Send one stream, and return what is wrong with it. What it has cost is measured again if it was too much."""
        problems: list[str] = []
        for attempt in range(_AGAIN + 1):
            problems, costs = self._send(stream)
            if problems or not costs:
                break
            self.say(f"  {stream}: {', '.join(costs)}" + (", once more" if attempt < _AGAIN else ""))
            problems = costs
        self.streams += 1
        return problems

    def _send(self, stream: Stream) -> tuple[list[str], list[str]]:
        place = self.places[stream.variant]
        before = place.begin()
        driver = Driver(place.port, stream, stream.make(place.token))
        problems = driver.run()
        seconds, measured, memory = place.end()
        problems += place.complaints()
        self.bytes += driver.written
        self.statuses[driver.received.status] += 1
        if driver.received.close:
            self.closes[driver.received.close[0]] += 1
        grown = memory - before
        self.worst_seconds = max(self.worst_seconds, (seconds, str(stream)))
        self.worst_measured = max(self.worst_measured, measured)
        self.worst_bytes = max(self.worst_bytes, (grown, str(stream)))
        costs = []
        if seconds > self.most_seconds:
            costs.append(f"a bystander waited {seconds * 1000:.0f} ms")
        if grown > MOST_BYTES:
            costs.append(f"the gateway grew by {grown / 1_048_576:.1f} MiB")
        return problems, costs

    def go(self, seconds: float, seed: int = 0, *, count: int | None = None) -> None:
        """Send streams for so long, or so many."""
        ends = time.monotonic() + seconds
        said_at = time.monotonic()
        while time.monotonic() < ends and (count is None or self.streams < count):
            stream = Stream.of(seed)
            for problem in self.send(stream):
                self.problems.append(f"{stream}: {problem}")
                self.say(f"PROBLEM: {self.problems[-1]}")
            seed += 1
            if time.monotonic() - said_at > 30:
                said_at = time.monotonic()
                self.say(self.summary())

    def summary(self) -> str:
        grown = max(place.resident() - before for place, before in zip(self.places, self.memory, strict=True))
        seconds, slowest = self.worst_seconds
        size, largest = self.worst_bytes
        return (
            f"{self.streams} streams, {self.bytes / 1e9:.1f} GB, {len(self.problems)} problems\n"
            f"  a bystander waited {seconds * 1000:.0f} ms at most ({slowest}); "
            f"{self.worst_measured * 1000:.0f} ms with what the machine did besides\n"
            f"  memory grew by {size / 1_048_576:.1f} MiB at most ({largest}), "
            f"{grown / 1_048_576:+.1f} MiB since the start\n"
            f"  statuses {dict(self.statuses)}, closes {dict(self.closes)}"
        )

    def stop(self) -> None:
        for place in self.places:
            place.stop()


@contextlib.contextmanager
def running(directory: Path, most_seconds: float) -> Iterator[Run]:
    """Start gateways, and stop them on the way out."""
    run = Run(directory, most_seconds)
    try:
        yield run
    finally:
        run.stop()
