"""The balancer of ``docker/compose.yaml``: a real HAProxy with its configuration, before gateways on the loopback."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.support.needed import program
from tests.support.proxy import Proxy, changed, names_of

if TYPE_CHECKING:
    from collections.abc import Sequence

CONFIGURATION: Final = Path(__file__).parents[2] / "docker" / "haproxy.cfg"
TIMEOUT_SECONDS: Final = 60
"""Those for HTTP in the configuration."""


def haproxy() -> str:
    """Return where HAProxy is, or skip the test."""
    return program("haproxy")


class Balancer(Proxy):
    """HAProxy as it is in the container, except for the addresses, and shorter time-outs for HTTP where a test asks."""

    def __init__(self, directory: Path, gateways: Sequence[str], timeout_seconds: int = TIMEOUT_SECONDS) -> None:
        def start(directory: Path, port: int) -> list[str]:
            configuration = directory / "haproxy.cfg"
            changes = [
                (r"bind :8000", f"bind 127.0.0.1:{port}"),
                (rf"(timeout (?:client|server)) {TIMEOUT_SECONDS}s", rf"\1 {timeout_seconds}s"),
                (r"resolvers docker\n(?:    .*\n)+\n", ""),
                (r" resolvers docker init-addr \S+", ""),
                *names_of(gateways),
            ]
            configuration.write_text(changed(CONFIGURATION, changes))
            # What a shell gives its children where nothing else is set.
            limit = ["prlimit", "--nofile=1024:1024"]
            return [*limit, haproxy(), "-f", str(configuration)]

        super().__init__(directory, start)

    def stop(self) -> None:
        self.kill()  # it would wait for the sockets that it has
