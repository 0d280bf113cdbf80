"""The drivers of this repository's own clients."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

DRIVERS: Final = Path(__file__).resolve().parent / "drivers"
PYTHON_CLIENT: Final = DRIVERS.parents[1] / "python" / "src"
TYPESCRIPT_CLIENT: Final = DRIVERS.parents[1] / "typescript"

COMMANDS: Final[dict[str, list[str]]] = {
    "python": [sys.executable, str(DRIVERS / "python.py")],
    "typescript": ["node", str(DRIVERS / "node.mjs")],
}
"""How to start them. The TypeScript client has to be built before."""


def what_to_do_first(driver: str, typescript: Path = TYPESCRIPT_CLIENT) -> str | None:
    """Return what has to be done before a driver of ours can be started, None if nothing has."""
    if driver != "typescript":
        return None
    if shutil.which("node") is None:
        return "The TypeScript client runs in Node, and there is no `node` on PATH. Install Node 20 or newer."
    if not (typescript / "dist" / "index.js").is_file():
        return (
            "The TypeScript client is not built. Build it first: `cd clients/typescript && npm ci && node build.mjs`."
        )
    return None


def environment(given: Mapping[str, str], client: Path = PYTHON_CLIENT) -> dict[str, str]:
    """Return an environment in which Python finds its client there."""
    path = os.pathsep.join(filter(None, [str(client), given.get("PYTHONPATH", "")]))
    return {**given, "PYTHONPATH": path, "PYTHONWARNINGS": "error"}
