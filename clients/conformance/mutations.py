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


@dataclass(frozen=True, slots=True)
class Mutation:
    """A text of a source file of a client, and what takes its place; the cases of the line have to fail then."""

    client: str
    line: int
    file: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.client}, line {self.line}, {self.file}: {self.before.strip().splitlines()[0]}"


def _python(line: int, file: str, before: str, after: str) -> Mutation:
    return Mutation("python", line, file, before, after)


def _typescript(line: int, file: str, before: str, after: str) -> Mutation:
    return Mutation("typescript", line, file, before, after)


MUTATIONS: Final = (
    _python(5, "watches.py", "LINGER_SECONDS: Final = 30.0", "LINGER_SECONDS: Final = 300.0"),
    _python(10, "watch.py", "            watch.is_fresh = False", "            pass"),
    _python(25, "subscription.py", "or (isinstance(self._state, Active) and snapshot == self._latest)", ""),
    _typescript(2, "documents.ts", "id.includes('\\0') || ", ""),
    _typescript(37, "liveness.ts", "ask(connection, 7)", "ask(connection, 70)"),
    _typescript(41, "session.ts", "this._app ||", "true ||"),
    # Those above are run each time, those below if they are asked for.
    _python(12, "state.py", "if seen.version > self._greatest or is_back or not self.is_known:", "if is_back or True:"),
    _python(37, "liveness.py", "_ANSWER_TICKS: Final = 7", "_ANSWER_TICKS: Final = 70"),
    _python(43, "tokens.py", "if self._asking is None:", "if self._asking is None or True:"),
    _typescript(8, "placing.ts", "if (wanted * 2 < batch._size)", "if (wanted < 0)"),
    _typescript(15, "watch.ts", "this._unconfirmed = version;", ""),
    _typescript(42, "connection.ts", "if (type === 'ping') this._send({ type: 'pong' });", ""),
    _python(2, "ref.py", 'if "\\0" in user_id:', "if False:"),
    _python(7, "placing.py", "MAX_SOCKETS: Final = 32", "MAX_SOCKETS: Final = 64"),
    _python(8, "carrier.py", "if batch in self._batches and batch.wanted * 2 < batch.size:", "if False:"),
    _python(9, "carrier.py", "if len(self._batches) >= min(MAX_BATCHES, limits.subscriptions // 2):", "if False:"),
    _python(15, "state.py", "if self._unconfirmed is not None and not self._deletes", "if False"),
    _python(28, "backoff.py", "return told * random.uniform(1, 1 + _JITTER)", "return told"),
    _python(29, "watches.py", "if subscription.is_pending and subscription not in self._pending:", "if False:"),
    _python(34, "closing.py", "None if hint is None else float(hint[1])", "None"),
    _python(38, "liveness.py", "_LEAP_SECONDS: Final = 5.0", "_LEAP_SECONDS: Final = 1e9"),
    _python(45, "closing.py", "frozenset({1008, 1009, 4400,", "frozenset({1008, 1009,"),
    _typescript(5, "watches.ts", "const LINGER = 30_000;", "const LINGER = 300_000;"),
    _typescript(7, "placing.ts", "const MAX_SOCKETS = 32;", "const MAX_SOCKETS = 64;"),
    _typescript(12, "watch.ts", "if (version > this._greatest ||", "if (true ||"),
    _typescript(18, "errors.ts", "  NAME_REQUIRED: NameRequired,\n", ""),
    _typescript(24, "clock.ts", "    log(error);\n", "    throw error;\n"),
    _typescript(28, "watches.ts", "(1 + Math.random() / 10)", "1"),
    _typescript(36, "session.ts", "        connection._stop(operation);\n", ""),
    _typescript(38, "liveness.ts", "const LEAP = 5000;", "const LEAP = 1e9;"),
    _typescript(43, "tokens.ts", "left - Math.min(30_000, left / 5)", "left"),
    _typescript(45, "closing.ts", "[1008, 1009, 4400,", "[1008, 1009,"),
)
ALWAYS: Final = 6
"""How many of them are run each time."""


class DoesNotApply(Exception):
    """The text of a mutation is not there, or not once: the client has changed, and the mutation has to."""


def apply(mutation: Mutation, directory: Path, node: str = "node") -> tuple[list[str], Path]:
    """Make a client with a mutation in a folder of its own.

    Return how to start its driver, and where Python finds its client. Raises ``DoesNotApply``.
    """
    is_python = mutation.client == "python"
    source = PYTHON_CLIENT if is_python else TYPESCRIPT_CLIENT / "src"
    copied = directory / "src"
    shutil.copytree(source, copied, ignore=shutil.ignore_patterns("__pycache__"))
    changed = copied / "userline_client" / mutation.file if is_python else copied / mutation.file
    text = changed.read_text()
    if text.count(mutation.before) != 1:
        raise DoesNotApply(f"{mutation} is there {text.count(mutation.before)} times")
    changed.write_text(text.replace(mutation.before, mutation.after))
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
