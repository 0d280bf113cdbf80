"""The commands and snippets of the README and of the first steps, run in their order, print what the pages show."""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any

import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from tests.docs.running import ROOT, Background, blocks, commands, environment, run, write_file
from tests.support.gateway import RunningGateway
from tests.support.needed import program

if TYPE_CHECKING:
    from pathlib import Path

_OUR_COMMANDS = {"make run", "make test"}


def first_event(gateway: RunningGateway, query: str) -> Any:
    with connect(gateway.websocket_url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        socket.send('{"type": "connection_init"}')
        socket.recv()
        socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": query}}))
        return json.loads(socket.recv())["payload"]


@pytest.mark.parametrize(
    ("page", "kinds"), [("README.md", {"console"}), ("docs/start.md", {"console", "graphql", "python", "text"})]
)
def test_the_snippets_do_what_the_page_says(page: str, kinds: set[str], tmp_path: Path) -> None:
    program("curl")
    gateway = RunningGateway(tmp_path)
    watcher: Background | None = None
    ran = []
    try:
        remaining = blocks(page)
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
                for command, expected in commands(here):
                    if command not in _OUR_COMMANDS:
                        assert run(command, tmp_path).strip() == expected.strip(), command
            elif kind == "python":
                watcher = Background(f"{sys.executable} {write_file(here, tmp_path)}", tmp_path, environment())
                assert watcher.shows("}\n")
            elif kind == "text":
                assert watcher is not None
                assert watcher.shows(text)
            else:
                pytest.fail(f"no way to run a {kind} block")
            ran.append(kind)
    finally:
        if watcher is not None:
            watcher.stop()
        gateway.stop()
    assert set(ran) == kinds


@pytest.mark.parametrize("page", ["README.md", "docs/start.md", "docs/tutorial.md"])
def test_the_commands_and_files_that_the_page_names_are_there(page: str) -> None:
    text = (ROOT / page).read_text()
    makefile = (ROOT / "Makefile").read_text()
    for targets in re.findall(r"(?:`|^\$ |&& )make ((?:[a-z-]+ ?)+)", text, re.MULTILINE):
        for target in targets.split():
            assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"there is no `make {target}`"
    for link in re.findall(r"\]\((?!http)([^)#]+)(?:#[^)]*)?\)", text):
        assert (ROOT / page).parent.joinpath(link).exists(), f"there is no {link}"
    for name in re.findall(r"USERLINE_\w+", text):
        assert f"`{name}`" in (ROOT / "docs" / "settings.md").read_text(), f"there is no setting {name}"
