"""The progress of an import, stored in a small file beside the data, so that the next run continues from there."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Final

import orjson

from userline.storage.files import write_whole

if TYPE_CHECKING:
    from pathlib import Path

_BEGINNING: Final = b'{"identity":'
"""What a checkpoint begins with, whole or cut off."""


class MoveRefused(Exception):
    """An export, import or deletion cannot begin or continue. The text says why and what to do."""


@dataclass(slots=True)
class Checkpoint:
    """The state of an import. Offsets and sizes are in bytes."""

    identity: dict[str, object]
    """What must be the same for the next run to go on: the file, the store, what is done with users who exist."""
    now: int
    """The time of users who have none, the same for all runs."""
    phase: str = "check"
    offset: int = 0
    line: int = 0
    report_size: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    def save(self, path: Path) -> None:
        """Write the file as a whole: who is killed meanwhile leaves the one before."""
        # A power cut may lose some of it, which costs what was done since.
        write_whole(path, orjson.dumps(asdict(self)), is_durable=False)

    @classmethod
    def load(cls, path: Path) -> Checkpoint | None:
        """Return what the file says, None if there is none or it was not written to its end.

        Raises MoveRefused if something else stands there.
        """
        data = read_small_file(path)
        if data is None:
            return None
        try:
            return cls(**orjson.loads(data))
        except (orjson.JSONDecodeError, TypeError):
            if not data or data[: len(_BEGINNING)] == _BEGINNING[: len(data)]:
                return None
        raise MoveRefused(f"An import stores its progress in {path}, but that is something else. Move it away.")


def read_small_file(path: Path) -> bytes | None:
    """Return what is in a file of ours, None if there is none. Raises MoveRefused if it cannot be one."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise MoveRefused(f"{path} is not a file, but an import stores its progress in a file there. Move it away.")
    return path.read_bytes()


def fingerprint(text: str) -> str:
    """Return what tells a URL from others without saying it."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]
