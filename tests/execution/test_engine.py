"""Operations from request to payload, without a transport."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.api import Api, running_api
from userline.execution.operation import SubscriptionFailed
from userline.execution.request import parse_request
from userline.users.errors import BadUserInput, StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture(params=[True, False], ids=["plans", "graphql-core"])
async def api(request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    async with running_api(plans=request.param) as api:
        yield api


SET = "mutation($id: ID!, $input: SetUserInput!) { setUser(id: $id, input: $input) { created changed user { name } } }"
CREATE = (
    "mutation($id: ID!, $input: CreateUserInput!) "
    "{ createUserIfNotExists(id: $id, input: $input) { created user { name role custom } } }"
)


async def test_every_operation_of_the_contract(api: Api) -> None:
    assert await api.execute(CREATE, id="a", input={"name": "A", "role": None, "custom": {"k": "v", "n": None}}) == {
        "data": {
            "createUserIfNotExists": {"created": True, "user": {"name": "A", "role": "default", "custom": {"k": "v"}}}
        }
    }
    again = await api.execute(CREATE, id="a", input={"name": "B"})
    assert again["data"]["createUserIfNotExists"]["created"] is False
    assert again["data"]["createUserIfNotExists"]["user"]["name"] == "A"
    assert await api.execute(SET, id="a", input={"name": "A2"}) == {
        "data": {"setUser": {"created": False, "changed": True, "user": {"name": "A2"}}}
    }
    assert await api.execute(SET, id="a", input={}) == {
        "data": {"setUser": {"created": False, "changed": False, "user": {"name": "A2"}}}
    }
    answer = await api.execute(
        '{ user(id: "a") { effectiveLocale locale } users(ids: ["b", "a"]) { id } app { id roles { name settings } } }'
    )
    assert answer == {
        "data": {
            "user": {"effectiveLocale": "en", "locale": None},
            "users": [None, {"id": "a"}],
            "app": {
                "id": "app",
                "roles": [{"name": "default", "settings": {"a": 1}}, {"name": "ädmin", "settings": {}}],
            },
        }
    }


async def test_aliases_and_operations_at_once_share_a_read(api: Api) -> None:
    await api.execute('{ a: user(id: "1") { id } b: user(id: "2") { id } c: user(id: "1") { id } }')
    assert api.store.reads == [["1", "2"]]


async def test_private_fields_are_no_part_of_any_output(api: Api) -> None:
    await api.execute(SET, id="a", input={"name": "A", "email": "a@example.com", "pushTokens": {"fcm:x": True}})
    for field in ("email", "phone", "pushTokens", "createdAt", "updatedAt"):
        errors = api.refusal(f'{{ user(id: "a") {{ {field} }} }}')
        assert errors[0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_literals_and_variables_inside_of_them(api: Api) -> None:
    answer = await api.execute(
        'mutation($v: String, $left: String) { setUser(id: "a", input: {name: "A", email: "a@example.com", '
        'custom: {k: $v, l: $left, m: "x"}, pushTokens: {}}) { user { custom } } }',
        v="y",
    )
    assert answer == {"data": {"setUser": {"user": {"custom": {"k": "y", "m": "x"}}}}}


@pytest.mark.parametrize(
    ("patch", "field"),
    [
        ({"name": None}, "name"),
        ({"name": " "}, "name"),
        ({"name": "x" * 256}, "name"),
        ({"custom": 5}, "custom"),
        ({"custom": {"a": 5}}, "custom"),
        ({"custom": {"a": {"b": "c"}}}, "custom"),
        ({"custom": {"a": 10**400}}, "custom"),
        ({"locale": "english"}, "locale"),
        ({"photoUrl": "javascript:alert(1)"}, "photoUrl"),
        ({"role": ""}, "role"),
        ({"email": ["x"]}, "email"),
        ({"email": ["a@example.com"] * 21}, "email"),
        ({"phone": "12345"}, "phone"),
        ({"pushTokens": {"x": True}}, "pushTokens"),
        ({"pushTokens": {"fcm:x": False}}, "pushTokens"),
        ({"custom": {"a": "x" * 70_000}}, "custom"),
        ({"custom": {str(n): "x" for n in range(101)}}, "custom"),
    ],
)
async def test_bad_input_has_code_and_field_and_changes_nothing(api: Api, patch: dict[str, Any], field: str) -> None:
    api.engine.time_limit.seconds = 30  # the first of some fields waits for a library
    await api.execute(SET, id="a", input={"name": "A"})
    before = dict(api.store.users)
    answer = await api.execute(SET, id="a", input=patch)
    assert answer["data"] is None
    (error,) = answer["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert error["extensions"]["field"] == field
    assert error["path"] == ["setUser"]
    assert error["message"].startswith(field)
    assert api.store.users == before


async def test_all_bad_fields_are_told_at_once(api: Api) -> None:
    answer = await api.execute(SET, id="", input={"name": "", "email": "x", "locale": "?", "photoUrl": "x"})
    (error,) = answer["errors"]
    assert error["extensions"]["field"] == "id"
    assert [problem["field"] for problem in error["extensions"]["problems"]] == [
        "id",
        "name",
        "locale",
        "photoUrl",
        "email",
    ]


async def test_a_new_user_needs_a_name(api: Api) -> None:
    answer = await api.execute(SET, id="a", input={"role": "x"})
    assert answer["errors"][0]["extensions"] == {"code": "NAME_REQUIRED", "field": "name"}
    assert api.store.users == {}


def test_bad_variables_are_all_told_with_their_fields(api: Api) -> None:
    errors = api.refusal(SET, input={"name": 5, "locale": [], "email": [1]})
    assert [(error["extensions"]["code"], error["extensions"]["field"]) for error in errors] == [
        ("BAD_USER_INPUT", "id"),
        ("BAD_USER_INPUT", "name"),
        ("BAD_USER_INPUT", "locale"),
        ("BAD_USER_INPUT", "email"),
    ]
    assert errors[1]["message"].startswith("Variable '$input' has a bad value at .name:")
    (unknown,) = api.refusal(SET, id="a", input={"name": "A", "age": 5})
    assert unknown["extensions"]["field"] == "age"
    assert unknown["message"].endswith("not to include unknown field 'age'. Did you mean 'name'?")
    (missing,) = api.refusal(CREATE, id="a", input={})
    assert missing["extensions"] == {"code": "BAD_USER_INPUT", "field": "name"}


async def test_a_null_variable_where_a_value_is_needed(api: Api) -> None:
    query = 'query($id: ID = "a") { user(id: $id) { id } }'
    answer = await api.execute(query, id=None)
    assert answer["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT", "field": "id"}


def test_operation_names(api: Api) -> None:
    several = "query A { app { id } } query B { app { id } }"
    for name, text in ((None, "several operations"), ("C", "no operation named 'C'")):
        (error,) = api.refusal(several, name)
        assert text in error["message"]
        assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_what_is_unexpected_is_masked_and_logged_whole(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    api.store.failure = RuntimeError("the secret is canary-1234")
    answer = await api.execute('{ user(id: "a") { id } }')
    (error,) = answer["errors"]
    assert answer["data"] == {"user": None}
    assert error["extensions"] == {"code": "INTERNAL_SERVER_ERROR", "requestId": "request-1"}
    assert "canary" not in str(answer)
    assert "canary-1234" in caplog.text
    assert "request-1" in caplog.text


async def test_a_store_that_is_away(api: Api) -> None:
    api.store.failure = StoreUnavailable()
    answer = await api.execute('{ user(id: "a") { id } }')
    assert answer["errors"][0]["extensions"] == {"code": "STORE_UNAVAILABLE", "retryAfterSeconds": 1}


async def test_an_operation_that_takes_too_long(api: Api) -> None:
    api.store.gate.clear()
    answer = await api.execute('{ user(id: "a") { id } }')
    assert answer["errors"][0]["extensions"] == {"code": "STORE_UNAVAILABLE", "retryAfterSeconds": 1}
    assert "longer than 0.2 s" in answer["errors"][0]["message"]
    api.store.gate.set()
    assert await api.execute('{ user(id: "a") { id } }') == {"data": {"user": None}}


async def test_a_subscription_starts_with_the_present_and_ends_with_its_reader(api: Api) -> None:
    async with aclosing(api.events('subscription { userChanged(id: "a") { name } }')) as events:
        assert await anext(events) == {"data": {"userChanged": None}}
        await api.execute(SET, id="a", input={"name": "A"})
        assert await anext(events) == {"data": {"userChanged": {"name": "A"}}}
        assert api.hub.watcher_count == 1
    assert api.hub.watcher_count == 0


@pytest.mark.parametrize(
    ("failure", "user_id", "code"),
    [
        (StoreUnavailable(), "a", "STORE_UNAVAILABLE"),
        (RuntimeError("canary"), "a", "INTERNAL_SERVER_ERROR"),
        (None, "", "BAD_USER_INPUT"),
    ],
)
async def test_a_subscription_that_cannot_start(api: Api, failure: Exception | None, user_id: str, code: str) -> None:
    api.store.failure = failure
    with pytest.raises(SubscriptionFailed) as caught:
        await anext(api.events("subscription($id: ID!) { userChanged(id: $id) { name } }", id=user_id))
    assert caught.value.errors[0]["extensions"]["code"] == code
    assert "canary" not in str(caught.value.errors)
    assert api.hub.watcher_count == 0


@pytest.mark.parametrize(
    ("value", "fields"),
    [
        (None, ["body"]),
        (5, ["body"]),
        ("x", ["body"]),
        ([], ["body"]),
        ({}, ["query"]),
        ({"query": 5, "variables": 5, "operationName": 1, "extensions": "x"}, None),
        ({"query": "{ app { id } }", "variables": "x"}, ["variables"]),
    ],
)
def test_malformed_requests(value: object, fields: list[str] | None) -> None:
    with pytest.raises(BadUserInput) as caught:
        parse_request(value)
    expected = fields or ["query", "operationName", "variables", "extensions"]
    assert [problem.field for problem in caught.value.problems] == expected
