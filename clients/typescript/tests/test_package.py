"""The package: what it weighs, what it promises to compilers and bundlers, and its own tests in Node."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from clients.typescript.tests.conftest import Node

PACKAGE = Path(__file__).parents[1]
BEHAVIOUR = PACKAGE.parents[1] / "docs" / "client-behaviour.md"
MAX_BYTES = 6656
MAX_STREAM_BYTES = 1200
_NO_ANY = re.compile(r"\bany\b")


def minified(node: Node, name: str, tmp_path: Path) -> int:
    """Return how many bytes a module has, minified by esbuild and compressed by gzip."""
    out = tmp_path / "out.js"
    flags = ["--bundle", "--minify", "--format=esm", "--external:./stream.js", f"--outfile={out}", "--log-level=error"]
    done = node.run("node_modules/esbuild/bin/esbuild", f"dist/{name}.js", *flags)
    assert done.returncode == 0, done.stderr
    return len(gzip.compress(out.read_bytes(), 9))


def test_what_it_weighs(node: Node, tmp_path: Path) -> None:
    assert minified(node, "index", tmp_path) <= MAX_BYTES
    assert minified(node, "stream", tmp_path) <= MAX_STREAM_BYTES


def test_behaviour_with_a_clock_and_a_gateway_of_the_tests(node: Node) -> None:
    done = node.run("--test", "--test-reporter=tap", *sorted((PACKAGE / "tests" / "node").glob("*.test.mjs")))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\n# skipped 0\n" in done.stdout


def test_every_line_of_the_behaviour_has_a_test() -> None:
    lines = {int(number) for number in re.findall(r"^(\d+)\. ", BEHAVIOUR.read_text(), re.MULTILINE)}
    scripts = [path.read_text() for path in (PACKAGE / "tests" / "node").glob("*.test.mjs")]
    titles = [title for script in scripts for title in re.findall(r"test\(['`]([\d, ]+):", script)]
    assert {int(number) for title in titles for number in title.split(",")} == lines


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


def test_publint(node: Node) -> None:
    done = node.run("node_modules/publint/src/cli.js", "--strict")
    assert done.returncode == 0, done.stdout
    assert "All good" in done.stdout


def test_the_types_are_right_for_every_way_of_importing(node: Node, tmp_path: Path) -> None:
    done = node.run("tests/pack.mjs", str(tmp_path))
    assert done.returncode == 0, done.stderr
    done = node.run("node_modules/@arethetypeswrong/cli/dist/index.js", next(tmp_path.glob("*.tgz")), "--format", "json")
    assert done.returncode == 0, done.stdout
    report = json.loads(done.stdout)
    assert not report["analysis"]["problems"], report


def test_importing_opens_nothing_and_touches_nothing(node: Node) -> None:
    script = """
      const names = ['window', 'document', 'WebSocket', 'fetch', 'setTimeout', 'addEventListener', 'localStorage', 'location'];
      const touched = [];
      for (const name of names) Object.defineProperty(globalThis, name, { get() { touched.push(name); } });
      const esm = await import('./dist/index.js');
      const { createRequire } = await import('node:module');
      const cjs = createRequire(process.cwd() + '/')('./dist/index.cjs');
      if (touched.length || !esm.createSession || !cjs.createSession) throw new Error(touched.join());
      if (Object.keys(esm).join() !== Object.keys(cjs).join()) throw new Error('they differ');
    """
    done = node.run("--input-type=module", "-e", script)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_the_pinned_packages_name_no_host() -> None:
    lock = (PACKAGE / "package-lock.json").read_text()
    assert "://" not in lock
    packages = json.loads(lock)["packages"]
    assert all(package.get("integrity") for name, package in packages.items() if name)


def test_it_depends_on_nothing_and_pins_its_tools() -> None:
    package = json.loads((PACKAGE / "package.json").read_text())
    assert not package.get("dependencies")
    assert package["sideEffects"] is False
    assert all(version.replace(".", "").isdigit() for version in package["devDependencies"].values())


def test_source_files_are_small() -> None:
    assert all(len(path.read_text().splitlines()) < 330 for path in (PACKAGE / "src").glob("*.ts"))
