"""The snippets in docs/react.md, the tutorial and the README compile; a server's page shows who is in a gateway."""

from __future__ import annotations

import fnmatch
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from clients.react.tests.conftest import Node
    from tests.support.gateway import RunningGateway

PACKAGE = Path(__file__).parents[1]
DOCS = PACKAGE.parents[1] / "docs"
PAGES = (DOCS / "react.md", DOCS / "tutorial.md", PACKAGE / "README.md")
SNIPPETS = dict(
    snippet
    for page in PAGES
    for snippet in re.findall(r"^```tsx\n// (\S+)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
)
RENDER = """
import { renderToString } from 'react-dom/server';
import Page from './page';

const html = [];
for (const id of ['alice', 'nobody']) html.push(renderToString(await Page({ params: Promise.resolve({ id }) })));
console.log(JSON.stringify(html));
process.exit();
"""


@pytest.fixture(scope="module")
def folder(node: Node) -> Iterator[Path]:
    """The snippets, where they find the packages that they import."""
    folder = PACKAGE / "node_modules" / ".snippets"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, text in SNIPPETS.items():
        (folder / name).write_text(text)
    (folder / "render.tsx").write_text(RENDER)
    link = folder / "node_modules" / "@userline" / "react"
    link.parent.mkdir(parents=True)
    link.symlink_to(node.package, target_is_directory=True)
    yield folder
    shutil.rmtree(folder)


def test_the_snippets_compile(node: Node, folder: Path) -> None:
    assert len(SNIPPETS) == 12
    options = {
        **json.loads((PACKAGE / "tests" / "types" / "tsconfig.json").read_text())["compilerOptions"],
        "module": "esnext",
        "moduleResolution": "bundler",
        "types": ["node"],
        "typeRoots": [str(PACKAGE.parent / "typescript" / "node_modules" / "@types")],
    }
    (folder / "tsconfig.json").write_text(json.dumps({"compilerOptions": options, "files": list(SNIPPETS)}))
    done = node.run("node_modules/typescript/bin/tsc", "-p", folder)
    assert done.returncode == 0, done.stdout


def test_a_server_renders_a_page_for_a_gateways_users(node: Node, folder: Path, gateway: RunningGateway) -> None:
    gateway.set_user("alice", name="Alice")
    flags = ["--bundle", "--format=esm", "--platform=node", "--packages=external", "--jsx=automatic"]
    out = folder / "render.mjs"
    done = node.run(
        "node_modules/esbuild/bin/esbuild", folder / "render.tsx", *flags, f"--outfile={out}", "--log-level=error"
    )
    assert done.returncode == 0, done.stderr
    done = node.run(out, env={"USERLINE_URL": gateway.websocket_url})
    assert (done.returncode, done.stderr) == (0, "")
    alice, nobody = json.loads(done.stdout)
    assert "<h1>Alice</h1>" in alice
    assert "<h1>There is no such user.</h1>" in nobody


def test_the_files_that_are_installed_are_those_that_are_made() -> None:
    made = set()
    for package in (PACKAGE, PACKAGE.parent / "typescript"):
        told = json.loads((package / "package.json").read_text())
        made.add(f"{told['name'].removeprefix('@').replace('/', '-')}-{told['version']}.tgz")
    for page in (*PAGES, PACKAGE.parent / "typescript" / "README.md"):
        installed = re.findall(r"\./dist/(\S+\.tgz)", page.read_text())
        assert installed, page
        for pattern in installed:
            assert fnmatch.filter(made, pattern), (page, pattern)
