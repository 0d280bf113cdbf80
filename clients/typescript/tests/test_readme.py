"""The README's snippets run, each as a program of its own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clients.typescript.tests.conftest import Node
    from tests.support.gateway import RunningGateway

PACKAGE = Path(__file__).parents[1]
SNIPPETS = re.findall(r"^```js\n(.*?)^```$", (PACKAGE / "README.md").read_text(), re.MULTILINE | re.DOTALL)
PRINTED = [
    "Alice\nAlice B.\n[ 'Alice B.', undefined ]\n",
    "Bob true true\nBAD_USER_INPUT [ 'name', 'locale' ]\n",
    "alice is now Alice B.\nunsubscribed\nfalse\n2 users\n",
    "Alice B. null\n",
    "alice\n",
]


def test_the_snippets_of_the_readme(node: Node, gateway: RunningGateway) -> None:
    assert len(SNIPPETS) == len(PRINTED)
    for snippet, printed in zip(SNIPPETS, PRINTED, strict=True):
        assert "ws://127.0.0.1:8000/graphql" in snippet
        script = snippet.replace("ws://127.0.0.1:8000/graphql", gateway.websocket_url)
        done = node.run("--input-type=module", "-e", script)
        assert done.returncode == 0, done.stderr
        assert sorted(done.stdout.splitlines()) == sorted(printed.splitlines())
        assert done.stderr == ""
