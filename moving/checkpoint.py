"""How far a move has come, in a small file beside the data, so that the next run goes on from there."""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from pathlib import Path


class MoveRefused(Exception):
    """A move cannot begin or go on. The text says why and what to do."""


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
        write_whole(path, orjson.dumps(asdict(self)))

    @classmethod
    def load(cls, path: Path) -> Checkpoint | None:
        """Return what the file says, None if there is none or it was not written to its end."""
        try:
            return cls(**orjson.loads(path.read_bytes()))
        except (FileNotFoundError, orjson.JSONDecodeError, TypeError):
            return None


def write_whole(path: Path, data: bytes) -> None:
    """Put a file in the place of the one that is there."""
    new = path.with_name(path.name + ".new")
    new.write_bytes(data)
    new.replace(path)


def fingerprint(text: str) -> str:
    """Return what tells a URL from others without saying it."""
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def open_private(path: Path, flags: int) -> int:
    """Open a file for writing that only its owner may read, and return its descriptor."""
    return os.open(path, flags | os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
