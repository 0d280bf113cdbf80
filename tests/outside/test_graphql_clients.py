"""Typed GraphQL clients in several languages: what they leave out of a patch stays as it is, what is null is emptied.

Each does the same: a query, mutations, a batch, an error, a subscription with a change, and how it goes on after its
token's end and after a restart of the gateway. docs/typed-clients.md shows parts of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.browser.conftest import chromium
from tests.outside.conftest import HERE, build, tool
from tests.outside.control import Control, GuardedGateway
from tests.support.npm import find_node, install
from tests.support.recipes import modules

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["chromium"]
"""A fixture that is used as it is."""

pytestmark = pytest.mark.outside

DONE: Final = ["query", "mutation", "batch", "error", "subscription", "the end of a token", "restart"]


def test_genqlient(run: Callable[..., list[str]]) -> None:
    client, go = HERE / "genqlient", tool("go", "/usr/local/go/bin/go")
    build(client, go, "tool", "genqlient")
    build(client, go, "vet", "./...")
    assert run(client, go, "run", ".") == DONE


def test_cynic(run: Callable[..., list[str]]) -> None:
    """cynic, and graphql-ws-client for subscriptions."""
    client, cargo = HERE / "cynic", tool("cargo", "~/.cargo/bin/cargo")
    build(client, cargo, "build", "--quiet")
    assert run(client, "target/debug/userline-cynic") == DONE


def test_jackson(run: Callable[..., list[str]]) -> None:
    """Jackson, with the HttpClient and the WebSocket of the JDK."""
    client = HERE / "jackson"
    tool("javac")
    build(client, tool("mvn"), "--batch-mode", "--quiet", "--no-transfer-progress", "package")
    assert run(client, tool("java"), "-jar", "target/client.jar") == DONE


def test_spring(run: Callable[..., list[str]]) -> None:
    """Spring's clients over HTTP, server-sent events and WebSocket."""
    client = HERE / "spring"
    tool("javac")
    build(client, tool("mvn"), "--batch-mode", "--quiet", "--no-transfer-progress", "package")
    assert run(client, tool("java"), "-jar", "target/client.jar") == DONE


def test_apollo_kotlin(run: Callable[..., list[str]]) -> None:
    """Apollo's runtime, and its compiler without Gradle."""
    client, java = HERE / "apollo-kotlin", tool("java")
    tool("javac")
    maven = (tool("mvn"), "--batch-mode", "--quiet", "--no-transfer-progress")
    build(client, *maven, "--file", "codegen/pom.xml", "package")
    compiler = (client / "target/compiler").read_text()
    schema = HERE.parents[1] / "schema/schema.graphql"
    build(client, java, "-cp", compiler, "codegen/Generate.java", schema, "operations.graphql", "generated")
    build(client, *maven, "package")
    assert run(client, java, "-jar", "target/client.jar") == DONE


def test_relay(run: Callable[..., list[str]]) -> None:
    """Relay's compiler and store, which is told to go by the type and the id."""
    client = HERE / "relay"
    build(client, tool("npm"), "ci", "--no-audit", "--no-fund", "--silent")
    (client / "generated").mkdir(exist_ok=True)
    build(client, "node_modules/.bin/relay-compiler", "relay.config.json")
    assert run(client, tool("node"), "src/client.js") == DONE


@pytest.mark.parametrize("name", ["apollo", "urql"])
def test_in_chromium(run: Callable[..., list[str]], chromium: str, tmp_path: Path, name: str) -> None:
    """Apollo Client and urql in a page, by the recipes of PROTOCOL.md as they stand there."""
    client, tests, node = HERE / "browser", HERE.parent, find_node()
    for each in ("browser", "clients"):
        install(tests / each, node)
    given = {path.name: path.read_text() for path in client.glob("*.js")}
    for file, text in (modules("PROTOCOL.md") | given).items():
        (tmp_path / file).write_text(text)
    packages = tests / "clients/node_modules"
    assert run(client, node.executable, "client.mjs", name, chromium, tmp_path, packages) == DONE


def test_hive_gateway(tmp_path: Path) -> None:
    """Hive Gateway as the router of a federated graph, in which another subgraph has an App, too."""
    client = HERE / "hive"
    build(client, tool("npm"), "ci", "--no-audit", "--no-fund", "--silent")
    gateway = GuardedGateway(tmp_path, "--no-access-log", "--federation", "--federation-prefix", "Userline")
    control = Control(gateway)
    try:
        given = {"USERLINE_URL": gateway.url, "USERLINE_CONTROL": control.url}
        said = build(client, tool("node"), "client.mjs", **given)
    finally:
        control.shutdown()
        control.server_close()
        gateway.stop()
    assert [line.removeprefix("done: ") for line in said.splitlines() if line.startswith("done: ")] == DONE
