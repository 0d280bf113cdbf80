"""Private fields leave by the REST API alone: no canary in them reaches anybody else, an error or a log."""

from __future__ import annotations

import asyncio
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import graphql
import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import from_schema
from tests.support.gateway import RunningGateway
from tests.support.tokens import SECRET, token_of
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

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
    running = RunningGateway(tmp_path, env=env)
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
    protocol = Subprotocol("graphql-transport-ws")
    async with connect(
        url, subprotocols=[protocol], additional_headers={"authorization": f"Bearer {token_of('eve')}"}
    ) as socket:
        await socket.send('{"type":"connection_init"}')
        for user_id in USERS:
            query = f'subscription {{ userChanged(id: \\"{user_id}\\") {{ {EVERYTHING} }} }}'
            await socket.send(f'{{"id":"{user_id}","type":"subscribe","payload":{{"query":"{query}"}}}}')
        async for message in socket:
            yield str(message)


def test_generated_operations_find_no_canary(birds: RunningGateway) -> None:
    write_canaries(birds, "First")
    client = httpx.Client(base_url=birds.url, headers={"authorization": f"Bearer {token_of('eve')}"}, timeout=30)
    values = st.just(graphql.ObjectValueNode(fields=()))
    found = {"data": 0}

    @settings(
        max_examples=OPERATIONS,
        deadline=None,
        database=None,
        derandomize=OPERATIONS < 50_000,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(document=from_schema(SCHEMA, print_ast=aimed, custom_scalars={"Custom": values, "PushTokens": values}))
    def ask(document: str) -> None:
        answer = client.post("/graphql", json={"query": document})
        assert answer.status_code == 200, (document, answer.text)
        assert_no_canary(answer.text, document)
        found["data"] += '"id":"bird ' in answer.text or '"name"' in answer.text

    with client:
        ask()
    assert found["data"] > OPERATIONS / 20
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
