"""The reverse proxies whose configuration is shipped, real ones, before gateways on the loopback."""

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
    from collections.abc import Callable, Sequence

DEPLOY: Final = Path(__file__).parents[2] / "deploy"
_PATIENCE: Final = 20.0


def command(name: str) -> str:
    """Return where a program is, or skip the test."""
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        reason = f"there is no {name} on PATH"
        if os.environ.get("USERLINE_TEST_REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return found


class Proxy:
    """A proxy that runs until it is stopped. ``url`` is its address."""

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

    def _is_ready(self) -> bool:
        try:
            return httpx.get(self.url + "/readyz").status_code == 200
        except httpx.TransportError:
            return False


def changed(file: str, changes: Sequence[tuple[str, str]]) -> str:
    """Return a shipped file with what has to be another here; each pattern must be there."""
    text = (DEPLOY / file).read_text()
    for pattern, replacement in changes:
        text, count = re.subn(pattern, replacement, text)
        assert count, f"{file} has no {pattern}"
    return text


def nginx(directory: Path, gateways: Sequence[str]) -> Proxy:
    """Start nginx with its shipped configuration, inside a whole one as Debian's is."""
    program = command("nginx")

    def start(directory: Path, port: int) -> list[str]:
        ports = [("listen 8000;", f"listen 127.0.0.1:{port};")]
        names = [(f"gateway{number}:8000", address) for number, address in enumerate(gateways, 1)]
        site = directory / "userline.conf"
        site.write_text(changed("nginx.conf", [*ports, *names]))
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        places = "".join(f"{kind}_temp_path {directory}/{kind};" for kind in kinds)
        main = directory / "nginx.conf"
        main.write_text(
            f"user root; worker_processes 1; daemon off; pid {directory}/nginx.pid; error_log stderr;"
            f"events {{ worker_connections 512; }} http {{ access_log off; {places} include {site}; }}"
        )
        return [program, "-p", str(directory), "-c", str(main)]

    return Proxy(directory, start)


def caddy(directory: Path, gateways: Sequence[str]) -> Proxy:
    """Start Caddy with its shipped configuration; without its interface for administrators, which has a fixed port."""
    program = command("caddy")

    def start(directory: Path, port: int) -> list[str]:
        ports = [
            (r"(?m)^:8000 \{", f"http://127.0.0.1:{port} {{"),
            (r"grace_period 10s", "grace_period 1s\n\tadmin off"),
        ]
        names = [(f"gateway{number}:8000", address) for number, address in enumerate(gateways, 1)]
        file = directory / "Caddyfile"
        file.write_text(changed("Caddyfile", [*ports, *names]))
        return [program, "run", "--config", str(file), "--adapter", "caddyfile"]

    return Proxy(directory, start)
