"""Plans and graphql-core give equal responses, byte for byte: keys in order, errors, and what becomes null."""

from __future__ import annotations

import asyncio
import gc
import os
import weakref
from functools import partial
from typing import Any, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import mutations, nodes, queries

from tests.support.api import running_api
from userline.execution.operation import RequestRefused
from userline.execution.plans.planned import PlannedExecution, PlannedSubscription
from userline.execution.request import parse_request
from userline.schema.sdl import print_schema
from userline.users.errors import StoreUnavailable

Asked: TypeAlias = tuple[str, dict[str, Any]]
"""A document and its variables."""

LONG = os.environ.get("USERLINE_TEST_LONG") == "1"

generated = settings(
    max_examples=5000 if LONG else 125,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)

SET = "mutation($id: ID!, $input: SetUserInput!) { setUser(id: $id, input: $input) { created changed user { id } } }"
ANN = {"name": "Ann", "custom": {"a.b": "x", "é": '"'}, "locale": "nl"}


_patient_api = partial(running_api, time_limit=30)


async def planned(*asked: Asked, failure: Exception | None = None) -> bool:
    """Run the operations both ways, each way on a store of its own; return whether a plan ran the last of them."""
    async with _patient_api(plans=True) as ours, _patient_api(plans=False) as general:
        for api in (ours, general):
            await api.execute(SET, id="ann", input=ANN)
            await api.execute(SET, id="0", input={"name": "Zero"})
            if failure is not None:
                await asyncio.sleep(0)
                api.store.failure = failure
                api.hub.doubt_all()
        for query, variables in asked:
            assert await ours.respond(query, variables) == await general.respond(query, variables), query
        try:
            return isinstance(ours.prepare(asked[-1][0], None, asked[-1][1]), PlannedExecution)
        except RequestRefused:
            return False


SIMPLE: list[Asked] = [
    ('{ user(id: "ann") { id name custom locale photoUrl role welcomeMessage effectiveLocale __typename } }', {}),
    ("query Q($id: ID!) { user(id: $id) { ...F } } fragment F on User { name ... on User { n: name } }", {"id": "ann"}),
    ("query($a: Boolean!) { user(id: 0) { id @include(if: $a) name @skip(if: $a) } app { id } }", {"a": True}),
    ("query($ids: [ID!]!) { users(ids: $ids) { id } a: user(id: 5) { id } __typename }", {"ids": ["ann", "nobody", 5]}),
    ('mutation($n: String!) { setUser(id: "x", input: {name: $n, custom: {k: "v"}}) { created } }', {"n": "N"}),
    (
        "mutation($i: CreateUserInput!) { createUserIfNotExists(id: 1, input: $i) { user { id } } }",
        {"i": {"name": "N"}},
    ),
]


@pytest.mark.parametrize("asked", SIMPLE)
async def test_what_is_simple_has_a_plan(asked: Asked) -> None:
    assert await planned(asked, asked)


async def test_a_subscription_has_a_plan() -> None:
    async with running_api(plans=True) as api:
        operation = api.prepare("subscription($id: ID!) { a: userChanged(id: $id) { id } }", None, {"id": "a"})
        assert isinstance(operation, PlannedSubscription)


async def test_the_bytes_of_a_snapshot_are_made_once_for_equal_selections() -> None:
    async with running_api(plans=True) as api:
        await api.execute(SET, id="ann", input=ANN)
        snapshot = await api.users.get("ann")
        assert snapshot is not None
        for query in (
            '{ users(ids: ["ann"]) { id name } }',
            '{ users(ids: ["ann"]) { ...F } } fragment F on User { id name }',
            '{ user(id: "ann") { id name } nobody: user(id: "nobody") { id } }',
        ):
            await api.execute(query)
        assert list(snapshot.encodings.values()) == [b'{"id":"ann"}', b'{"id":"ann","name":"Ann"}']
        for number in range(100):
            await api.execute(f'{{ user(id: "ann") {{ a{number}: id }} }}')
        assert len(snapshot.encodings) <= 8


async def test_the_response_with_one_user_is_made_once_for_a_snapshot_and_keeps_no_plan_alive() -> None:
    async with running_api(plans=True) as api:
        await api.execute(SET, id="ann", input=ANN)
        snapshot = await api.users.get("ann")
        assert snapshot is not None
        snapshot.encodings.clear()
        asked = '{ user(id: "ann") { name } }'
        first, second = [await api.respond(asked, {}) for _ in range(2)]
        assert first is second
        assert list(snapshot.encodings.values()) == [b'{"data":{"user":{"name":"Ann"}}}']
        bound = api.engine.documents.bind(parse_request({"query": asked}), api.engine.texts.text_of)
        assert bound is not None
        query = weakref.ref(bound.bound.steps)
        del bound
        api.engine.documents._documents.clear()
        gc.collect()
        assert query() is None
        assert first in snapshot.encodings.values()
        await api.execute(SET, id="ann", input={"name": "Anna"})
        assert await api.respond(asked, {}) == b'{"data":{"user":{"name":"Anna"}}}'


async def test_responses_with_one_user_are_bounded() -> None:
    most = 100
    async with running_api(plans=True, max_answer_bytes=most) as api:
        await api.execute(SET, id="ann", input={"name": "A" * most})
        for _ in range(2):
            response = await api.respond('{ user(id: "ann") { name } }', {})
            assert b"OPERATION_TOO_COMPLEX" in response
        await api.execute(SET, id="ann", input={"name": "A"})
        exact = most - len('{"data":{"user":{"name":"A"}}}') + 1
        for length, fits in ((exact, True), (exact + 1, False)):
            await api.execute(SET, id="ann", input={"name": "A" * length})
            response = await api.respond('{ user(id: "ann") { name } }', {})
            assert (b"AAA" in response) is fits
            assert len(response) == most or not fits


_SCALAR = st.sampled_from([nodes.Object(fields=[]), nodes.String(value="x"), nodes.Int(value=5), nodes.Null])
_SCALARS = {"Custom": _SCALAR, "PushTokens": _SCALAR, "RoleSettings": _SCALAR}
_FAILURES = st.none() | st.sampled_from([StoreUnavailable(), RuntimeError("what is masked")])


@generated
@given(queries(print_schema(), custom_scalars=_SCALARS), _FAILURES)
def test_queries_generated_from_the_schema(query: str, failure: Exception | None) -> None:
    asyncio.run(planned((query, {}), (query, {}), failure=failure))


@generated
@given(mutations(print_schema(), custom_scalars=_SCALARS), _FAILURES)
def test_mutations_generated_from_the_schema(mutation: str, failure: Exception | None) -> None:
    asyncio.run(planned((mutation, {}), (mutation, {}), failure=failure))


_LEAVES = ["id", "name", "custom", "locale", "photoUrl", "role", "welcomeMessage", "effectiveLocale", "__typename"]
_CONDITIONS = ["", "", "", " @include(if: $yes)", " @skip(if: $no)", " @include(if: true)", " @skip(if: true)"]
_IDS = ["ann", "0", "nobody", "", "a\0b", "x" * 256]

_leaf = st.builds(
    "{0}{1}{2}".format,
    st.sampled_from(["", "", "a: ", "b: "]),
    st.sampled_from(_LEAVES),
    st.sampled_from(_CONDITIONS),
)
_flat = st.lists(_leaf | st.sampled_from(["...F", "...F @include(if: $yes)"]), min_size=1, max_size=5).map(" ".join)
_selection = _flat | st.builds("... on User{0} {{ {1} }} {2}".format, st.sampled_from(_CONDITIONS), _flat, _flat)
_id = st.sampled_from(["$id", "$given", "$left", '"ann"', '"nobody"', '""', "0", "5"])
_ids = st.sampled_from(["$ids", "[]", '"ann"', '["ann", "nobody"]', "[$id, 0]", "[$given, $id]", '["ann", ""]', "$id"])
_root = st.one_of(
    st.builds(
        "{0}user(id: {1}){2} {{ {3} }}".format,
        st.sampled_from(["", "a: ", "b: "]),
        _id,
        st.sampled_from(_CONDITIONS),
        _selection,
    ),
    st.builds("{0}users(ids: {1}) {{ {2} }}".format, st.sampled_from(["", "c: "]), _ids, _selection),
    st.sampled_from(["app { id roles { name settings __typename } a: defaultLocale }", "__typename", "t: __typename"]),
    st.builds("... on Query @include(if: $yes) {{ d: user(id: {0}) {{ id }} }}".format, _id),
)
_variables: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "id": st.sampled_from([*_IDS, 5, None, 1.5, True, ["ann"]]),
        "given": st.sampled_from(["ann", None, 7]),
        "ids": st.lists(st.sampled_from(_IDS), max_size=4) | st.sampled_from(["ann", None, [None], ["ann", 0], {}]),
        "yes": st.sampled_from([True, False, None, "true"]),
        "no": st.booleans(),
        "extra": st.just(1),
    },
)
_USED = {
    "id": "$id: ID!",
    "given": '$given: ID = "ann"',
    "left": "$left: ID!",
    "ids": '$ids: [ID!]! = ["0"]',
    "yes": "$yes: Boolean!",
    "no": "$no: Boolean = false",
}


def _document(root: list[str], fragment: str) -> str:
    body = " ".join(root)
    fragments = f" fragment F on User {{ {fragment} }}" if "...F" in body else ""
    used = [text for name, text in _USED.items() if f"${name}" in body + fragments]
    return f"query Q{'(' + ', '.join(used) + ')' if used else ''} {{ {body} }}{fragments}"


@generated
@given(
    st.builds(
        _document, st.lists(_root, min_size=1, max_size=4), st.lists(_leaf, min_size=1, max_size=3).map(" ".join)
    ),
    _variables,
    _FAILURES,
)
def test_queries_with_variables_fragments_and_conditions(
    query: str, variables: dict[str, Any], failure: Exception | None
) -> None:
    asyncio.run(planned((query, variables), (query, variables), failure=failure))


_inputs = st.fixed_dictionaries(
    {},
    optional={
        "name": st.sampled_from(["Bob", "Bo", "B", "", None, 5]),
        "custom": st.sampled_from([{"a": "b"}, {"a.b": None}, None, {"a": 5}, "x", {"": "$set"}]),
        "locale": st.sampled_from(["nl", "?", None]),
        "email": st.sampled_from(["a@example.com", ["a@example.com"], [], None, [None], "x", [5]]),
        "pushTokens": st.sampled_from([{"fcm:x": True}, {"fcm:x": None}, {"x": 1}, None, []]),
    },
)
_payload = st.lists(
    st.sampled_from(["created", "c: created", "__typename", "user { id name }", "user { custom }", "u: user { role }"]),
    min_size=1,
    max_size=4,
).map(" ".join)
_write = st.builds(
    "{0}: {1}(id: {2}, input: {3}){5} {{ {4} }}".format,
    st.sampled_from(["a", "b", "c"]),
    st.sampled_from(["setUser", "createUserIfNotExists"]),
    st.sampled_from(["$id", '"new"', '"ann"', '""', "7"]),
    st.sampled_from(
        [
            "$input",
            "{name: $name}",
            "{name: $name, custom: $custom}",
            '{name: "N", custom: {k: $name}}',
            '{name: "N", email: $name}',
            '{name: "N", email: [$name]}',
            '{name: "N", locale: null}',
        ]
    ),
    _payload,
    st.sampled_from(["", "", " @include(if: true)", " @skip(if: true)", " @include(if: false)"]),
)


def _mutation(writes: list[str]) -> str:
    body = " ".join(writes)
    kind = "CreateUserInput!" if "createUser" in body else "SetUserInput!"
    types = {"id": "ID!", "input": kind, "name": "String!" if "createUser" in body else "String", "custom": "Custom"}
    used = [f"${name}: {text}" for name, text in types.items() if f"${name}" in body]
    return f"mutation{'(' + ', '.join(used) + ')' if used else ''} {{ {body} }}"


@generated
@given(
    st.lists(_write, min_size=1, max_size=3, unique_by=lambda write: write[0]).map(_mutation),
    st.fixed_dictionaries(
        {"id": st.sampled_from(_IDS)},
        optional={
            "input": _inputs | st.just({"name": "Eve", "custom": {"a": "b"}}) | st.sampled_from([None, {"age": 5}]),
            "name": st.sampled_from(["Eve", "", None, 5]),
            "custom": st.sampled_from([{"a": "b"}, None, 5]),
        },
    ),
    _FAILURES,
)
def test_mutations_with_variables(mutation: str, variables: dict[str, Any], failure: Exception | None) -> None:
    asyncio.run(planned((mutation, variables), (mutation, variables), failure=failure))
