"""The tutorial, from its first command to its last: its programs print what it shows."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest

from tests.docs.running import ROOT, Background, blocks, commands, environment, run, write_file
from tests.support.gateway import RunningGateway
from tests.support.npm import built, find_node

SETUP = {
    "make client-wheel client-npm",
    "mkdir contacts && cd contacts",
    "python3 -m venv .venv && .venv/bin/pip install ../dist/userline_client-*.whl",
    "npm install ../dist/userline-client-*.tgz",
}
"""What the tests of the packages do (their ``test_package.py``)."""

START = {"make run", "(cd .. && make run)"}
WATCHING = {".venv/bin/python watch.py", "node watch.mjs"}


def stop_all(watching: list[Background]) -> None:
    for watcher in watching:
        watcher.stop()


def test_the_tutorial(tmp_path: Path) -> None:
    if shutil.which("curl") is None or shutil.which("openssl") is None:
        pytest.skip("curl and openssl are not both on PATH")
    node = built(ROOT / "clients" / "typescript", find_node())
    folder = tmp_path / "contacts"
    packages_there = folder / "node_modules" / "@userline"
    packages_there.mkdir(parents=True)
    (packages_there / "client").symlink_to(node.package)
    gateway = RunningGateway(tmp_path)
    address = gateway.url.removeprefix("http://")
    watching: list[Background] = []
    done: set[str] = set()

    def here(text: str) -> str:
        text = text.replace("127.0.0.1:8000", address)
        text = re.sub(r"(\.\./)?\.venv/bin/", f"{Path(sys.executable).parent}/", text)
        return text.replace("node ", f"{node.executable} ") if text.startswith("node ") else text

    try:
        for kind, text in blocks("docs/tutorial.md"):
            if kind in ("python", "javascript"):
                write_file(here(text), folder)
            elif kind == "text":
                assert watching
                assert all(watcher.shows(text) for watcher in watching), text
            elif kind == "console":
                for command, printed in commands(text):
                    done.add(command)
                    if command in START and len(done & START) > 1:
                        stop_all(watching)
                        gateway.stop()
                        gateway = RunningGateway(tmp_path, "--port", address.rpartition(":")[2])
                    elif command in WATCHING:
                        watching.append(Background(here(command), folder, environment()))
                    elif command not in SETUP | START:
                        assert run(here(command), folder, environment()).strip() == printed.strip(), command
            else:
                assert kind == "tsx"  # compiled by clients/react/tests/test_docs.py
    finally:
        stop_all(watching)
        gateway.stop()
    assert done >= SETUP | START | WATCHING
