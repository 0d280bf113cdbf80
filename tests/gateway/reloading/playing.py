"""A gateway whose ``.env`` file changes while it runs."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING, Any

import httpx
from tests.support.gateway import RunningGateway

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

ROUNDS = 8
"""So many new connections in a row meet every one of two workers, as good as certainly."""


def _is_whole(told: str) -> bool:
    return any(each in told for each in ("were reloaded", "read again", "not reloaded", "needs a restart"))


class Reloaded:
    """A gateway in a directory of its own, with what its ``.env`` file has."""

    def __init__(self, directory: Path, values: dict[str, object], *flags: str) -> None:
        self.file = directory / ".env"
        self.values: dict[str, object] = {}
        self.write(values)
        self.gateway = RunningGateway(directory, *flags)
        self.has_workers = "--workers" in flags
        self._rounds = ROUNDS if self.has_workers else 2

    def write(self, values: dict[str, object]) -> None:
        """Put another file in the place of the one before."""
        self.values = values
        new = self.file.with_name("new.env")
        new.write_text("".join(f"USERLINE_{name}={value}\n" for name, value in values.items()))
        new.replace(self.file)

    def hang_up(self) -> None:
        self.gateway.process.send_signal(signal.SIGHUP)

    def reload(self, **values: object) -> str:
        """Change some values (``...`` takes one out), have them reloaded, and return what the log says of it."""
        merged = {name: value for name, value in (self.values | values).items() if value is not ...}
        self.write(merged)
        return self.tell()

    def tell(self, last: str = "") -> str:
        """Send SIGHUP, and return what the log says then; ``last`` is what it says last, if it says several things."""
        before = len(self.gateway.log)
        self.hang_up()
        deadline = time.monotonic() + 20
        while True:
            told = "".join(line for line in self.gateway.log[before:].splitlines(True) if "[userline]" in line)
            if (last and last in told) or (not last and _is_whole(told)):
                return self.gateway.log[before:]
            assert time.monotonic() < deadline, self.gateway.log[before:]
            time.sleep(0.05)

    def post(self, query: str, **headers: str) -> httpx.Response:
        """Ask by a connection of its own."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask("POST", "/graphql", headers, {"query": query})

    def ask(self, method: str, path: str, headers: dict[str, str], body: object = None) -> httpx.Response:
        """Ask by a connection of its own."""
        with httpx.Client(verify=False, timeout=20) as http:  # noqa: S501 - no TLS here, and reading certificates is slow
            return http.request(method, self.gateway.url + path, headers=headers, json=body)

    def until(self, condition: Callable[[], Any]) -> None:
        """Return when the condition holds so often in a row that all workers have been asked."""
        deadline = time.monotonic() + 20
        rounds = 0
        while rounds < self._rounds:
            rounds = rounds + 1 if condition() else 0
            assert time.monotonic() < deadline, self.gateway.log[-3000:]

    def stop(self) -> None:
        assert self.gateway.stop() == 0, self.gateway.log
        assert "Traceback" not in self.gateway.log
