"""The Python library gql against a real gateway: over HTTP, and over WebSocket in both subprotocols."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from gql import Client, GraphQLRequest, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportQueryError
from gql.transport.httpx import HTTPXTransport
from gql.transport.websockets import WebsocketsTransport
from graphql import GraphQLError, print_schema

from tests.clients.wire import LEGACY, PATIENCE, TRANSPORT, new_id

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from gql.client import AsyncClientSession
    from gql.transport.async_transport import AsyncTransport

    from tests.support.gateway import RunningGateway

TRANSPORTS = ["http", TRANSPORT, LEGACY]

CREATE = """
mutation($id: ID!, $input: CreateUserInput!) {
  createUserIfNotExists(id: $id, input: $input) { created user { id name custom } }
}
"""
SET = """
mutation($id: ID!, $input: SetUserInput!) {
  setUser(id: $id, input: $input) { created changed user { id name custom } }
}
"""
WATCH = "subscription($id: ID!) { userChanged(id: $id) { id name custom } }"


def request(document: str, **variables: object) -> GraphQLRequest:
    return GraphQLRequest(document, variable_values=variables)


def make_transport(gateway: RunningGateway, name: str) -> AsyncTransport:
    if name == "http":
        return AIOHTTPTransport(f"{gateway.url}/graphql", timeout=int(PATIENCE))
    return WebsocketsTransport(gateway.websocket_url, subprotocols=[name], connect_args={"proxy": None})


def make_client(gateway: RunningGateway, name: str) -> Client:
    transport = make_transport(gateway, name)
    return Client(transport=transport, fetch_schema_from_transport=True, execute_timeout=PATIENCE)


async def becomes(gateway: RunningGateway, name: str, value: float) -> None:
    async with asyncio.timeout(PATIENCE):
        while gateway.metric(name) != value:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("name", TRANSPORTS)
async def test_the_client_fetches_the_schema_and_validates_against_it(gateway: RunningGateway, name: str) -> None:
    async with make_client(gateway, name) as session:
        schema = session.client.schema
        assert schema is not None
        assert "userChanged(" in print_schema(schema)
        operations = gateway.metric("userline_document_cache_misses_total")
        with pytest.raises(GraphQLError, match="Cannot query field 'email'"):
            await session.execute(request("query($id: ID!) { user(id: $id) { email } }", id="nobody"))
        assert gateway.metric("userline_document_cache_misses_total") == operations, "it was found without the gateway"


@pytest.mark.parametrize("name", TRANSPORTS)
async def test_queries_and_mutations(gateway: RunningGateway, name: str) -> None:
    user_id = new_id(f"gql/{name}.$🙂")
    user = {"id": user_id, "name": "Ann", "custom": {"color": "red", "a.b": "1"}}
    given = {"name": "Ann", "custom": {"color": "red", "a.b": "1"}}
    async with make_client(gateway, name) as session:
        for created in (True, False):
            data = await session.execute(request(CREATE, id=user_id, input=given))
            assert data == {"createUserIfNotExists": {"created": created, "user": user}}
        data = await session.execute(request(SET, id=user_id, input={"custom": {"color": None, "$c": "2"}}))
        user["custom"] = {"a.b": "1", "$c": "2"}
        assert data == {"setUser": {"created": False, "changed": True, "user": user}}
        query = "query($ids: [ID!]!) { users(ids: $ids) { id name custom } }"
        assert await session.execute(request(query, ids=[user_id, "nobody", user_id])) == {"users": [user, None, user]}


@pytest.mark.parametrize("name", TRANSPORTS)
async def test_errors_have_their_code(gateway: RunningGateway, name: str) -> None:
    async with make_client(gateway, name) as session:
        with pytest.raises(TransportQueryError) as caught:
            await session.execute(request(SET, id=new_id("gql"), input={"locale": "en"}))
        assert caught.value.errors is not None
        assert caught.value.errors[0]["extensions"] == {"code": "NAME_REQUIRED", "field": "name"}
        assert caught.value.errors[0]["path"] == ["setUser"]


@pytest.mark.parametrize("name", TRANSPORTS)
async def test_errors_of_a_document_have_their_code(gateway: RunningGateway, name: str) -> None:
    async with Client(transport=make_transport(gateway, name), execute_timeout=PATIENCE) as session:
        with pytest.raises(TransportQueryError) as caught:
            await session.execute(gql("{ nothing }"))
        assert caught.value.errors is not None
        assert caught.value.errors[0]["extensions"] == {"code": "GRAPHQL_VALIDATION_FAILED"}
        assert await session.execute(gql("{ app { id } }")) == {"app": {"id": "userline"}}


@pytest.mark.parametrize("name", [TRANSPORT, LEGACY])
async def test_subscriptions(gateway: RunningGateway, name: str) -> None:
    user_id = new_id("gql")
    watchers = gateway.metric("userline_watchers")
    sockets = gateway.metric("userline_sockets")

    async def event(events: AsyncGenerator[dict[str, Any], None]) -> Any:
        async with asyncio.timeout(PATIENCE):
            return (await anext(events))["userChanged"]

    def watch(session: AsyncClientSession) -> AsyncGenerator[dict[str, Any], None]:
        return session.subscribe(request(WATCH, id=user_id))

    async with make_client(gateway, name) as session:
        stays, leaves = watch(session), watch(session)
        assert [await event(stays), await event(leaves)] == [None, None]
        assert gateway.metric("userline_watchers") == watchers + 2
        assert gateway.metric("userline_sockets") == sockets + 1

        await session.execute(request(SET, id=user_id, input={"name": "Ann"}))
        ann = {"id": user_id, "name": "Ann", "custom": {}}
        assert [await event(stays), await event(leaves)] == [ann, ann]

        await leaves.aclose()
        await becomes(gateway, "userline_watchers", watchers + 1)
        gateway.set_user(user_id, phone="+14155552671")
        gateway.set_user(user_id, name="Bob")
        assert (await event(stays))["name"] == "Bob"
        await stays.aclose()
        await becomes(gateway, "userline_watchers", watchers)
        assert await session.execute(gql("{ app { id } }")) == {"app": {"id": "userline"}}
    await becomes(gateway, "userline_sockets", sockets)


@pytest.mark.parametrize("name", [TRANSPORT, LEGACY])
async def test_a_subscription_that_is_refused(gateway: RunningGateway, name: str) -> None:
    async with make_client(gateway, name) as session:
        events = session.subscribe(request(WATCH, id=""))
        with pytest.raises(TransportQueryError) as caught:
            await anext(events)
        assert caught.value.errors is not None
        assert caught.value.errors[0]["extensions"] == {"code": "BAD_USER_INPUT", "field": "id"}
        assert await session.execute(gql("{ app { id } }")) == {"app": {"id": "userline"}}


async def test_a_batch_is_one_request_and_one_store_read(gateway: RunningGateway) -> None:
    async with make_client(gateway, "http") as session:
        reads = gateway.metric("userline_store_reads_total")
        query = "query($id: ID!) { user(id: $id) { name } }"
        answers = await session.execute_batch([request(query, id=new_id("nobody")) for _ in range(40)])
        assert answers == [{"user": None}] * 40
        assert gateway.metric("userline_store_reads_total") == reads + 1


def test_without_asyncio(gateway: RunningGateway) -> None:
    with Client(transport=HTTPXTransport(f"{gateway.url}/graphql"), fetch_schema_from_transport=True) as session:
        user_id = new_id("gql")
        assert session.execute(request(SET, id=user_id, input={"name": "Ann"}))["setUser"]["created"] is True
        with pytest.raises(TransportQueryError) as caught:
            session.execute(request(SET, id=user_id, input={"name": None}))
        assert caught.value.errors is not None
        assert caught.value.errors[0]["extensions"] == {"code": "BAD_USER_INPUT", "field": "name"}
