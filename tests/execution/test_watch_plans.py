"""Subscriptions by a plan and by graphql-core: equal events, byte for byte, and equal errors."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from random import Random
from typing import TYPE_CHECKING, Any, TypeAlias

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.execution.test_plans import generated
from tests.support.api import running_api
from tests.support.operations import Maker
from userline.execution.events import EVENT_BYTES
from userline.execution.general_subscription import GeneralSubscription
from userline.execution.operation import RequestRefused, SubscriptionFailed
from userline.execution.plans.planned import PlannedSubscription
from userline.users.errors import StoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from tests.support.api import Api
    from userline.execution.engine import Execution, Subscription

Heard: TypeAlias = "list[bytes | list[dict[str, Any]]]"
"""Events, and the errors that were the end of them."""

SET = "mutation($id: ID!, $input: SetUserInput!) { setUser(id: $id, input: $input) { created } }"
ANN = {"name": "Ann", "custom": {"a.b": "x", "é": '"'}, "locale": "nl"}

_QUIET_SECONDS = 0.05
"""What is not heard in this time is not heard."""


async def _set(api: Api, *user_ids: str, **fields: Any) -> None:
    for user_id in user_ids:
        await api.execute(SET, id=user_id, input=fields)


async def _listen(operation: Execution | Subscription, acts: Sequence[Callable[[], Awaitable[object]]]) -> Heard:
    """Return the events of a subscription: the first ones, and those after each act."""
    assert isinstance(operation, PlannedSubscription | GeneralSubscription)
    heard: Heard = []
    async with aclosing(operation.events()) as events:
        following = asyncio.ensure_future(anext(events))
        try:
            for act in (None, *acts):
                if act is not None:
                    await act()
                while (await asyncio.wait([following], timeout=_QUIET_SECONDS))[0]:
                    heard.append(following.result())
                    following = asyncio.ensure_future(anext(events))
        except SubscriptionFailed as failure:
            heard.append(failure.errors)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
    return heard


async def _heard(query: str, variables: dict[str, Any], *, plans: bool, failure: Exception | None = None) -> Any:
    async with running_api(plans=plans) as api:
        await _set(api, "ann", **ANN)
        await _set(api, "0", name="Zero")
        if failure is not None:
            await asyncio.sleep(0)
            api.store.failure = failure
            api.hub.doubt_all()
        try:
            operation = api.prepare(query, None, variables)
        except RequestRefused as refused:
            return type(refused), refused.errors
        acts: list[Callable[[], Awaitable[object]]] = []
        if failure is None:
            acts = [
                lambda: api.users.set_many({user_id: {"name": "Bob"} for user_id in ("bob", "ann")}),
                lambda: _set(api, "nobody", name="Somebody", custom={"a": "b"}),
            ]
        heard = await _listen(operation, acts)
        assert api.hub.watcher_count == 0
        return heard


async def _heard_both_ways(query: str, variables: dict[str, Any], failure: Exception | None = None) -> Any:
    planned: Any = None
    general: Any = ()
    for _ in range(10):  # where the machine is busy for so long, one of them may miss a state in between
        planned, general = await asyncio.gather(
            _heard(query, variables, plans=True, failure=failure),
            _heard(query, variables, plans=False, failure=failure),
        )
        if planned == general:
            break
    assert planned == general, query
    return planned


SIMPLE = [
    "usersChanged(ids: $ids) { id user { id name } }",
    "usersChanged(ids: $ids) { id }",
    "usersChanged(ids: $ids) { user { name } }",
    "usersChanged(ids: $ids) { __typename }",
    "a: usersChanged(ids: $ids) { b: id c: user { d: name __typename } e: __typename user { id } }",
    "usersChanged(ids: $ids) { user { custom } id user { name } ... on UserChange { id user { locale } } }",
    "usersChanged(ids: $ids) { ...C } } fragment C on UserChange { id user { ...U } } fragment U on User { name custom",
    "usersChanged(ids: $ids) { id user { name @skip(if: true) id @include(if: true) } }",
    "usersChanged(ids: $ids) { id @skip(if: true) user @include(if: false) { id } }",
    'usersChanged(ids: ["ann", "nobody", 0]) { id user { effectiveLocale } }',
    'usersChanged(ids: "ann") { id user { name } }',
    "usersChanged(ids: []) { id }",
]


@pytest.mark.parametrize("selected", SIMPLE)
async def test_what_is_simple_has_a_plan_and_sounds_the_same(selected: str) -> None:
    query = f"subscription{'($ids: [ID!]!)' if '$ids' in selected else ''} {{ {selected} }}"
    variables = {"ids": ["nobody", "ann", "ann", "bob"]}
    async with running_api(plans=True) as api:
        assert isinstance(api.prepare(query, None, variables), PlannedSubscription)
    heard = await _heard_both_ways(query, variables)
    assert len(heard) == (1 if "[]" in selected else 2 if '"ann")' in selected else 3), heard
    assert all(isinstance(event, bytes) for event in heard)


async def test_the_first_event_is_of_all_and_the_next_ones_of_those_who_have_changed() -> None:
    query = "subscription($ids: [ID!]!) { usersChanged(ids: $ids) { id user { name } } }"
    heard = await _heard_both_ways(query, {"ids": ["nobody", "ann", "ann", "bob"]})
    nobody = b'{"id":"nobody","user":null}'
    assert heard == [
        b'{"data":{"usersChanged":[%b,{"id":"ann","user":{"name":"Ann"}},{"id":"bob","user":null}]}}' % nobody,
        b'{"data":{"usersChanged":[{"id":"bob","user":{"name":"Bob"}},{"id":"ann","user":{"name":"Bob"}}]}}',
        b'{"data":{"usersChanged":[{"id":"nobody","user":{"name":"Somebody"}}]}}',
    ]


@pytest.mark.parametrize("field", ["userChanged(id: $id)", "usersChanged(ids: [$id])", "userOnlineChanged(id: $id)"])
@pytest.mark.parametrize("failure", [StoreUnavailable(), RuntimeError("what is masked")])
async def test_a_store_that_fails_is_told_at_its_place(field: str, failure: Exception) -> None:
    below = "__typename"
    heard = await _heard_both_ways(f"subscription($id: ID!) {{ a: {field} {{ {below} }} }}", {"id": "x"}, failure)
    ((error,),) = heard
    assert error["locations"] == [{"line": 1, "column": 26}]
    assert error["path"] == ["a"]
    code = "STORE_UNAVAILABLE" if isinstance(failure, StoreUnavailable) else "INTERNAL_SERVER_ERROR"
    assert error["extensions"]["code"] == code


@pytest.mark.parametrize("user_id", ["", "a\0b", "x" * 256])
@pytest.mark.parametrize("field", ["userChanged(id: $id)", "usersChanged(ids: [$id])", "userOnlineChanged(id: $id)"])
async def test_what_is_no_id_is_told_at_its_place(field: str, user_id: str) -> None:
    ((error,),) = await _heard_both_ways(f"subscription($id: ID!) {{ {field} {{ __typename }} }}", {"id": user_id})
    assert error["locations"] == [{"line": 1, "column": 26}]
    assert error["path"] == [field.partition("(")[0]]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


def _large(number: int, size: int) -> dict[str, Any]:
    return {"name": "L", "custom": {f"k{number}": "x" * size}}


@pytest.mark.parametrize("size", [100, 700, 20_000, 50_000])
@pytest.mark.parametrize("selected", ["id", "id user { custom }", "user { a: custom b: custom c: custom } id"])
async def test_many_large_users_are_several_events_that_are_cut_alike(size: int, selected: str) -> None:
    ids = [f"u{number}" for number in range(200)]
    query = f"subscription($ids: [ID!]!) {{ usersChanged(ids: $ids) {{ {selected} }} }}"
    heard = []
    for plans in (True, False):
        async with running_api(plans=plans, time_limit=30) as api:
            for number, user_id in enumerate(ids):
                await _set(api, user_id, **_large(number, size))
            heard.append(await _listen(api.prepare(query, None, {"ids": ids}), []))
    assert heard[0] == heard[1]
    events = [event for event in heard[0] if isinstance(event, bytes)]
    assert len(events) == len(heard[0])
    told = [orjson.loads(event)["data"]["usersChanged"] for event in events]
    assert sum(map(len, told)) == len(ids)
    for entries, event, following in zip(told, events, [*told[1:], None], strict=True):
        assert len(event) <= EVENT_BYTES
        if following is not None:
            assert len(event) + len(orjson.dumps(following[0])) + 1 > EVENT_BYTES, "there was room for one more"
        assert entries


async def test_a_user_too_large_for_any_event_ends_it() -> None:
    query = "subscription($ids: [ID!]!) { usersChanged(ids: $ids) { id user { custom } } }"
    heard = []
    for plans in (True, False):
        async with running_api(plans=plans, time_limit=30, max_answer_bytes=50_000) as api:
            await _set(api, "small", name="S")
            await _set(api, "large", **_large(0, 60_000))
            heard.append(await _listen(api.prepare(query, None, {"ids": ["small", "small 2", "large"]}), []))
    assert heard[0] == heard[1]
    first, (error,) = heard[0]
    assert isinstance(first, bytes)
    assert [change["id"] for change in orjson.loads(first)["data"]["usersChanged"]] == ["small", "small 2"]
    assert isinstance(error, dict)
    assert error["extensions"]["code"] == "OPERATION_TOO_COMPLEX"
    assert error["path"] == ["usersChanged"]


@generated
@given(st.integers(0, 2**32), st.none() | st.sampled_from([StoreUnavailable(), RuntimeError("what is masked")]))
def test_subscriptions_at_random(seed: int, failure: Exception | None) -> None:
    maker = Maker(Random(seed), federation=False)
    operation = maker.operation("subscription")
    asyncio.run(_heard_both_ways(operation.query, maker.variables(operation), failure))
