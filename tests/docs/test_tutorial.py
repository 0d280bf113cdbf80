"""The tutorial, from its first command to its last: its programs print what it shows."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from tests.docs.running import ROOT, Background, blocks, commands, environment, run, write_file
from tests.support.gateway import RunningGateway
from tests.support.needed import program
from tests.support.npm import Node, built, find_node

SETUP = {
    "make client-wheel client-npm",
    "mkdir contacts && cd contacts",
    "python3 -m venv .venv && .venv/bin/pip install ../dist/userline_client-*.whl",
    "npm install ../dist/userline-client-*.tgz",
}
"""What the tests of the packages do (their ``test_package.py``)."""

START = "make run"
RESTART = "(cd .. && make run)"
WATCHING = {".venv/bin/python watch.py", "node watch.mjs"}


class Reader:
    """Does what a reader of the tutorial does, in a folder beside a gateway."""

    def __init__(self, checkout: Path, node: Node) -> None:
        self._checkout = checkout
        self._node = node
        self.folder = checkout / "contacts"
        packages = self.folder / "node_modules" / "@userline"
        packages.mkdir(parents=True)
        (packages / "client").symlink_to(node.package)
        self._gateway = RunningGateway(checkout)
        self._address = self._gateway.url.removeprefix("http://")
        self._watching: list[Background] = []
        self.done: list[str] = []

    def here(self, text: str) -> str:
        """Return a text with the programs and the address of this machine."""
        text = text.replace("127.0.0.1:8000", self._address)
        text = re.sub(r"(\.\./)?\.venv/bin/", f"{Path(sys.executable).parent}/", text)
        return re.sub(r"^node ", f"{self._node.executable} ", text)

    def do(self, command: str, printed: str) -> None:
        """Run one command, which prints what the page shows."""
        self.done.append(command)
        if command == RESTART:
            self.stop()
            self._gateway = RunningGateway(self._checkout, "--port", self._address.rpartition(":")[2])
        elif command in WATCHING:
            self._watching.append(Background(self.here(command), self.folder, environment()))
        elif command not in {*SETUP, START}:
            assert run(self.here(command), self.folder, environment()).strip() == printed.strip(), command

    def sees(self, text: str) -> None:
        """Look at what the watching programs show."""
        assert self._watching
        assert all(watching.shows(text) for watching in self._watching), text

    def stop(self) -> None:
        """End everything that runs."""
        for watching in self._watching:
            watching.stop()
        self._gateway.stop()


def test_the_tutorial(tmp_path: Path) -> None:
    for name in ("curl", "openssl"):
        program(name)
    reader = Reader(tmp_path, built(ROOT / "clients" / "typescript", find_node()))
    try:
        for kind, text in blocks("docs/tutorial.md"):
            if kind in ("python", "javascript"):
                write_file(reader.here(text), reader.folder)
            elif kind == "text":
                reader.sees(text)
            elif kind == "console":
                for command, printed in commands(text):
                    reader.do(command, printed)
            else:
                assert kind == "tsx"  # compiled by clients/react/tests/test_docs.py
    finally:
        reader.stop()
    assert set(reader.done) >= {*SETUP, START, RESTART, *WATCHING}
