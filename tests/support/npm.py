"""The npm packages of this repository, installed and built for tests, once for all processes."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.needed import unavailable
from userline.gateway.graphiql import build

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


class Node:
    """Runs programs of Node in a package's folder."""

    def __init__(self, package: Path, found: build.Node) -> None:
        self.package = package
        self._found = found

    @property
    def executable(self) -> Path:
        """Where Node is."""
        return self._found.executable

    @property
    def npm(self) -> tuple[str, ...]:
        """The command of npm."""
        return tuple(self._found.npm)

    def run(
        self, *arguments: str | Path, timeout: float = 300, env: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a program until its end."""
        return subprocess.run(
            [str(self._found.executable), *map(str, arguments)],
            cwd=self.package,
            env=self._found.environment() | dict(env or {}),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def report(self, script: str, *arguments: str) -> dict[str, object]:
        """Run a script of the package's tests that ends well and prints JSON, and return that."""
        done = self.run(self.package / "tests" / script, *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        report: dict[str, object] = json.loads(done.stdout)
        return report


def find_node() -> build.Node:
    """Return the Node that is there."""
    found = build.find_node()
    if found is None:
        unavailable(f"there is no Node on PATH, and no {build.NODE_REQUIREMENT}")
    return found


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Wait for what another process makes in a folder."""
    directory = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def install(folder: Path, found: build.Node) -> None:
    """Install what a folder's package-lock.json pins, unless that is done."""
    with alone_in(folder):
        lock, installed = folder / "package-lock.json", folder / "node_modules" / ".package-lock.json"
        if not installed.is_file() or installed.stat().st_mtime < lock.stat().st_mtime:
            build.install_packages(folder, found)


def built(package: Path, found: build.Node, *, beside: Mapping[str, Path] | None = None) -> Node:
    """Install and build a package, unless that is done; it finds those ``beside`` it, by name, as if installed."""
    install(package, found)
    node = Node(package, found)
    with alone_in(package):
        for name, other in (beside or {}).items():
            link = package / "node_modules" / name
            link.parent.mkdir(exist_ok=True)
            if not link.is_symlink():
                link.symlink_to(os.path.relpath(other, link.parent), target_is_directory=True)
        made = package / "dist" / "index.d.cts"  # written last
        sources = [
            *package.glob("src/*"),
            package / "build.mjs",
            package / "../build.mjs",
            package / "../names.mjs",
            package / "package-lock.json",
        ]
        if not made.is_file() or made.stat().st_mtime < max(path.stat().st_mtime for path in sources):
            done = node.run("build.mjs")
            assert done.returncode == 0, done.stdout + done.stderr
    return node


def check_publint(node: Node) -> None:
    """See that the package is one that publint finds nothing wrong with."""
    done = node.run("node_modules/publint/src/cli.js", "--strict")
    assert done.returncode == 0, done.stdout
    assert "All good" in done.stdout


def check_types(node: Node, directory: Path) -> None:
    """Pack the package into an empty directory, and see that its types are right for every way of importing it."""
    done = node.run("../pack.mjs", str(directory), *node.npm)
    assert done.returncode == 0, done.stderr
    done = node.run(
        "node_modules/@arethetypeswrong/cli/dist/index.js", next(directory.glob("*.tgz")), "--format", "json"
    )
    assert done.returncode == 0, done.stdout
    report = json.loads(done.stdout)
    assert not report["analysis"]["problems"], report
