"""The package: what it weighs, and what it promises to compilers and bundlers."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.npm import check_publint, check_types

if TYPE_CHECKING:
    from clients.react.tests.conftest import Node

PACKAGE = Path(__file__).parents[1]
MAX_BYTES = 1200
"""What an application carries that uses all of it, beside React and the client."""
_NO_ANY = re.compile(r"\bany\b")
FOLDERS = (PACKAGE, PACKAGE / "tests" / "react-18")


def test_what_it_weighs(node: Node, tmp_path: Path) -> None:
    program, out = tmp_path / "program.js", tmp_path / "out.js"
    program.write_text(f"export * from '{PACKAGE}/dist/index.js'")
    flags = ["--bundle", "--minify", "--format=esm", "--external:react", "--external:@userline/client"]
    done = node.run("node_modules/esbuild/bin/esbuild", program, *flags, f"--outfile={out}", "--log-level=error")
    assert done.returncode == 0, done.stderr
    assert len(gzip.compress(out.read_bytes(), 9)) <= MAX_BYTES


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


def test_both_kinds_of_module_are_for_browsers_and_alike(node: Node) -> None:
    for name in ("index.js", "index.cjs"):
        assert (PACKAGE / "dist" / name).read_text().startswith('"use client";\n')
    script = """
      const esm = await import('./dist/index.js');
      const { createRequire } = await import('node:module');
      const cjs = createRequire(process.cwd() + '/')('./dist/index.cjs');
      console.log(JSON.stringify([Object.keys(esm).sort(), Object.keys(cjs).sort()]));
    """
    done = node.run("--input-type=module", "-e", script)
    assert (done.returncode, done.stderr) == (0, "")
    esm, cjs = json.loads(done.stdout)
    hooks = ["useSession", "useSessionStatus", "useSetUser", "useUser", "useUserOnline", "useUsers"]
    assert esm == cjs == ["UserlineProvider", *hooks]


def test_publint(node: Node) -> None:
    check_publint(node)


def test_the_types_are_right_for_every_way_of_importing(node: Node, tmp_path: Path) -> None:
    check_types(node, tmp_path)


def test_the_pinned_packages_name_no_host() -> None:
    for folder in FOLDERS:
        lock = (folder / "package-lock.json").read_text()
        assert "://" not in lock
        packages = json.loads(lock)["packages"]
        assert all(package.get("integrity") for name, package in packages.items() if name)


def test_it_depends_on_what_the_application_has() -> None:
    package = json.loads((PACKAGE / "package.json").read_text())
    assert not package.get("dependencies")
    assert package["peerDependencies"].keys() == {"react", "@userline/client"}
    assert package["sideEffects"] is False
    pinned = [*package["devDependencies"].values()]
    pinned += json.loads((FOLDERS[1] / "package.json").read_text())["dependencies"].values()
    assert all(version.replace(".", "").isdigit() for version in pinned)
