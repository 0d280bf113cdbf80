"""What is made is limited, whatever asks for it and by whichever way: an answer, a batch, an event.

The gateways here have a limit of 64 KiB; with the default one, the attack is tried at its full size.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from tests.clients.wire import LEGACY, TRANSPORT, open_wire
from tests.support.gateway import RunningGateway
from tests.support.vitals import Vitals

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST: Final = 65_536
SMALL: Final = ("--max-answer-bytes", str(MOST), "--federation", "--no-access-log")
WAYS: Final = {"lane": (), "shortcut": ("--no-fast-lane",), "general": ("--no-fast-lane", "--no-plans")}
LARGE: Final = {f"k{number}": "x" * 600 for number in range(100)}
EVERYTHING: Final = "id name custom locale photoUrl role welcomeMessage effectiveLocale"
USERS: Final = "query($ids: [ID!]!) { users(ids: $ids) { id custom } }"
ENTITIES: Final = "query($r: [_Any!]!) { _entities(representations: $r) { ... on User { %s } } }"
SET_NOTHING: Final = 'setUser(id: "alice", input: {}) { user { custom } }'
TWICE: Final = '{ user(id: "alice") { custom again: custom } }'


@pytest.fixture(scope="module", params=WAYS)
def small(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    running = RunningGateway(tmp_path_factory.mktemp("small"), *SMALL, *WAYS[request.param])
    running.set_user("alice", name="Alice", custom=LARGE)
    running.set_user("bob", name="Bob", welcomeMessage="hi")
    yield running
    assert running.stop() == 0, running.log
    assert "Traceback" not in running.log, running.log


def refused(response: dict[str, Any], path: list[str] | None = None) -> bool:
    """Whether a response is a refusal that says which limit there is and which setting it is."""
    if response.get("data") is not None or "errors" not in response:
        return False
    (error,) = response["errors"]
    assert error["extensions"] == {"code": "OPERATION_TOO_COMPLEX"}, error
    assert error.get("path") == path
    assert f"{MOST} bytes" in error["message"]
    assert "USERLINE_MAX_ANSWER_BYTES" in error["message"]
    return True


@pytest.mark.parametrize(
    ("query", "variables"),
    [
        (USERS, {"ids": ["alice", "alice"]}),
        (USERS, {"ids": ["alice"] * 400}),
        (USERS, {"ids": ["bob", "nobody", "alice", "alice"]}),
        (TWICE, {}),
        ('{ a: user(id: "alice") { custom } b: user(id: "alice") { custom } }', {}),
        ('{ user(id: "alice") { custom } users(ids: ["bob", "alice"]) { custom } app { id } }', {}),
        (ENTITIES % "custom", {"r": ["alice", "alice"]}),
        (ENTITIES % "a: custom b: custom", {"r": ["alice"]}),
        ('mutation { setUser(id: "alice", input: {}) { user { a: custom b: custom } } }', {}),
        (f"mutation {{ a: {SET_NOTHING} b: {SET_NOTHING} }}", {}),
        ('mutation { createUserIfNotExists(id: "alice", input: {name: "A"}) { user { a: custom b: custom } } }', {}),
    ],
)  # fmt: skip
def test_an_answer_is_limited(small: RunningGateway, query: str, variables: dict[str, Any]) -> None:
    if "r" in variables:
        variables = {"r": [{"__typename": "User", "id": user_id} for user_id in variables["r"]]}
    for _ in range(3):  # the first time by the application
        assert refused(small.execute(query, variables))
    with open_wire(small, TRANSPORT) as wire:
        operation_id = wire.start(query, variables)
        message = wire.receive()
        assert (message["type"], message["id"]) == ("next", operation_id)
        assert refused(message["payload"])
        assert wire.receive()["type"] == "complete"
        assert wire.is_alive()
    assert small.execute('{ user(id: "alice") { custom } }')["data"]["user"]["custom"] == LARGE


def test_the_limit_is_that_of_the_bytes(small: RunningGateway) -> None:
    """An answer of exactly so many bytes is given, and not one with a byte more."""
    small.set_user("exact", name="E", welcomeMessage="x" * 60_000)
    for fewer, fits in ((0, True), (1, False), (0, True)):
        around = len('{"data":{"user":{"":""}}}')
        alias = "m" * (MOST - 60_000 - around + fewer)
        for _ in range(2):
            answer = small.http.post(
                "/graphql", json={"query": f'{{ user(id: "exact") {{ {alias}: welcomeMessage }} }}'}
            )
            assert (len(answer.content) == MOST) == fits, len(answer.content)
            assert refused(answer.json()) != fits


def test_a_batch_is_limited(small: RunningGateway) -> None:
    alice = {"query": '{ user(id: "alice") { custom } }'}
    bob = {"query": '{ user(id: "bob") { name } }'}
    many = {"query": USERS, "variables": {"ids": ["alice"] * 300}}
    for _ in range(2):
        answers = small.http.post("/graphql", json=[bob, alice, many, alice, bob, many, bob]).json()
        assert [refused(answer) for answer in answers] == [False, False, True, True, False, True, False]
        assert answers[0] == answers[4] == answers[6] == {"data": {"user": {"name": "Bob"}}}
    answer = small.http.post("/graphql", json=[alice] * 50)
    assert len(answer.content) < MOST + 50 * 500
    assert sum(map(refused, answer.json())) == 49


@pytest.mark.parametrize("protocol", [TRANSPORT, LEGACY])
@pytest.mark.parametrize(
    ("query", "variables"),
    [
        ('subscription { userChanged(id: "alice") { custom again: custom } }', {}),
        (
            "subscription($ids: [ID!]!) { usersChanged(ids: $ids) { user { custom again: custom } } }",
            {"ids": ["alice", "alice"]},
        ),
    ],
)
def test_an_event_is_limited(small: RunningGateway, protocol: str, query: str, variables: dict[str, Any]) -> None:
    with open_wire(small, protocol) as wire:
        operation_id = wire.start(query, variables)
        payload = wire.expect(operation_id)
        assert refused(payload, path=["usersChanged" if variables else "userChanged"])
        wire.expect_complete(operation_id)
        assert wire.is_alive(), "it is the end of that subscription alone"
        again = wire.start('subscription { userChanged(id: "bob") { name } }', operation_id=operation_id)
        assert wire.receive()["id"] == again, "and its id is free"


@pytest.mark.parametrize("protocol", [TRANSPORT, LEGACY])
def test_many_users_are_several_events_where_they_are_too_large_for_one(small: RunningGateway, protocol: str) -> None:
    query = "subscription($ids: [ID!]!) { usersChanged(ids: $ids) { id user { custom } } }"
    ids = ["alice", "bob", *(f"twin {number}" for number in range(3))]
    for user_id in ids[2:]:
        small.set_user(user_id, name="T", custom=LARGE)
    with open_wire(small, protocol) as wire:
        operation_id = wire.start(query, {"ids": ids})
        told: list[Any] = []
        while len(told) < len(ids):
            told += wire.expect(operation_id)["data"]["usersChanged"]
        assert [change["id"] for change in told] == ids
        assert [change["user"]["custom"] == LARGE for change in told] == [True, False, True, True, True]
        assert wire.is_alive()


def test_a_later_event_is_limited(small: RunningGateway) -> None:
    small.set_user("grows", name="G", custom=None)
    with open_wire(small, TRANSPORT) as wire:
        watching = wire.start('subscription { userChanged(id: "grows") { a: custom b: custom } }')
        assert wire.receive()["payload"]["data"]["userChanged"] == {"a": {}, "b": {}}
        small.set_user("grows", custom=LARGE)
        message = wire.receive()
        assert (message["type"], message["id"]) == ("error", watching)
        assert wire.is_alive()


@pytest.mark.parametrize("accept", ["text/event-stream", 'multipart/mixed; subscriptionSpec="1.0"'])
def test_an_event_of_a_stream_is_limited(small: RunningGateway, accept: str) -> None:
    query = 'subscription { userChanged(id: "alice") { custom again: custom } }'
    answer = small.http.post("/graphql", json={"query": query}, headers={"accept": accept})
    assert "OPERATION_TOO_COMPLEX" in answer.text
    assert len(answer.content) < 1000


def test_a_page_of_users_is_limited_and_goes_on(small: RunningGateway) -> None:
    for number in range(4):
        small.set_user(f"page {number}", name="P", custom=LARGE)
    seen, after = [], "page"
    while True:
        page = small.http.get("/v1/userline/users", params={"limit": 100, "startingAfter": after}).json()
        assert len(json.dumps(page)) < 2 * MOST
        after = page["data"][-1]["id"]
        seen += [user["id"] for user in page["data"] if user["id"].startswith("page")]
        if not page["hasMore"]:
            break
    assert seen == [f"page {number}" for number in range(4)]


NINE: Final = {
    "query": "query($ids: [ID!]!) { " + " ".join(f"a{n}: users(ids: $ids) {{ {EVERYTHING} }}" for n in range(9)) + " }",
    "variables": {"ids": ["alice"] * 1000},
}
ALIASES: Final = " ".join(f"a{number}: custom" for number in range(30))
ATTACKS: Final[dict[str, Any]] = {
    "nine times a thousand": NINE,
    "four of those": [NINE] * 4,
    "50 times a thousand": [{"query": USERS, "variables": {"ids": ["alice"] * 1000}}] * 50,
    "50 times just within the limit": [{"query": USERS, "variables": {"ids": ["alice"] * 130}}] * 50,
    "a thousand with 30 aliases": {
        "query": f"query($ids: [ID!]!) {{ users(ids: $ids) {{ {ALIASES} }} }}",
        "variables": {"ids": [f"large {number % 40}" for number in range(1000)]},
    },
    "50 users with 30 aliases": [{"query": f'{{ user(id: "large {n % 40}") {{ {ALIASES} }} }}'} for n in range(50)],
    "a thousand entities": [
        {
            "query": "query($r: [_Any!]!) { a: _entities(representations: $r) { ... on User { custom id } } "
            "b: _entities(representations: $r) { ... on User { custom id } } }",
            "variables": {"r": [{"__typename": "User", "id": "alice"}] * 1000},
        }
    ]
    * 5,
    "what has no plan": [
        {
            "query": 'query($ids: [ID!]!) { users(ids: $ids) { custom } __type(name: "A") { name } }',
            "variables": {"ids": ["alice"] * 1000},
        }
    ]
    * 20,
}


@pytest.mark.parametrize("flags", WAYS.values(), ids=WAYS)
def test_small_requests_do_not_make_much(tmp_path: Any, flags: tuple[str, ...]) -> None:
    running = RunningGateway(tmp_path, "--federation", "--no-access-log", *flags)
    running.set_user("alice", name="Alice", custom=LARGE)
    for number in range(40):
        running.set_user(f"large {number}", name="L", custom=LARGE)
    memory = Vitals.of(running).memory
    for name, body in ATTACKS.items():
        for _ in range(2):
            answer = running.http.post("/graphql", json=body, timeout=120)
            assert len(answer.content) < 9_000_000, name
            assert "OPERATION_TOO_COMPLEX" in answer.text, name
        grown = peak(running) - memory
        assert grown < 96 * 1024, f"{name}: {grown // 1024} MiB"
    assert running.stop() == 0, running.log
    assert "Traceback" not in running.log, running.log


def peak(gateway: RunningGateway) -> int:
    """Return how much memory the process has had at most, in KiB."""
    with open(f"/proc/{gateway.process.pid}/status", encoding="ascii") as status:  # noqa: PTH123 - a line is enough
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
