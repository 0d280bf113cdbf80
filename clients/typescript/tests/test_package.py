"""The package: what it weighs, and what it promises to compilers and bundlers."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.support.npm import check_publint, check_types

from userline.users.errors import ErrorCode
from userline.users.fields import GIVEN, PUBLIC

if TYPE_CHECKING:
    from clients.typescript.tests.conftest import Node

PACKAGE = Path(__file__).parents[1]
MAX_BYTES = 7250
"""What an application carries that uses ``createSession``, and so everything that can be reached from it."""
MAX_TABS_BYTES = 2450
"""What is added by ``SharedWebSocket``."""
MAX_STREAM_BYTES = 1100
_NO_ANY = re.compile(r"\bany\b")


def minified(node: Node, line: str, tmp_path: Path) -> int:
    """Return how many bytes a program of this line has, minified by esbuild and compressed by gzip."""
    program, out = tmp_path / "program.js", tmp_path / "out.js"
    program.write_text(line.replace("./", f"{PACKAGE}/dist/"))
    flags = ["--bundle", "--minify", "--format=esm", "--external:*/stream.js", f"--outfile={out}", "--log-level=error"]
    done = node.run("node_modules/esbuild/bin/esbuild", program, *flags)
    assert done.returncode == 0, done.stderr
    return len(gzip.compress(out.read_bytes(), 9))


def test_what_it_weighs(node: Node, tmp_path: Path) -> None:
    assert minified(node, "export { createSession } from './index.js'", tmp_path) <= MAX_BYTES
    assert minified(node, "export { SharedWebSocket } from './tabs.js'", tmp_path) <= MAX_TABS_BYTES
    stream = PACKAGE / "dist" / "stream.js"
    done = node.run("node_modules/esbuild/bin/esbuild", stream, "--minify", f"--outfile={tmp_path / 'stream.js'}")
    assert done.returncode == 0, done.stderr
    assert len(gzip.compress((tmp_path / "stream.js").read_bytes(), 9)) <= MAX_STREAM_BYTES


def test_types(node: Node) -> None:
    for project in (".", "tests/types"):
        done = node.run("node_modules/typescript/bin/tsc", "-p", project, "--noEmit")
        assert done.returncode == 0, done.stdout


def test_no_any_is_exported(node: Node) -> None:
    assert node is not None
    declarations = [*(PACKAGE / "dist").glob("*.d.ts"), *(PACKAGE / "dist").glob("*.d.cts")]
    assert declarations
    for path in declarations:
        code = re.sub(r"/\*.*?\*/|//.*", "", path.read_text(), flags=re.DOTALL)
        assert not _NO_ANY.search(code), path


def test_it_has_the_fields_of_the_table() -> None:
    types = (PACKAGE / "src" / "types.ts").read_text()
    seen = _members(types, "UserSnapshot")
    selected = re.findall(r"^  '(\w+)',$", (PACKAGE / "src" / "snapshot.ts").read_text(), re.MULTILINE)
    assert set(seen) == set(selected) == {field.name for field in PUBLIC} | {"effectiveLocale"}
    assert set(_members(types, "SetUserParams")) == {field.name for field in GIVEN}


def test_each_code_of_the_gateway_has_a_kind() -> None:
    kinds = re.findall(
        r"^export const \w+ = .* kind<(\w+)>\('([A-Z_]+)'", (PACKAGE / "src" / "errors.ts").read_text(), re.MULTILINE
    )
    assert {code for _, code in kinds} >= set(ErrorCode)
    assert len(kinds) == len(dict(kinds)) == len({code for _, code in kinds})


def _members(types: str, interface: str) -> list[str]:
    body = re.search(rf"interface {interface} {{\n(.*?)^}}", types, re.MULTILINE | re.DOTALL)
    assert body
    return re.findall(r"^  (?:readonly )?(\w+)\??: ", body[1], re.MULTILINE)


def test_publint(node: Node) -> None:
    check_publint(node)


def test_the_types_are_right_for_every_way_of_importing(node: Node, tmp_path: Path) -> None:
    check_types(node, tmp_path)


def test_importing_opens_nothing_and_touches_nothing(node: Node) -> None:
    script = """
      const names = ['window', 'document', 'WebSocket', 'fetch', 'setTimeout', 'addEventListener', 'location'];
      names.push('navigator', 'BroadcastChannel');
      const touched = [];
      for (const name of names) Object.defineProperty(globalThis, name, { get() { touched.push(name); } });
      const { createRequire } = await import('node:module');
      for (const [file, name] of [['index', 'createSession'], ['tabs', 'SharedWebSocket']]) {
        const esm = await import(`./dist/${file}.js`);
        const cjs = createRequire(process.cwd() + '/')(`./dist/${file}.cjs`);
        if (touched.length || !esm[name] || !cjs[name]) throw new Error(touched.join());
        if (Object.keys(esm).join() !== Object.keys(cjs).join()) throw new Error('they differ');
      }
    """
    done = node.run("--input-type=module", "-e", script)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("directory", [PACKAGE, PACKAGE.parents[1] / "bench" / "clients"], ids=["client", "bench"])
def test_the_pinned_packages_name_no_host(directory: Path) -> None:
    lock = (directory / "package-lock.json").read_text()
    assert "://" not in lock
    packages = json.loads(lock)["packages"]
    assert all(package.get("integrity") for name, package in packages.items() if name)


def test_it_depends_on_nothing_and_pins_its_tools() -> None:
    package = json.loads((PACKAGE / "package.json").read_text())
    assert not package.get("dependencies")
    assert package["sideEffects"] is False
    assert all(version.replace(".", "").isdigit() for version in package["devDependencies"].values())


def test_source_files_are_small() -> None:
    assert all(len(path.read_text().splitlines()) < 300 for path in (PACKAGE / "src").glob("*.ts"))
