"""Clients of the REST API that are generated from its description, in four languages.

Each does the same, which is in its program: a user is created, read, sent back as read, patched (what is left out
stays, null sets back), read again, deleted, and an error is read.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.outside.conftest import HERE, build, tool

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.outside

DONE: Final = ["create", "get", "put what was read", "patch", "null", "batch", "condition", "delete", "error"]


def test_typescript(run: Callable[..., list[str]], description: Path) -> None:
    """openapi-typescript, openapi-fetch and the TypeScript compiler."""
    client = HERE / "rest-typescript"
    build(client, tool("npm"), "ci", "--no-audit", "--no-fund", "--silent")
    modules = client / "node_modules"
    build(client, modules / ".bin/openapi-typescript", description, "-o", "src/generated/api.ts")
    build(client, modules / ".bin/tsc", "--project", ".")
    assert run(client, tool("node"), "build/client.js") == DONE


def test_go(run: Callable[..., list[str]], description: Path) -> None:
    """oapi-codegen."""
    client, go = HERE / "rest-go", tool("go", "/usr/local/go/bin/go")
    build(client, go, "tool", "oapi-codegen", "-config", "oapi-codegen.yaml", description)
    build(client, go, "vet", "./...")
    assert run(client, go, "run", ".") == DONE


def test_python(run: Callable[..., list[str]], description: Path, tmp_path: Path) -> None:
    """openapi-python-client."""
    client = HERE / "rest-python"
    uv, python = Path(sys.executable).with_name("uv"), tmp_path / "venv/bin/python"
    build(tmp_path, uv, "venv", "--quiet", "--python", sys.executable, "venv")
    locked = client / "requirements.txt"
    build(tmp_path, uv, "pip", "install", "--quiet", "--require-hashes", "--python", python, "-r", locked)
    generate = (python, "-m", "openapi_python_client", "generate", "--meta", "none", "--fail-on-warning")
    said = build(tmp_path, *generate, "--config", client / "config.yaml", "--path", description, "--output-path", "api")
    assert "Unable" not in said
    assert "Endpoint will not be generated" not in said
    assert run(tmp_path, python, client / "client.py", PYTHONPATH=str(tmp_path)) == DONE


def test_java(run: Callable[..., list[str]], description: Path) -> None:
    """openapi-generator with Jackson and the JDK's HttpClient."""
    client = HERE / "rest-java"
    tool("javac")
    maven = (tool("mvn"), "--batch-mode", "--quiet", "--no-transfer-progress")
    build(client, *maven, "package", f"-Dopenapi={description}")
    assert run(client, tool("java"), "-jar", "target/client.jar") == DONE
