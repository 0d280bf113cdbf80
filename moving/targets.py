"""Decides where a command may write: not over existing files, its own inputs, or devices."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from userline.moving.checkpoint import MoveRefused

if TYPE_CHECKING:
    from collections.abc import Mapping

_STANDARD_OUTPUT = 1


class Targets:
    """Decides for the files that one command writes. ``taken`` names files that must not be overwritten."""

    def __init__(self, taken: Mapping[Path, str]) -> None:
        self._taken = {Path(os.path.realpath(path)): what for path, what in taken.items()}

    def check(self, path: Path, *, overwrite: bool, advice: str = "or give --overwrite") -> Path:
        """Return where a file is to be put: ``path``, or where the link leads that it is. Raises MoveRefused.

        Something that is there must be a file, and may be replaced only with ``overwrite``; ``advice`` is what else can
        be done about it.
        """
        status = self._look_at(path)
        real = Path(os.path.realpath(path)) if path.is_symlink() else path
        if status is None:
            _check_directory(real.parent)
            return real
        if not stat.S_ISREG(status.st_mode):
            raise MoveRefused(f"{path} is {_kind(status)}, but the output must be a file. Name another file.")
        if not overwrite:
            raise MoveRefused(f"{path} already exists. Name another file, {advice}.")
        _check_directory(real.parent)
        return real

    def opens_as_stream(self, path: Path) -> bool:
        """Whether ``path`` is written to as it is and not replaced: a pipe, a terminal, or where our output goes.

        Raises MoveRefused for what is neither a stream nor a file.
        """
        status = self._look_at(path)
        if status is None or stat.S_ISDIR(status.st_mode):
            return False
        if stat.S_ISBLK(status.st_mode) or stat.S_ISSOCK(status.st_mode):
            raise MoveRefused(f"{path} is {_kind(status)}, and users cannot be written there. Name a file.")
        return not stat.S_ISREG(status.st_mode) or is_descriptor(status, _STANDARD_OUTPUT)

    def check_descriptor(self, descriptor: int) -> None:
        """Raise MoveRefused if an open file is one that is taken."""
        self._check_taken(os.fstat(descriptor), "Standard output")

    def check_source(self, path: Path, standard_input: int) -> None:
        """Raise MoveRefused if what is to be read ("-" is standard input) is one that is taken."""
        is_input = str(path) == "-"
        self._check_taken(os.fstat(standard_input) if is_input else path.stat(), "Standard input" if is_input else path)

    def _look_at(self, path: Path) -> os.stat_result | None:
        what = self._taken.get(Path(os.path.realpath(path)))
        if what is not None:
            raise MoveRefused(f"{path} is {what}, and is not overwritten. Name another file.")
        try:
            status = path.stat()
        except FileNotFoundError:
            if path.is_symlink():
                raise MoveRefused(f"{path} is a link to a file that does not exist. Name the file itself.") from None
            return None
        self._check_taken(status, path)
        return status

    def _check_taken(self, status: os.stat_result, name: Path | str) -> None:
        for path, what in self._taken.items():
            try:
                is_same = os.path.samestat(status, path.stat())
            except OSError:
                continue
            if is_same:
                raise MoveRefused(f"{name} is {what}, and is not overwritten. Name another file.")


def is_descriptor(status: os.stat_result, descriptor: int) -> bool:
    """Whether a file is the one that is open as ``descriptor``."""
    try:
        return os.path.samestat(status, os.fstat(descriptor))
    except OSError:
        return False


def _check_directory(directory: Path) -> None:
    if not directory.is_dir():
        raise MoveRefused(f"There is no directory {directory}. Create it, or name another file.")
    if not os.access(directory, os.W_OK | os.X_OK):
        raise MoveRefused(f"This user may not write the directory {directory}. Name a file in another one.")


def _kind(status: os.stat_result) -> str:
    for is_kind, name in (
        (stat.S_ISDIR, "a directory"),
        (stat.S_ISFIFO, "a pipe"),
        (stat.S_ISCHR, "a device"),
        (stat.S_ISBLK, "a device"),
        (stat.S_ISSOCK, "a socket"),
    ):
        if is_kind(status.st_mode):
            return name
    return "no file"
