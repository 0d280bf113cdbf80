"""The client against a real gateway: over sockets, and over streams where no socket can be had."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.support.tokens import SECRET

if TYPE_CHECKING:
    from clients.typescript.tests.conftest import Node
    from tests.support.gateway import RunningGateway

CHECKS = ["reads and writes", "what another session writes is seen", "a thousand users", "subscribeOnline, app"]


@pytest.mark.parametrize(("kind", "more"), [("socket", ["cuts"]), ("stream", [])])
def test_an_open_gateway(node: Node, gateway: RunningGateway, kind: str, more: list[str]) -> None:
    report = node.report("real/against.mjs", gateway.url + "/graphql", kind)
    assert report == {"checks": [*CHECKS, *more]}
    assert "Traceback" not in gateway.log


@pytest.mark.parametrize(("kind", "more"), [("socket", ["cuts"]), ("stream", [])])
def test_a_gateway_that_wants_tokens(node: Node, guarded: RunningGateway, kind: str, more: list[str]) -> None:
    report = node.report("real/against.mjs", guarded.url + "/graphql", kind, SECRET)
    assert report == {"checks": [*CHECKS, *more, "tokens"]}
    assert "Traceback" not in guarded.log
