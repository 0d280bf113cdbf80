"""GraphQL clients of the npm registry against a real gateway, each in a script of its own beside this file."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.wire import nothing_left_behind
from tests.support.gateway import RunningGateway
from tests.support.npm import find_node, install
from tests.support.tokens import SECRET, token_of

if TYPE_CHECKING:
    from userline.gateway.graphiql import build

HERE = Path(__file__).parent
AUDITS = 61
CHECKS = ["writes and reads", "errors", "subscriptions"]


@pytest.fixture(scope="session")
def node() -> build.Node:
    """Node, with the clients that package-lock.json pins installed beside the scripts."""
    found = find_node()
    install(HERE, found)
    return found


def run(node: build.Node, script: str, gateway: RunningGateway, *more: str) -> dict[str, Any]:
    """Run a script until it ends well, and return what it printed."""
    command = [str(node.executable), str(HERE / f"{script}.mjs"), gateway.url, *more]
    result = subprocess.run(command, capture_output=True, text=True, env=node.environment(), timeout=300, check=False)
    assert result.returncode == 0, result.stderr
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def test_the_audit_of_graphql_over_http_finds_nothing(node: build.Node, gateway: RunningGateway) -> None:
    audits = run(node, "audit", gateway)["audits"]
    assert [audit for audit in audits if audit["status"] != "ok"] == []
    assert len({audit["id"] for audit in audits}) == len(audits) == AUDITS


def test_the_audit_finds_nothing_where_tokens_are_checked(node: build.Node, tmp_path: Path) -> None:
    guarded = RunningGateway(tmp_path, env={"USERLINE_SECRET": SECRET})
    try:
        audits = run(node, "audit", guarded, token_of("auditor"))["audits"]
        assert [audit for audit in audits if audit["status"] != "ok"] == []
        assert len(audits) == AUDITS
    finally:
        guarded.stop()


@pytest.mark.parametrize(
    ("script", "client", "more"),
    [
        ("graphql-ws", "graphql-ws", ["pings are answered", "a hundred queries at once", "dispose"]),
        ("legacy-ws", "subscriptions-transport-ws", ["close"]),
        (
            "apollo",
            "@apollo/client",
            [
                "the operations of a turn are one HTTP batch",
                "documents go by their hash once they are known",
                "dispose",
            ],
        ),
        ("urql", "@urql/core", ["queries by GET", "dispose"]),
        ("graphql-sse", "graphql-sse", ["results end", "dispose"]),
    ],
)
def test_a_client_works(node: build.Node, gateway: RunningGateway, script: str, client: str, more: list[str]) -> None:
    with nothing_left_behind(gateway):
        assert run(node, script, gateway) == {"client": client, "checks": CHECKS + more}
    assert "Traceback" not in gateway.log


def test_graphql_sse_comes_back_when_its_token_expires(node: build.Node, tmp_path: Path) -> None:
    guarded = RunningGateway(tmp_path, env={"USERLINE_SECRET": SECRET})
    try:
        report = run(node, "graphql-sse-expiry", guarded, SECRET)
        assert report["connections"] >= 1 + report["expiries"]
    finally:
        assert guarded.stop() == 0, guarded.log
    assert "Traceback" not in guarded.log


def test_apollo_subscribes_without_a_socket(node: build.Node, gateway: RunningGateway) -> None:
    with nothing_left_behind(gateway):
        checks = run(node, "apollo-multipart", gateway)["checks"]
    assert checks == ["changes come as they happen", "errors are told", "queries are plain JSON"]


@pytest.mark.parametrize("prefix", ["", "Userline"])
def test_a_federated_graph(node: build.Node, tmp_path: Path, prefix: str) -> None:
    subgraph = RunningGateway(tmp_path, "--federation", *(("--federation-prefix", prefix) if prefix else ()))
    try:
        checks = run(node, "federation", subgraph, *(["prefixed"] if prefix else []))["checks"]
    finally:
        assert subgraph.stop() == 0, subgraph.log
    assert checks == [
        "references of another subgraph are looked up at once",
        "a user has what another subgraph adds",
        *(["both have an app"] if prefix else []),
        "representations that are none are refused",
    ]
    assert "Traceback" not in subgraph.log


def test_the_pinned_packages_name_no_host() -> None:
    lock = (HERE / "package-lock.json").read_text()
    assert "://" not in lock
    packages = json.loads(lock)["packages"]
    assert all(package.get("integrity") for name, package in packages.items() if name)


def test_the_packages_are_pinned_exactly() -> None:
    pinned: dict[str, str] = json.loads((HERE / "package.json").read_text())["devDependencies"]
    assert all(version.replace(".", "").isdigit() for version in pinned.values()), pinned
