"""The commands where a standard stream is closed, or where what they print finds no room."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest
from tests.support.tokens import SECRET
from tests.support.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

PRINTING = ["settings", "schema", "doctor --port 0", "--help"]
READING = ["delete --from -", "import -"]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where a store with one user is."""
    (tmp_path / "in.jsonl").write_text('{"id": "alice", "name": "Alice"}\n')
    assert run(tmp_path, "import in.jsonl").returncode == 0
    return tmp_path


def run(directory: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run a command with what a shell makes of its streams."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("USERLINE_")}
    return subprocess.run(
        ["sh", "-c", f"exec {sys.executable} -m userline {command}"],
        cwd=directory,
        env=env | {"USERLINE_SECRET": SECRET},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("command", [*PRINTING, "export -"])
def test_what_finds_no_room_is_a_sentence(directory: Path, command: str) -> None:
    done = run(directory, f"{command} > /dev/full")
    assert done.returncode == 1
    assert "No space left on device" in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.parametrize("command", ["settings", "doctor --port 0", "export out.jsonl", "delete alice"])
def test_nobody_has_to_hear_of_errors(directory: Path, command: str) -> None:
    usual = run(directory, f"{command} 2> /dev/null")
    (directory / "out.jsonl").unlink(missing_ok=True)
    done = run(directory, f"{command} 2>&-")
    if not command.startswith("doctor"):  # which measures
        assert done.stdout == usual.stdout
    assert (done.returncode, done.stderr) == (usual.returncode, "")


@pytest.mark.parametrize("command", READING)
def test_a_closed_standard_input_is_no_empty_one(directory: Path, command: str) -> None:
    closed = run(directory, f"{command} <&-")
    assert (closed.returncode, closed.stderr) == (1, "Error: Standard input is closed. Name a file, or open it.\n")
    assert run(directory, f"{command} < /dev/null").returncode == 0


@pytest.mark.parametrize("command", ["delete alice", "export -"])
def test_what_reads_no_input_needs_none(directory: Path, command: str) -> None:
    done = run(directory, f"{command} <&-")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("closed", ["<&- >&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_a_gateway_needs_none_of_them(tmp_path: Path, closed: str) -> None:
    """Its sockets would get their numbers, at the end of which libuv ends the process."""
    path = tmp_path / "socket"
    process = subprocess.Popen(
        ["sh", "-c", f"exec {sys.executable} -m userline serve --host unix:{path} --drain-seconds 0 {closed}"],
        cwd=tmp_path,
        env={name: value for name, value in os.environ.items() if not name.startswith("USERLINE_")},
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://localhost") as client:
            asyncio.run(until(lambda: listens(path), 60))
            for _ in range(3):
                assert client.get("/graphql?query={app{id}}", headers={"connection": "close"}).status_code == 200
        process.terminate()
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


def listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as end:
        return end.connect_ex(str(path)) == 0
