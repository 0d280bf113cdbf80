"""Private fields leave by the REST API alone: no canary in them reaches anybody else, an error or a log."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import zlib
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import graphql
import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis_graphql import from_schema
from tests.clients.wire import TRANSPORT, Wire
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET, token_of
from websockets.asyncio.client import connect
from websockets.sync.client import connect as connect_sync
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

OPERATIONS = 50_000 if os.environ.get("USERLINE_TEST_LONG") == "1" else 600
USERS = [f"bird {number}" for number in range(10)]
PRIVATE = {"email": ["canary-mail@example.com"], "phone": ["+14155550142"], "pushTokens": {"fcm:canary-push": True}}
# A push token cannot stand in a literal, whose keys are names: there all are left as they are.
LITERALS = {"email": '"canary-mail@example.com"', "phone": '"+14155550142"', "pushTokens": "{}"}
CANARIES = ("canary", "4155550142")
SCHEMA = graphql.build_schema((Path(__file__).parents[3] / "schema" / "schema.graphql").read_text())
EVERYTHING = "id name custom locale effectiveLocale photoUrl role welcomeMessage"


class Aim(graphql.Visitor):
    """Turns what was generated on the users with canaries, and writes no other private values than canaries."""

    def enter_argument(self, node: graphql.ArgumentNode, *_: Any) -> graphql.ArgumentNode | None:
        if node.name.value not in ("id", "ids"):
            return None
        user_id = USERS[zlib.crc32(graphql.print_ast(node).encode()) % len(USERS)]
        return graphql.ArgumentNode(name=node.name, value=graphql.StringValueNode(value=user_id))

    def enter_object_field(self, node: graphql.ObjectFieldNode, *_: Any) -> graphql.ObjectFieldNode | None:
        if node.name.value not in PRIVATE:
            return None
        return graphql.ObjectFieldNode(name=node.name, value=graphql.parse_value(LITERALS[node.name.value]))


def aimed(document: graphql.DocumentNode) -> str:
    return graphql.print_ast(graphql.visit(document, Aim()))


def assert_no_canary(text: str, cause: object = "") -> None:
    for canary in CANARIES:
        assert canary not in text, (cause, text)


@pytest.fixture
def birds(tmp_path: Path) -> Iterator[RunningGateway]:
    env = {"USERLINE_SECRET": SECRET, "USERLINE_CLIENT_USER_SYNCING": "any", "USERLINE_LOG_LEVEL": "debug"}
    running = RunningGateway(tmp_path, "--rate-limit-per-second", "0", env=env)
    yield running
    assert running.stop() == 0, running.log


def write_canaries(gateway: RunningGateway, round_name: str) -> None:
    """Write by REST and by GraphQL, with variables and with a bad input."""
    back_end = {"authorization": f"Bearer {token_of(None)}"}
    half = len(USERS) // 2
    batch = {user_id: {"name": round_name, **PRIVATE} for user_id in USERS[:half]}
    assert gateway.http.put("/v1/userline/users", json=batch, headers=back_end).status_code == 200
    query = "mutation($id: ID!, $input: SetUserInput!) { setUser(id: $id, input: $input) { user { name } } }"
    for user_id in USERS[half:]:
        variables = {"id": user_id, "input": {"name": round_name, **PRIVATE}}
        front_end = {"authorization": f"Bearer {token_of(user_id)}"}
        answer = gateway.http.post("/graphql", json={"query": query, "variables": variables}, headers=front_end)
        assert "errors" not in answer.json(), answer.text
        assert_no_canary(answer.text)
        variables["input"] = {"email": ["canary mail", *PRIVATE["email"]], "pushTokens": {"fcm:canary-push": False}}
        answer = gateway.http.post("/graphql", json={"query": query, "variables": variables}, headers=front_end)
        assert answer.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
        assert_no_canary(answer.text)


async def watch(url: str) -> AsyncIterator[str]:
    """Yield every message of a socket that watches all of the users."""
    async with connect(
        url, subprotocols=[Subprotocol(TRANSPORT)], additional_headers={"authorization": f"Bearer {token_of('eve')}"}
    ) as socket:
        await socket.send('{"type":"connection_init"}')
        for user_id in USERS:
            query = f'subscription {{ userChanged(id: \\"{user_id}\\") {{ {EVERYTHING} }} }}'
            await socket.send(f'{{"id":"{user_id}","type":"subscribe","payload":{{"query":"{query}"}}}}')
        async for message in socket:
            yield str(message)


class Asker:
    """A front end with a user token, which asks in every way there is and looks for canaries in the answers."""

    def __init__(self, gateway: RunningGateway) -> None:
        bearer = {"authorization": f"Bearer {token_of('eve')}"}
        self.http = httpx.Client(base_url=gateway.url, headers=bearer, timeout=30)
        self.rest = requests.Session()
        self.wire = Wire(
            connect_sync(gateway.websocket_url, subprotocols=[Subprotocol(TRANSPORT)], proxy=None, legacy=True)
        )
        self.wire.send({"type": "connection_init", "payload": {"token": token_of("eve")}})
        assert self.wire.receive()["type"] == "connection_ack"
        self.asked: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.with_data = 0

    def close(self) -> None:
        self.http.close()
        self.rest.close()
        self.wire.connection.close()

    def look(self, way: str, text: str, cause: object) -> None:
        self.asked[way] += 1
        self.with_data += '"id":"bird ' in text or '"name":' in text
        assert "INTERNAL_SERVER_ERROR" not in text, (cause, text)
        assert_no_canary(text, cause)

    def over_http(self, document: str) -> None:
        answer = self.http.post("/graphql", json={"query": document})
        assert answer.status_code == 200, (document, answer.text)
        self.look("HTTP", answer.text, document)

    def over_a_socket(self, document: str) -> None:
        operation = self.wire.start(document)
        message = self.wire.receive()
        assert message["id"] == operation, message
        if message["type"] == "next":
            if document.startswith("subscription"):
                self.wire.stop(operation)
            else:
                self.wire.expect_complete(operation)
        self.look("socket", json.dumps(message, separators=(",", ":")), document)

    def over_rest(self, case: schemathesis.Case[Any]) -> None:
        case.path_parameters = {"appId": "userline", "id": case.path_parameters.get("id", "")}
        if zlib.crc32(case.path_parameters["id"].encode("utf-8", "surrogatepass")) % 2:
            case.path_parameters["id"] = "bird 1"
        case.headers["Authorization"] = self.http.headers["authorization"]
        answer = case.call(base_url=str(self.http.base_url), session=self.rest)
        self.statuses[answer.status_code] += 1
        self.look("REST", answer.text, case)


def only_the_first(document: graphql.DocumentNode) -> str:
    """Return a subscription, which has one root field, made of a query of the same fields."""
    (operation,) = document.definitions
    assert isinstance(operation, graphql.OperationDefinitionNode)
    selections = graphql.SelectionSetNode(selections=operation.selection_set.selections[:1])
    made = graphql.OperationDefinitionNode(operation=graphql.OperationType.SUBSCRIPTION, selection_set=selections)
    return aimed(graphql.DocumentNode(definitions=(made,)))


def ways_to_ask(gateway: RunningGateway) -> st.SearchStrategy[tuple[Callable[[Asker, Any], None], Any]]:
    values = st.just(graphql.ObjectValueNode(fields=()))
    scalars = {"Custom": values, "PushTokens": values}
    operations = from_schema(SCHEMA, print_ast=aimed, custom_scalars=scalars)
    as_queries = graphql.build_schema("schema { query: Subscription }" + graphql.print_schema(SCHEMA))
    subscriptions = from_schema(as_queries, print_ast=only_the_first, custom_scalars=scalars)
    described = schemathesis.openapi.from_url(f"{gateway.url}/v1/openapi.json")
    cases = described.exclude(path="/v1/openapi.json").as_strategy()
    return st.one_of(
        operations.map(lambda document: (Asker.over_http, document)),
        st.one_of(operations, subscriptions).map(lambda document: (Asker.over_a_socket, document)),
        subscriptions.map(lambda document: (Asker.over_a_socket, document)),
        cases.map(lambda case: (Asker.over_rest, case)),
    )


@pytest.mark.filterwarnings("ignore:Do not use the `random` module")  # Schemathesis does
def test_generated_operations_find_no_canary(birds: RunningGateway) -> None:
    write_canaries(birds, "First")
    asker = Asker(birds)

    @settings(
        max_examples=min(OPERATIONS, 2500),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(asked=ways_to_ask(birds))
    def ask(asked: tuple[Callable[[Asker, Any], None], Any]) -> None:
        way, what = asked
        way(asker, what)

    rounds = itertools.count()
    with closing(asker):
        while asker.asked.total() < OPERATIONS:
            seed(next(rounds))(ask)()
    if os.environ.get("USERLINE_TEST_REPORT") == "1":
        print(f"CANARIES {dict(asker.asked)}, {asker.with_data} with data, REST {dict(asker.statuses)}")
    assert all(asker.asked[way] > OPERATIONS / 10 for way in ("HTTP", "socket", "REST"))
    assert asker.with_data > OPERATIONS / 20
    assert not {200, 500} & set(asker.statuses)
    back_end = {"authorization": f"Bearer {token_of(None)}"}
    whole = birds.http.get("/v1/userline/users/bird 0", headers=back_end)
    assert all(canary in whole.text for canary in CANARIES)
    assert_no_canary(birds.log)


async def test_events_have_no_canary(birds: RunningGateway) -> None:
    await asyncio.to_thread(write_canaries, birds, "First")
    messages: list[str] = []

    async def read() -> None:
        async for message in watch(birds.websocket_url):
            messages.append(message)
            if sum('"Last"' in one for one in messages) == len(USERS):
                return

    reading = asyncio.create_task(read())
    for round_name in ("Second", "Third", "Last"):
        while sum('"next"' in one for one in messages) < len(USERS):
            await asyncio.sleep(0.01)
        await asyncio.to_thread(write_canaries, birds, round_name)
    await asyncio.wait_for(reading, 20)
    assert_no_canary("\n".join(messages))
    assert_no_canary(birds.log)
