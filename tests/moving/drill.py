"""A drill: users are generated, imported with interruptions, and exported equal, through the command itself.

``python -m tests.moving.drill --users 1000000 --store sqlite`` takes some minutes; ``--store mongodb`` runs it on the
stand-in, or with ``--url`` on any store that is empty.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import orjson

from tests.moving.generated import write_users
from tests.support.mongodb import MongoServer

_LEFT = re.compile(r"Continuing after line ([\d,]+)")


class OverTooSoonError(AssertionError):
    """A command ended before it could be interrupted."""


class Command:
    """A run of ``userline import`` or ``userline export`` in a process of its own."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("USERLINE_")}
        self._log = directory / f"command-{time.monotonic_ns()}.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "userline", *arguments], cwd=directory, env=clean, stdout=log, stderr=log
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    def wait(self, seconds: float = 3600) -> int:
        return self._process.wait(seconds)

    def interrupt(self, when: float, progress: Path, whole: int, number: signal.Signals) -> int:
        """Send a signal when so much is done of what ``progress`` says is left; return the exit code.

        Raises OverTooSoonError if the command ended before that.
        """
        before = _share(progress, whole)
        when = before + when * (1 - before)
        while self._process.poll() is None and _share(progress, whole) < when:
            time.sleep(0.005)
        if self._process.poll() is not None:
            raise OverTooSoonError(self.output)
        self._process.send_signal(number)
        return self.wait()


def _interrupt_export(directory: Path, flags: tuple[str, str], when: float, number: signal.Signals, whole: int) -> None:
    """Interrupt an export. A busy machine may let it end before that: then another one is interrupted.

    At most four are begun.
    """
    target, part = directory / "again.jsonl", directory / "again.jsonl.part"
    for patience in reversed(range(4)):
        command = Command(directory, "export", target.name, *flags)
        try:
            command.interrupt(when, part, whole, number)
        except OverTooSoonError:
            if not patience:
                raise
            target.unlink()
        else:
            return


def _share(progress: Path, whole: int) -> float:
    """Return how much is done, as a checkpoint or the file of an export under way tells."""
    if progress.suffix == ".part":
        return progress.stat().st_size / whole if progress.exists() else 0.0
    try:
        state = orjson.loads(progress.read_bytes())
    except (FileNotFoundError, orjson.JSONDecodeError):
        return 0.0
    return float(state["offset"]) / whole if state["phase"] == "write" else 0.0


def drill(directory: Path, store_url: str, count: int) -> list[str]:
    """Run it; return what it has to say. Raises AssertionError if anything is not as it should be."""
    source, target = directory / "users.jsonl", directory / "again.jsonl"
    data = write_users(source, count)
    told = [f"{count:,} users, {len(data) / 1e6:,.0f} MB"]
    flags = ("--store-url", store_url)
    checkpoint = directory / "users.jsonl.import.json"
    started = time.monotonic()
    for when, number, code in ((0.2, signal.SIGINT, 130), (0.3, signal.SIGKILL, -signal.SIGKILL)):
        command = Command(directory, "import", "users.jsonl", *flags)
        assert command.interrupt(when, checkpoint, len(data), number) == code, command.output
        told.append(f"{number.name} at {_share(checkpoint, len(data)):.0%}: {command.output.splitlines()[-1]}")
    command = Command(directory, "import", "users.jsonl", *flags)
    assert command.wait() == 0, command.output
    resumed = _LEFT.search(command.output)
    assert resumed, command.output
    assert int(resumed[1].replace(",", "")) > count * 0.4
    assert not checkpoint.exists()
    told += [command.output.splitlines()[-1], f"imported in {time.monotonic() - started:.1f} s"]
    started = time.monotonic()
    for when, number in ((0.3, signal.SIGINT), (0.3, signal.SIGKILL)):
        _interrupt_export(directory, flags, when, number, len(data))
        assert not target.exists()
    command = Command(directory, "export", "again.jsonl", *flags)
    assert command.wait() == 0, command.output
    told += [command.output.splitlines()[-1], f"exported in {time.monotonic() - started:.1f} s"]
    assert target.read_bytes() == data, "what was exported is not what was imported"
    command = Command(directory, "import", "users.jsonl", *flags)
    assert command.wait() == 0, command.output
    told.append(f"once more: {command.output.splitlines()[-1]}")
    return told


def main() -> None:
    """Run the drill as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--store", choices=["sqlite", "mongodb"], default="sqlite")
    parser.add_argument("--url", help="a store of one's own, which must be empty")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        server = MongoServer("nx-27017", directory) if options.store == "mongodb" and not options.url else None
        url = options.url or f"sqlite:///{directory}/users.db"
        if server is not None:
            server.start()
            url = server.url("drill", timeoutMS=60_000)
        try:
            print("\n".join(drill(directory, url, options.users)))
        finally:
            if server is not None:
                server.stop()


if __name__ == "__main__":
    main()
