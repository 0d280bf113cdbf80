"""Reverse proxies with the configurations that are shipped, real ones, before gateways on the loopback."""

from __future__ import annotations

import os
import re
import subprocess
import time
from typing import TYPE_CHECKING, Final

import httpx

from tests.support.ports import free_port

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

_PATIENCE: Final = 20.0


class Proxy:
    """A proxy that runs until it is stopped. ``url`` is its address.

    ``start`` is given the directory and a free port, and returns the command.
    """

    def __init__(self, directory: Path, start: Callable[[Path, int], list[str]]) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.websocket_url = f"ws://127.0.0.1:{self.port}/graphql"
        self._log_path = directory / "proxy.log"
        arguments = start(directory, self.port)
        home = os.environ | {"HOME": str(directory), "XDG_DATA_HOME": str(directory), "XDG_CONFIG_HOME": str(directory)}
        with self._log_path.open("wb") as log:
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log, cwd=directory, env=home)
        deadline = time.monotonic() + _PATIENCE
        while not self._is_ready():
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            time.sleep(0.05)

    @property
    def log(self) -> str:
        return self._log_path.read_text()

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(_PATIENCE)

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _is_ready(self) -> bool:
        try:
            return httpx.get(self.url + "/readyz").status_code == 200
        except httpx.TransportError:
            return False


def changed(file: Path, changes: Sequence[tuple[str, str]]) -> str:
    """Return a shipped file with what has to be another here; each pattern must be there."""
    text = file.read_text()
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text)
        assert count, f"{file.name} has no {pattern}"
    return text


def names_of(gateways: Sequence[str]) -> list[tuple[str, str]]:
    """Return the changes that put these addresses in the place of the names of gateways."""
    return [(f"gateway{number}:8000", address) for number, address in enumerate(gateways, 1)]
