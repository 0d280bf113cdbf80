"""The README's snippets, run in their order against a gateway of their own, give the output that it shows."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.support.gateway import RunningGateway

ROOT = Path(__file__).parents[2]
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_OUR_COMMANDS = {"make run", "make test"}


def blocks() -> list[tuple[str, str]]:
    return [(match[1], match[2]) for match in _BLOCK.finditer((ROOT / "README.md").read_text())]


def first_event(gateway: RunningGateway, query: str) -> Any:
    with connect(gateway.websocket_url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        socket.send('{"type": "connection_init"}')
        socket.recv()
        socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
        return json.loads(socket.recv())["payload"]


class Watcher:
    """A Python snippet that runs while the next ones do."""

    def __init__(self, source: str, directory: Path) -> None:
        name = source.partition("\n")[0].removeprefix("# ")
        (directory / name).write_text(source)
        self._output = directory / "output"
        with self._output.open("w") as output:
            self._process = subprocess.Popen([sys.executable, name], cwd=directory, stdout=output)
        self.wait_for(1)

    def wait_for(self, lines: int) -> str:
        deadline = time.monotonic() + 20
        while self._output.read_text().count("\n") < lines and time.monotonic() < deadline:
            time.sleep(0.02)
        return self._output.read_text()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()


def test_the_snippets_do_what_the_readme_says(tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("there is no curl on PATH")
    gateway = RunningGateway(tmp_path)
    watcher: Watcher | None = None
    ran = []
    try:
        remaining = blocks()
        while remaining:
            kind, text = remaining.pop(0)
            here = text.replace("127.0.0.1:8000", gateway.url.removeprefix("http://"))
            if kind == "graphql":
                expected_kind, expected = remaining.pop(0)
                assert expected_kind == "json"
                subscribes = text.startswith("subscription")
                answer = first_event(gateway, text) if subscribes else gateway.execute(text)
                assert answer == json.loads(expected), text
            elif kind == "console":
                command, _, expected = here.removeprefix("$ ").partition("\n")
                if command not in _OUR_COMMANDS:
                    output = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=True).stdout
                    assert output.strip() == expected.strip(), command
            elif kind == "python":
                watcher = Watcher(here, tmp_path)
            elif kind == "text":
                assert watcher is not None
                assert watcher.wait_for(text.count("\n")) == text
            else:
                pytest.fail(f"no way to run a {kind} block")
            ran.append(kind)
    finally:
        if watcher is not None:
            watcher.stop()
        gateway.stop()
    assert set(ran) == {"console", "graphql", "python", "text"}


def test_the_commands_and_files_that_the_readme_names_are_there() -> None:
    readme = (ROOT / "README.md").read_text()
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"\bmake (\w[\w-]*)", readme):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"there is no `make {target}`"
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", readme):
        assert (ROOT / link).exists(), f"there is no {link}"
    for name in re.findall(r"USERLINE_\w+", readme):
        assert f"`{name}`" in (ROOT / "docs" / "settings.md").read_text(), f"there is no setting {name}"
