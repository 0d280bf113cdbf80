"""What a gateway's process has in use."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tests.support.gateway import RunningGateway


class Vitals(NamedTuple):
    """Counts, and kB of memory."""

    tasks: int
    sockets: int
    watchers: int
    files: int
    memory: int

    @classmethod
    def of(cls, gateway: RunningGateway) -> Vitals:
        process = Path("/proc") / str(gateway.process.pid)
        resident = re.search(r"^VmRSS:\s+(\d+) kB", (process / "status").read_text(), re.MULTILINE)
        assert resident
        tasks, sockets, watchers = (
            int(gateway.metric(f"userline_{name}")) for name in ("tasks", "sockets", "watchers")
        )
        return cls(tasks, sockets, watchers, files=len(list((process / "fd").iterdir())), memory=int(resident[1]))
