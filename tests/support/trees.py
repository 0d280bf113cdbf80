"""Other versions of userline beside this one: an old commit, and this one with a field more.

A tree is a folder with all of a version's files. A gateway of it runs with its ``src`` on ``PYTHONPATH``.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.support.needed import unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT: Final = Path(__file__).parents[2]

OLD_COMMIT: Final = "48da582d1b9c9915585fe1138f2603d43776e84a"
"""The last commit whose gateways erase what they do not know in MongoDB, and drop changes that lack what they know."""

BEFORE_DELETIONS: Final = "efe9756079f4ca46ae7c13b0c104083defd0022b"
"""The last commit whose gateways know of no deletion."""

_LEFT_OUT: Final = shutil.ignore_patterns(
    ".*", "__pycache__", "node_modules", "static", "bench", "dist", "build", "target", "*.db*"
)


def old_tree(directory: Path, commit: str = OLD_COMMIT) -> Path:
    """Put the tree of a commit into a directory, and return it. Skips the test where there is no history."""
    without_settings = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    command = ["git", "archive", commit]
    archived, trouble = b"", "there is no git on PATH"
    if shutil.which("git"):
        done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False, env=without_settings)
        archived = done.stdout
        trouble = (done.stderr.decode(errors="replace").strip() or "git archive failed") if done.returncode else ""
    if trouble:
        unavailable(
            f"the commit {commit[:8]} cannot be had from the history of a clone: install git, and run `git fetch "
            f"--unshallow` if the clone is shallow ({trouble})"
        )
    with tarfile.open(fileobj=io.BytesIO(archived)) as archive:
        archive.extractall(directory, filter="tar")
    return directory


def this_tree(directory: Path) -> Path:
    """Copy this tree into a directory, as it is on the disk, and return it."""
    shutil.copytree(ROOT, directory, symlinks=True, ignore=_LEFT_OUT, dirs_exist_ok=True)
    return directory


def edit(tree: Path, edits: Sequence[tuple[str, str, str]]) -> None:
    """Do edits: in this file, after the one place that has this text, add these lines, or replace its last line."""
    for name, place, lines in edits:
        path = tree / name
        text = path.read_text()
        assert text.count(place) == 1, (name, place)
        path.write_text(text.replace(place, place + lines))


def environment(tree: Path) -> dict[str, str]:
    """Return the variables with which Python runs a tree."""
    return {"PYTHONPATH": os.pathsep.join([str(tree / "src"), str(tree / "clients" / "python" / "src")])}


def run(tree: Path, *arguments: str, seconds: float = 300, **variables: str) -> str:
    """Run Python in a tree, and return what it wrote. Fails if it does."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("USERLINE_", "PYTEST"))}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=tree,
        env=clean | environment(tree) | variables,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout
