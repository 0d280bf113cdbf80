"""A real gateway: the ``userline serve`` command in a process of its own, on a free port of the loopback address."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
_PATIENCE = 90.0
_LINES_WAIT = 0.15
"""Longer than a line of the access log waits to be written."""


class RunningGateway:
    """A gateway process. ``url`` is its address, ``log`` what it has written so far."""

    def __init__(self, directory: Path, *flags: str, env: dict[str, str] | None = None) -> None:
        self.directory = directory
        self.database = directory / "users.db"
        self._log_path = directory / f"gateway-{time.monotonic_ns()}.log"
        command = [sys.executable, "-m", "userline", "serve", "--port", "0"]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("USERLINE_")}
        with self._log_path.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--store-url", f"sqlite:///{self.database}", "--drain-seconds", "0", *flags],
                cwd=directory,
                env=clean | (env or {}),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self.url = self._wait_until_ready()
        self.http = httpx.Client(base_url=self.url, timeout=30)

    @property
    def log(self) -> str:
        time.sleep(_LINES_WAIT)
        return self._log_path.read_text()

    @property
    def websocket_url(self) -> str:
        return self.url.replace("http://", "ws://") + "/graphql"

    def execute(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the whole response to one operation."""
        answer = self.http.post("/graphql", json={"query": query, "variables": variables})
        body: dict[str, Any] = answer.json()
        return body

    def data(self, query: str, variables: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return the data of one operation that has no errors."""
        body = self.execute(query, variables)
        assert "errors" not in body, body
        data: dict[str, Any] = body["data"]
        return data

    def set_user(self, user_id: str, **patch: object) -> dict[str, Any]:
        """Patch a user and return the payload."""
        query = (
            "mutation($id: ID!, $input: SetUserInput!) { setUser(id: $id, input: $input) "
            "{ created changed user { id name custom locale photoUrl role welcomeMessage } } }"
        )
        payload: dict[str, Any] = self.data(query, {"id": user_id, "input": patch})["setUser"]
        return payload

    def metric(self, name: str) -> float:
        """Return the value of a metric without labels."""
        match = re.search(rf"^{name} (\S+)$", self.http.get("/metrics").text, re.MULTILINE)
        assert match, f"there is no metric {name}"
        return float(match[1])

    def stop(self) -> int:
        """Stop it as an operator would and return its exit code."""
        self.http.close()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(_PATIENCE)

    def kill(self) -> None:
        """Stop it as a power cut would."""
        self.http.close()
        self.process.kill()
        self.process.wait(_PATIENCE)

    def _wait_until_ready(self) -> str:
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline and self.process.poll() is None:
            address = _ADDRESS.search(self._log_path.read_text())
            if address:
                try:
                    if httpx.get(address[0] + "/readyz?strict=1").status_code == 200:
                        return address[0]
                except httpx.TransportError:
                    pass
            time.sleep(0.05)
        self.process.kill()
        self.process.wait()
        raise AssertionError(f"The gateway did not start:\n{self.log}")


def running(directory: Path, *flags: str, env: dict[str, str] | None = None) -> Iterator[RunningGateway]:
    """Yield a gateway, for a fixture, and see afterwards that it ends well and has logged no traceback."""
    gateway = RunningGateway(directory, *flags, env=env)
    yield gateway
    _see_that_it_ended_well(gateway, gateway.stop())


def end_all(gateways: Iterable[RunningGateway]) -> None:
    """End gateways without their drains, and see that all of them end well.

    One signal each: a second one may come when nobody is there any more who would take it well.
    """
    for gateway in gateways:
        gateway.process.send_signal(signal.SIGINT)
    for gateway in gateways:
        gateway.http.close()
        _see_that_it_ended_well(gateway, gateway.process.wait(_PATIENCE))


def _see_that_it_ended_well(gateway: RunningGateway, code: int) -> None:
    assert code == 0, gateway.log
    assert "Traceback" not in gateway.log, gateway.log
