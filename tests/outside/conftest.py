"""Fixtures for clients in other languages. Their tests are collected by ``-m outside`` alone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.outside.control import Control, GuardedGateway
from tests.support.needed import unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HERE = Path(__file__).parent
MINUTES = 10


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Leave these tests alone unless they are asked for: they build programs in five languages."""
    return None if config.option.markexpr == "outside" else True


def tool(name: str, *candidates: str) -> str:
    """Return where a command is, on PATH or at one of these paths."""
    found = shutil.which(name) or next(
        (each for each in map(os.path.expanduser, candidates) if Path(each).exists()), None
    )
    return found or unavailable(f"there is no {name}")


def build(directory: Path, *command: str | Path, **environment: str) -> str:
    """Run a command to its good end, and return what it printed."""
    ended = subprocess.run(
        list(map(str, command)),
        cwd=directory,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=MINUTES * 60,
        check=False,
    )
    assert ended.returncode == 0, f"{' '.join(map(str, command))}\n{ended.stdout[-12_000:]}"
    return ended.stdout


@pytest.fixture(scope="session")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GuardedGateway]:
    """A gateway that asks for tokens and can be restarted."""
    running = GuardedGateway(tmp_path_factory.mktemp("outside"), "--no-access-log")
    yield running
    running.stop()


@pytest.fixture(scope="session")
def control(gateway: GuardedGateway) -> Iterator[Control]:
    server = Control(gateway)
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def run(control: Control) -> Callable[..., list[str]]:
    """Run a client, and return what it says that it has done, line by line."""

    def run_client(directory: Path, *command: str | Path, **environment: str) -> list[str]:
        given = {"USERLINE_URL": control.gateway.url, "USERLINE_CONTROL": control.url} | environment
        said = build(directory, *command, **given)
        return [line.removeprefix("done: ") for line in said.splitlines() if line.startswith("done: ")]

    return run_client


@pytest.fixture(scope="session")
def description(control: Control, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gateway's own description of its REST API, in a file."""
    import httpx  # noqa: PLC0415 - what it takes to import is spared those who collect nothing here

    path = tmp_path_factory.mktemp("openapi") / "openapi.json"
    path.write_text(json.dumps(httpx.get(f"{control.gateway.url}/v1/openapi.json").raise_for_status().json()))
    return path
