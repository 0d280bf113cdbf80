"""Lines of the document that are broken on purpose, in either client: the cases of that line have to notice."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from clients.conformance.known import DRIVERS, PYTHON_CLIENT, TYPESCRIPT_CLIENT

if TYPE_CHECKING:
    from pathlib import Path


_TYPESCRIPT: Final = TYPESCRIPT_CLIENT / "src"


@dataclass(frozen=True, slots=True)
class Mutation:
    """A text of a client's sources, and what takes its place; the cases of the line have to fail then."""

    client: str
    line: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.client}, line {self.line}: {self.before.strip()}"


def _python(line: int, before: str, after: str) -> Mutation:
    return Mutation("python", line, before, after)


def _typescript(line: int, before: str, after: str) -> Mutation:
    return Mutation("typescript", line, before, after)


MUTATIONS: Final = (
    _python(5, "LINGER_SECONDS: Final = 30.0", "LINGER_SECONDS: Final = 300.0"),
    _python(10, "            watch.batch = None\n            watch.is_fresh = False", "            watch.batch = None"),
    _python(25, "or (isinstance(self._state, Active) and snapshot == self._latest)", ""),
    _typescript(5, "const LINGER = 30_000;", "const LINGER = 300_000;"),
    _typescript(13, "version === this._greatest && this._isDoubtful", "false"),
    _typescript(37, "ask(connection, 7)", "ask(connection, 70)"),
    # Those above are run each time, those below if they are asked for.
    _python(2, 'if "\\0" in user_id:', "if False:"),
    _python(7, "MAX_SOCKETS: Final = 32", "MAX_SOCKETS: Final = 64"),
    _python(8, "if batch in self._batches and batch.wanted * 2 < batch.size:", "if False:"),
    _python(9, "if len(self._batches) >= min(MAX_BATCHES, limits.subscriptions // 2):", "if False:"),
    _python(12, "if seen.version > self._greatest or is_back or not self.is_known:", "if is_back or True:"),
    _python(15, "if self._unconfirmed is not None and not self._deletes", "if False"),
    _python(28, "return told * random.uniform(1, 1 + _JITTER)", "return told"),
    _python(29, "if subscription.is_pending and subscription not in self._pending:", "if False:"),
    _python(34, "None if hint is None else float(hint[1])", "None"),
    _python(37, "_ANSWER_TICKS: Final = 7", "_ANSWER_TICKS: Final = 70"),
    _python(38, "_LEAP_SECONDS: Final = 5.0", "_LEAP_SECONDS: Final = 1e9"),
    _python(43, "if self._asking is None:", "if self._asking is None or True:"),
    _python(45, "frozenset({1008, 1009, 4400,", "frozenset({1008, 1009,"),
    _typescript(6, "messageBytes * 0.75", "messageBytes * 7.5"),
    _typescript(7, "MAX_SOCKETS = 32;", "MAX_SOCKETS = 64;"),
    _typescript(9, "MAX_BATCHES = 64;", "MAX_BATCHES = 1e9;"),
    _typescript(12, "if (version > this._greatest ||", "if (true ||"),
    _typescript(15, "this._unconfirmed = version;", "void version;"),
    _typescript(23, "queueMicrotask(() => subscription._show", "setTimeout(() => subscription._show"),
    _typescript(24, "console.error('A callback has thrown', error)", "void error"),
    _typescript(28, "(1 + Math.random() / 10)", "1"),
    _typescript(34, "Math.min(10_000, 250", "Math.min(1e9, 250"),
    _typescript(34, "retry after (", "come back after ("),
    _typescript(37, "HANDSHAKE = 10_000", "HANDSHAKE = 1e9"),
    _typescript(38, "const LEAP = 5000;", "const LEAP = 1e9;"),
    _typescript(43, "Math.min(30_000,", "Math.min(0,"),
)
ALWAYS: Final = 6
"""How many of them are run each time."""

CHANCE_MUTATIONS: Final = (
    (_python(13, "            self._is_told = True\n", "            self._is_told = False\n"), 18),
    (_typescript(15, "if (!isDoubtful) this._unconfirmed = version;", ""), 12),
)
"""Others, and for each the seed of a script by chance that notices it."""


def sources(client: str) -> list[Path]:
    """Return the source files of a client."""
    folder, pattern = (PYTHON_CLIENT / "userline_client", "*.py") if client == "python" else (_TYPESCRIPT, "*.ts")
    return sorted(folder.glob(pattern))


def file_of(mutation: Mutation) -> Path:
    """Return the file that has the text of a mutation. Raises ``DoesNotApply``."""
    found = [path for path in sources(mutation.client) for _ in range(path.read_text().count(mutation.before))]
    if len(found) != 1:
        raise DoesNotApply(f"{mutation} is there {len(found)} times")
    return found[0]


class DoesNotApply(Exception):
    """The text of a mutation is not there, or not once: the client has changed, and the mutation has to."""


def apply(mutation: Mutation, directory: Path, node: str = "node") -> tuple[list[str], Path]:
    """Make a client with a mutation in a folder of its own.

    Return how to start its driver, and where Python finds its client. Raises ``DoesNotApply``.
    """
    is_python = mutation.client == "python"
    source = PYTHON_CLIENT if is_python else _TYPESCRIPT
    file = file_of(mutation)
    copied = directory / "src"
    shutil.copytree(source, copied, ignore=shutil.ignore_patterns("__pycache__"))
    changed = copied / file.relative_to(source)
    changed.write_text(file.read_text().replace(mutation.before, mutation.after))
    if is_python:
        return [sys.executable, str(DRIVERS / "python.py")], copied
    built = directory / "dist" / "index.js"
    flags = ["--bundle", "--format=esm", "--target=es2022", "--external:./stream.js", f"--outfile={built}"]
    esbuild = TYPESCRIPT_CLIENT / "node_modules" / "esbuild" / "bin" / "esbuild"
    subprocess.run(  # noqa: S603 - our own tool
        [node, str(esbuild), str(copied / "index.ts"), *flags, "--log-level=error"], check=True, cwd=TYPESCRIPT_CLIENT
    )
    (directory / "dist" / "package.json").write_text('{"type": "module"}')
    return [node, str(DRIVERS / "node.mjs"), str(built)], PYTHON_CLIENT
