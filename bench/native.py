"""The peers that are compiled: gqlgen by Go, async-graphql by Cargo. Each is built if it is older than its sources."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_PEERS: Final = Path(__file__).parent / "peers"
_SCHEMA: Final = _PEERS / "schema.graphql"
_PATIENCE: Final = 1800


@dataclass(frozen=True, slots=True)
class NativePeer:
    """A peer in ``bench/peers/<name>``. ``steps`` are the commands that build it there."""

    name: str
    toolchain: str
    steps: tuple[tuple[str, ...], ...]
    sources: tuple[str, ...]
    binary: str

    @property
    def executable(self) -> Path:
        return _PEERS / self.name / self.binary

    def missing(self) -> str | None:
        """Build it unless it is built, and return what there is not for that, or None."""
        directory = _PEERS / self.name
        newest = max(path.stat().st_mtime for path in (_SCHEMA, *(directory / source for source in self.sources)))
        if self.executable.exists() and self.executable.stat().st_mtime >= newest:
            return None
        if shutil.which(self.steps[0][0]) is None:
            return f"no {self.toolchain}"
        print(f"building the peer {self.name} …", file=sys.stderr)
        for step in self.steps:
            try:
                done = subprocess.run(
                    step, cwd=directory, capture_output=True, text=True, timeout=_PATIENCE, check=False
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                return f"no {self.name}, whose build failed: {error}"
            if done.returncode:
                print(done.stdout, done.stderr, sep="", file=sys.stderr)
                return f"no {self.name}, whose build failed: {' '.join(step)} ended with {done.returncode}"
        return None


NATIVE: Final = {
    peer.name: peer
    for peer in (
        NativePeer(
            "gqlgen",
            "Go (1.26 or newer)",
            (("go", "tool", "gqlgen", "generate"), ("go", "build", "-o", "build/gqlgen-peer", ".")),
            ("go.mod", "go.sum", "gqlgen.yml", "main.go", "resolvers.go"),
            "build/gqlgen-peer",
        ),
        NativePeer(
            "async-graphql",
            "Rust with Cargo (1.89 or newer)",
            (("cargo", "build", "--release", "--quiet"),),
            ("Cargo.toml", "src/main.rs"),
            "target/release/async-graphql-peer",
        ),
    )
}
