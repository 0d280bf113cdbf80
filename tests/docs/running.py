"""Runs what stands in the code blocks of a page, in its order, and compares what it prints with what the page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```([\w.-]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PATIENCE = 20.0


def blocks(page: str) -> list[tuple[str, str]]:
    """Return the code blocks of a page, each with its kind."""
    return [(match[1], match[2]) for match in _BLOCK.finditer((ROOT / page).read_text())]


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Yield the commands of a block of kind ``console``, each with what it is said to print."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, printed = part.partition("\n")
        yield command, printed


def write_file(text: str, directory: Path) -> Path:
    """Write a block whose first line is a comment with a name of a file into that file."""
    name = re.sub(r"^(#|//) ", "", text.partition("\n")[0])
    (directory / name).write_text(text)
    return directory / name


class Background:
    """A command that runs while the next ones do."""

    def __init__(self, command: str, directory: Path, env: dict[str, str] | None = None) -> None:
        self._output = directory / f"output-{time.monotonic_ns()}"
        with self._output.open("w") as output:
            self._process = subprocess.Popen(
                ["bash", "-c", f"exec {command}"],
                cwd=directory,
                env=env,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def shows(self, end: str, *, within: str = "") -> bool:
        """Return whether what it has printed ends with one text and has another, or soon does."""
        deadline = time.monotonic() + _PATIENCE
        while time.monotonic() < deadline:
            printed = self._output.read_text()
            if printed.endswith(end) and within in printed:
                return True
            time.sleep(0.02)
        return False

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()


def run(command: str, directory: Path, env: dict[str, str] | None = None) -> str:
    """Run a command that ends well, and return what it prints."""
    done = subprocess.run(
        ["bash", "-c", command], cwd=directory, env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def environment(**more: str) -> dict[str, str]:
    """Return an environment without settings, in which the Python client can be imported."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("USERLINE_")}
    return clean | {"PYTHONPATH": str(ROOT / "clients" / "python" / "src"), "PYTHON": sys.executable} | more
