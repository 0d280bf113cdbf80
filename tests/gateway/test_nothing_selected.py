"""Operations of which @skip and @include leave nothing: they are executed, and there is nothing in their answer."""

from __future__ import annotations

import json
from itertools import product
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.clients.wire import LEGACY, TRANSPORT, open_wire

if TYPE_CHECKING:
    from tests.support.gateway import RunningGateway

NOTHING: Final[dict[str, Any]] = {"data": {}}
_WRITE: Final = 'setUser(id: "unwritten", input: {name: "N"})'
ROOTS: Final = {
    "mutation": ("__typename %s", _WRITE + " %s { created }", "a: " + _WRITE + " %s { created } __typename %s"),
    "query": ("__typename %s", "app %s { id }", 'user(id: "x") %s { id } u: users(ids: ["x"]) %s { id } app %s { id }'),
}
OUT: Final = (
    "@skip(if: true)",
    "@include(if: false)",
    "@skip(if: $yes)",
    "@include(if: $no)",
    "@include(if: $yes) @skip(if: $yes)",
)
AROUND: Final = ("{0}", "... {{ {0} }}", "... on {1} {{ {0} }}", "...F", "... {{ ...F }}")


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    """Return the kind of each, its document and its variables."""
    made = []
    for kind, roots in ROOTS.items():
        for root, out, around in product(roots, OUT, AROUND):
            inside = root.replace("%s", out)
            body = around.format(inside, kind.capitalize())
            fragment = f" fragment F on {kind.capitalize()} {{ {inside} }}" if "...F" in body else ""
            declared = ", ".join(f"{name}: Boolean!" for name in ("$yes", "$no") if name in body + fragment)
            head = f"{kind}{declared and '(' + declared + ')'}"
            made.append((kind, f"{head} {{ {body} }}{fragment}", {"yes": True, "no": False}))
        for out in OUT[2:4]:
            name, value = ("$yes", True) if "$yes" in out else ("$no", False)
            head = f"{kind}({name}: Boolean = {json.dumps(value)})"
            fragment = f"fragment F on {kind.capitalize()} {{ {roots[1].replace('%s', '')} }}"
            made.append((kind, f"{head} {{ ...F {out} }} {fragment}", {}))
    return made


OPERATIONS: Final = operations()


def test_over_http_each_and_in_a_batch(each_gateway: RunningGateway) -> None:
    assert len(OPERATIONS) > 150
    each_gateway.http.delete("/v1/userline/users/unwritten")
    for _, query, variables in OPERATIONS:
        for _ in range(2):
            assert each_gateway.execute(query, variables) == NOTHING, query
    app = {"query": "{ app { id } }"}
    for start in range(0, len(OPERATIONS), 40):
        batch = [{"query": query, "variables": variables} for _, query, variables in OPERATIONS[start : start + 40]]
        answers = each_gateway.http.post("/graphql", json=[app, *batch, app]).json()
        assert answers[1:-1] == [NOTHING] * len(batch)
        assert answers[0] == answers[-1] == {"data": {"app": {"id": "userline"}}}
    assert each_gateway.data('{ user(id: "unwritten") { id } }') == {"user": None}


def test_over_sockets_by_get_and_as_a_stream(each_gateway: RunningGateway) -> None:
    for protocol in (TRANSPORT, LEGACY):
        with open_wire(each_gateway, protocol, max_queue=None) as wire:
            watching = wire.start('subscription { userChanged(id: "unwritten") { id } }')
            assert wire.receive()["id"] == watching
            for _, query, variables in OPERATIONS:
                operation_id = wire.start(query, variables)
                message = wire.receive()
                assert (message["id"], message["payload"]) == (operation_id, NOTHING), query
                assert wire.receive() == {"id": operation_id, "type": "complete"}
    for kind, query, variables in OPERATIONS[::7]:
        request = {"query": query, "variables": variables}
        stream = each_gateway.http.post("/graphql", json=request, headers={"accept": "text/event-stream"})
        assert 'event: next\ndata: {"data":{}}\n\nevent: complete\n' in stream.text
        if kind == "query":
            parameters = {"query": query, "variables": json.dumps(variables)}
            assert each_gateway.http.get("/graphql", params=parameters).json() == NOTHING


@pytest.mark.parametrize("out", OUT)
@pytest.mark.parametrize("around", ["{0} {1}", "... {1} {{ {0} }}", "...F {1}", "... {{ ... {1} {{ {0} }} }}", "...G"])
def test_a_subscription_may_not_leave_out_what_it_subscribes_to(
    each_gateway: RunningGateway, out: str, around: str
) -> None:
    """It is a bad document, whatever the variables are: https://spec.graphql.org/September2025/#sec-Single-Root-Field."""
    field = 'userChanged(id: "x")'
    body = around.format(field + (" { id }" if around != "{0} {1}" else ""), out) + (
        " { id }" if around == "{0} {1}" else ""
    )
    fragments = {
        "...F": f" fragment F on Subscription {{ {field} {{ id }} }}",
        "...G": f" fragment G on Subscription {{ {field} {out} {{ id }} }}",
    }
    text = body + fragments.get(body[:4], "")
    declared = ", ".join(f"{name}: Boolean!" for name in ("$yes", "$no") if name in text)
    query = f"subscription{declared and '(' + declared + ')'} {{ {body} }}{fragments.get(body[:4], '')}"
    with open_wire(each_gateway, TRANSPORT) as wire:
        operation_id = wire.start(query, {"yes": True, "no": False})
        message = wire.receive()
        assert (message["type"], message["id"]) == ("error", operation_id)
        assert message["payload"][0]["extensions"] == {"code": "GRAPHQL_VALIDATION_FAILED"}
        assert wire.is_alive()
