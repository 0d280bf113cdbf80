"""Under the JSON format, whatever keeps a gateway from starting is a line of JSON too, with the exit code as ever."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BY_FLAG: Final = ("--log-format", "json")
SETTINGS: Final = "must be a whole number from 0 to 65535"
FAILURES: Final[dict[str, tuple[tuple[str, ...], dict[str, str], str, int, str]]] = {
    # the flags, the environment, the .env file, the exit code, and what is said
    "a bad setting": ((*BY_FLAG, "--port", "x"), {}, "", 2, SETTINGS),
    "the format by the environment": (("--port", "x"), {"USERLINE_LOG_FORMAT": "json"}, "", 2, SETTINGS),
    "the format by the file": ((), {}, "USERLINE_LOG_FORMAT=json\nUSERLINE_PORT=x\n", 2, SETTINGS),
    "several": ((*BY_FLAG, "--max-depth", "x", "--port", "x"), {}, "", 2, SETTINGS),
    "an unknown flag": ((*BY_FLAG, "--prot", "1"), {}, "", 2, "No such option"),
    "an unknown flag, by =": (("--log-format=json", "--prot=1"), {}, "", 2, "No such option"),
    "no such file": (("--env-file", "gone.env"), {"userline_log_format": "json"}, "", 2, "does not exist"),
    "an address in use": ((*BY_FLAG, "--port", "BUSY"), {}, "", 1, "Address already in use"),
    "a broken store": ((*BY_FLAG, "--port", "0", "--store-url", "sqlite:///broken.db"), {}, "", 1, "broken.db"),
    "bad documents": ((*BY_FLAG, "--port", "0", "--trusted-documents", "gone"), {}, "", 1, "gone"),
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, tuple[int, str]]]:
    """How each of them ended, and what it wrote. They run at the same time."""
    clean = {name: value for name, value in os.environ.items() if not name.upper().startswith("USERLINE_")}
    with socket.create_server(("127.0.0.1", 0)) as busy:
        running = {}
        for number, (name, (flags, env, file, _, _)) in enumerate(FAILURES.items()):
            directory: Path = tmp_path_factory.mktemp(f"start{number}")
            (directory / ".env").write_text(file)
            (directory / "broken.db").write_bytes(b"This is no database. " * 100)
            given = [str(busy.getsockname()[1]) if flag == "BUSY" else flag for flag in flags]
            command = [sys.executable, "-m", "userline", "serve", *given]
            running[name] = subprocess.Popen(
                command, cwd=directory, env=clean | env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        yield {name: (_ended(process), _written(process)) for name, process in running.items()}


def _written(process: subprocess.Popen[str]) -> str:
    out, errors = process.communicate(timeout=60)
    return out + errors


def _ended(process: subprocess.Popen[str]) -> int:
    return process.wait(150)


@pytest.mark.parametrize("name", FAILURES)
def test_it_is_told_as_json(ended: dict[str, tuple[int, str]], name: str) -> None:
    *_, code, said = FAILURES[name]
    found, written = ended[name]
    assert found == code, written
    lines: list[dict[str, Any]] = [json.loads(line) for line in written.splitlines()]
    assert any(said in line["event"] for line in lines), written
    assert lines[-1]["level"] == "critical"
    assert all({"timestamp", "level", "logger", "event"} <= line.keys() for line in lines)
    assert len([line for line in lines if line["level"] == "critical"]) == (2 if name == "several" else 1)
