"""Fixtures for the tests of the TypeScript client: its package, built, and a real gateway."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from pathlib import Path
from typing import NoReturn

import pytest
from tests.support.client_gateways import gateway, guarded

from userline.gateway.graphiql import build

__all__ = ["gateway", "guarded"]
"""Fixtures that are used as they are."""

PACKAGE = Path(__file__).parents[1]


class Node:
    """Runs programs of Node in the package's folder, with what its package-lock.json pins and with it built."""

    def __init__(self, found: build.Node) -> None:
        self._found = found

    @property
    def executable(self) -> Path:
        """Where Node is."""
        return self._found.executable

    @property
    def npm(self) -> tuple[str, ...]:
        """The command of npm."""
        return tuple(self._found.npm)

    def run(self, *arguments: str | Path, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run a program until its end."""
        return subprocess.run(
            [str(self._found.executable), *map(str, arguments)],
            cwd=PACKAGE,
            env=self._found.environment(),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def report(self, script: str, *arguments: str) -> dict[str, object]:
        """Run a script that ends well and prints JSON, and return that."""
        done = self.run(PACKAGE / "tests" / script, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        report: dict[str, object] = json.loads(done.stdout)
        return report


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it where everything has to be tested (USERLINE_TEST_REQUIRE_ALL=1)."""
    if os.environ.get("USERLINE_TEST_REQUIRE_ALL") == "1":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def node() -> Node:
    """Node, with the package installed and built: once, whichever of several processes comes first."""
    found = build.find_node()
    if found is None:
        unavailable(f"there is no Node on PATH, and no {build.NODE_REQUIREMENT}")
    node = Node(found)
    directory = os.open(PACKAGE, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        lock, installed = PACKAGE / "package-lock.json", PACKAGE / "node_modules" / ".package-lock.json"
        if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
            build.install_packages(PACKAGE, found)
        built = PACKAGE / "dist" / "index.d.cts"  # written last
        sources = [*PACKAGE.glob("src/*"), PACKAGE / "build.mjs", lock]
        if not built.is_file() or built.stat().st_mtime < max(path.stat().st_mtime for path in sources):
            done = node.run("build.mjs")
            assert done.returncode == 0, done.stdout + done.stderr
    finally:
        os.close(directory)
    return node
