"""The balancer of ``docker/compose.yaml``: a real HAProxy with its configuration, before gateways on the loopback."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import httpx
import pytest

from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIGURATION: Final = Path(__file__).parents[2] / "docker" / "haproxy.cfg"
TIMEOUT_SECONDS: Final = 1
_PATIENCE: Final = 20.0


def haproxy() -> str:
    """Return where HAProxy is, or skip the test."""
    command = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    if command is None:
        reason = "there is no haproxy on PATH"
        if os.environ.get("USERLINE_TEST_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return command


class Balancer:
    """HAProxy as it is in the container, except for the addresses, and time-outs for HTTP of a second."""

    def __init__(self, directory: Path, gateways: Sequence[str]) -> None:
        command = haproxy()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.websocket_url = f"ws://127.0.0.1:{self.port}/graphql"
        configuration = directory / "haproxy.cfg"
        configuration.write_text(self._configure(gateways))
        self._log_path = directory / "haproxy.log"
        # What a shell gives its children where nothing else is set.
        limit = ["prlimit", "--nofile=1024:1024"]
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen([*limit, command, "-f", configuration], stdout=log, stderr=log)
        deadline = time.monotonic() + _PATIENCE
        while not self._is_ready():
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)

    @property
    def log(self) -> str:
        return self._log_path.read_text()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _configure(self, gateways: Sequence[str]) -> str:
        text = CONFIGURATION.read_text()
        changes = [
            (r"bind :8000", f"bind 127.0.0.1:{self.port}"),
            (r"(timeout (?:client|server)) \d+s", rf"\1 {TIMEOUT_SECONDS}s"),
            (r"resolvers docker\n(?:    .*\n)+\n", ""),
            (r" resolvers docker init-addr \S+", ""),
            *((rf"gateway{number}:8000", address) for number, address in enumerate(gateways, 1)),
        ]
        for pattern, replacement in changes:
            text, count = re.subn(pattern, replacement, text)
            assert count, f"{CONFIGURATION.name} has no {pattern}"
        return text

    def _is_ready(self) -> bool:
        try:
            return httpx.get(self.url + "/readyz").status_code == 200
        except httpx.TransportError:
            return False
