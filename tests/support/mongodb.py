"""Servers that speak MongoDB's protocol, as real processes on free ports of the loopback address.

A default run has nx-27017, which comes with the development tools. ``USERLINE_TEST_STORES`` names others, separated by
commas: ``mongo-java-server`` and ``mongoeco``, which ``scripts/mongo-stand-ins`` puts into ``.stand-ins/`` (the latter
only where there is a Python 3.13), and ``ferretdb`` (version 1), which has to be on PATH. ``USERLINE_TEST_MONGODB_URI``
adds the MongoDB that it names, which has to be a replica set for all tests to run.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PATIENCE = 60.0
_STAND_INS = Path(__file__).parents[2] / ".stand-ins" / "bin"

REAL_URI = os.environ.get("USERLINE_TEST_MONGODB_URI", "")


def _nx(port: int, directory: Path) -> list[str]:
    # A file for each database: in one file, it takes the same collection of two databases for one.
    command = [sys.executable, "-m", "nx_27017.nx_27017", "--data-dir", str(directory / "data"), "--port", str(port)]
    return [*command, "--pid-file", str(directory / "pid"), "--log-file", str(directory / "log")]


def _java(port: int, directory: Path) -> list[str]:
    return [str(_STAND_INS / "mongo-java-server"), str(port), str(directory / "data")]


def _ferretdb(port: int, directory: Path) -> list[str]:
    data = directory / "data"
    data.mkdir(exist_ok=True)
    flags = ["--handler=sqlite", f"--listen-addr=127.0.0.1:{port}", f"--sqlite-url=file:{data}/", "--debug-addr=-"]
    return ["ferretdb", *flags, f"--state-dir={data}", "--telemetry=disable", "--log-level=WARN"]


def _mongoeco(port: int, _directory: Path) -> list[str]:
    return [str(_STAND_INS / "mongoeco"), str(port)]


_COMMANDS: dict[str, Callable[[int, Path], list[str]]] = {
    "nx-27017": _nx,
    "mongo-java-server": _java,
    "mongoeco": _mongoeco,
    "ferretdb": _ferretdb,
}


def servers_to_test() -> list[str]:
    """Return the names of the servers that this run is for."""
    named = [name for name in os.environ.get("USERLINE_TEST_STORES", "").split(",") if name]
    names = ["nx-27017", *(name for name in named if name != "nx-27017")]
    return [*names, "mongodb"] if REAL_URI else names


class MongoServer:
    """A server of one kind. ``mongodb`` is one that runs already, which can be neither started nor killed."""

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.directory = directory
        self.port = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def is_real(self) -> bool:
        return self.name == "mongodb"

    def url(self, database: str | None = None, **options: object) -> str:
        """Return the URL of a database, a new one if none is named."""
        database = database or new_database()
        if self.is_real:
            base, _, given = REAL_URI.partition("?")
            base = re.match(r"[^/]*//[^/]*", base)[0]  # type: ignore[index]
            return f"{base}/{database}?{'&'.join(filter(None, [given, urlencode(options)]))}"
        options = {"retryWrites": "false", **options}
        return f"mongodb://127.0.0.1:{self.port}/{database}?{urlencode(options)}"

    def start(self) -> None:
        """Start it, on the port and the data that it had before, and wait until it answers."""
        if self.is_real:
            return
        self.port = self.port or free_port()
        command = _COMMANDS[self.name](self.port, self.directory)
        if shutil.which(command[0]) is None:
            if self.name == "mongoeco":
                pytest.skip("mongoeco needs Python 3.13, and scripts/mongo-stand-ins has found none")  # noqa: TID251 - apt brings none
            raise AssertionError(f"There is no {self.name}: run scripts/mongo-stand-ins, or put it on PATH.")
        with (self.directory / "output").open("ab") as output:
            self.process = subprocess.Popen(command, cwd=self.directory, stdout=output, stderr=output)
        deadline = time.monotonic() + _PATIENCE
        with MongoClient[dict[str, object]](self.url("admin"), serverSelectionTimeoutMS=200) as client:
            while self.process.poll() is None and time.monotonic() < deadline:
                try:
                    client.admin.command("ping")
                except PyMongoError:
                    continue
                return
        raise AssertionError(f"{self.name} did not start:\n{(self.directory / 'output').read_text()}")

    def kill(self) -> None:
        """End it as a power cut would."""
        self._signal(signal.SIGKILL)
        if self.process is not None:
            self.process.wait(_PATIENCE)
            self.process = None

    def freeze(self) -> None:
        """Let it stop in its tracks: its connections stay, and nothing is answered."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it, frozen or not."""
        if self.process is not None:
            self.kill()

    def _signal(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)


@contextmanager
def running_mongo(directory: Path, name: str = "nx-27017") -> Iterator[MongoServer]:
    """Start a server, and stop it in the end."""
    server = MongoServer(name, directory)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def new_database() -> str:
    """Return the name of a database that nobody uses."""
    return f"userline-test-{uuid.uuid4().hex[:12]}"
