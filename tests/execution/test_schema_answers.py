"""Queries for the schema alone are executed once, and answered from memory after that."""

from __future__ import annotations

from typing import TYPE_CHECKING
from unittest import mock

import orjson
import pytest
from graphql import (
    FragmentDefinitionNode,
    OperationDefinitionNode,
    OperationType,
    get_introspection_query,
    parse,
)

from tests.support.api import Api, running_api
from userline.execution import general
from userline.execution.operation import AnswerBudget
from userline.execution.schema_answers import KnownExecution, SchemaAnswers, asks_for_schema_alone

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ALONE = (
    "{ __schema { queryType { name } } }",
    '{ a: __type(name: "User") { name fields { name } } b: __type(name: "Nobody") { name } __typename }',
    (
        "query Q { ...F } fragment F on Query { ...G ... on Query { __typename } } "
        "fragment G on Query { __schema { types { name } } }"
    ),
    "{ __schema @skip(if: true) { types { name } } __typename }",
    get_introspection_query(),
)
NOT_ALONE = (
    "{ __schema { queryType { name } } app { id } }",
    '{ ...F } fragment F on Query { __typename user(id: "a") { name } }',
    "{ ... { ... on Query { app { id } } __schema { description } } }",
    "query($name: String!) { __type(name: $name) { name } }",
    "mutation { __typename }",
    'subscription { userChanged(id: "a") { name } }',
)


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    async with running_api(plans=True) as api:
        yield api


def taken_apart(text: str) -> tuple[OperationDefinitionNode, dict[str, FragmentDefinitionNode]]:
    definitions = parse(text).definitions
    operation = next(each for each in definitions if isinstance(each, OperationDefinitionNode))
    return operation, {each.name.value: each for each in definitions if isinstance(each, FragmentDefinitionNode)}


@pytest.mark.parametrize("text", ALONE)
def test_what_asks_for_the_schema_alone(text: str) -> None:
    assert asks_for_schema_alone(*taken_apart(text))


@pytest.mark.parametrize("text", NOT_ALONE)
def test_what_asks_for_more(text: str) -> None:
    assert not asks_for_schema_alone(*taken_apart(text))


@pytest.mark.parametrize("text", ALONE)
async def test_the_schema_is_asked_once(api: Api, text: str) -> None:
    first = await api.execute(text)
    assert "errors" not in first
    with mock.patch.object(general, "execute_root_selection_set", side_effect=AssertionError("executed again")):
        assert await api.execute(text) == first


async def test_users_are_asked_for_every_time(api: Api) -> None:
    text = '{ __typename __schema { queryType { name } } user(id: "a") { name } }'
    assert (await api.execute(text))["data"]["user"] is None
    await api.execute('mutation { setUser(id: "a", input: {name: "A"}) { created } }')
    assert (await api.execute(text))["data"]["user"] == {"name": "A"}


async def test_operations_of_one_document_have_their_own_answers(api: Api) -> None:
    text = "query A { __schema { queryType { name } } } query B { __schema { mutationType { name } } }"
    for _ in range(2):
        for name, kind in (("A", "queryType"), ("B", "mutationType")):
            answer = await api.respond(text, {}, name)
            assert list(orjson.loads(answer)["data"]["__schema"]) == [kind]


def test_a_known_answer_counts_as_any_other() -> None:
    execution = KnownExecution(b'{"data":{"__typename":"Query"}}', 1000)
    assert execution.type is OperationType.QUERY
    assert execution.begin() == execution.response
    budget = AnswerBudget(50)
    assert execution.begin(budget) == execution.response
    assert orjson.loads(execution.begin(budget))["errors"][0]["extensions"]["code"] == "OPERATION_TOO_COMPLEX"


def test_failures_are_not_remembered() -> None:
    answers = SchemaAnswers(1000)
    answers.keep(("a", None), b'{"data":null,"errors":[{"message":"no"}]}')
    answers.keep(("b", None), b'{"data":{"__schema":null},"errors":[{"message":"no"}]}')
    answers.keep(("c", None), b'{"data":{"__typename":"Query"}}')
    assert [answers.find((name, None)) is not None for name in "abc"] == [False, False, True]
