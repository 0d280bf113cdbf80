"""Operations leave nothing behind that refers to itself: what a collection would have to find, it may find late."""

from __future__ import annotations

import gc
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from tests.support.api import Api, running_api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

VARIABLES = {"ids": ["a", "nobody"], "id": "a"}

OPERATIONS = (
    "{ app { id roles { name settings } } }",
    '{ a: __typename user(id: "a") { ... on User { name custom } } users(ids: ["a", "b"]) { name } }',
    "query($ids: [ID!]!) { users(ids: $ids) { ... on User { name } } }",
    "{ __schema { queryType { name } } app { id } }",
    'mutation { setUser(id: "a", input: {name: "A"}) { user { ... on User { name } } changed } }',
    'mutation { a: setUser(id: "a", input: {name: "1"}) { changed } b: setUser(id: "b", input: {}) { changed } }',
    'mutation { setUser(id: "a", input: {locale: "en_US"}) { changed } }',
    "mutation { __typename @skip(if: true) }",
    "{ nope }",
    "{",
    "query($id: ID!) { user(id: $id) { name } users(ids: []) { id } }",
    "query($ids: Int!) { app { id } }",
)


@pytest.fixture(params=[True, False], ids=["plans", "graphql-core"])
async def api(request: pytest.FixtureRequest) -> AsyncIterator[Api]:
    async with running_api(plans=request.param) as api:
        yield api


def collected() -> list[str]:
    """Return the types of what only a collection frees."""
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        gc.collect()
        return sorted({type(each).__name__ for each in gc.garbage})
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.collect()


@pytest.mark.parametrize("text", OPERATIONS)
async def test_an_operation_leaves_no_garbage(api: Api, text: str) -> None:
    for _ in range(3):  # what is made once is made
        await api.respond(text, VARIABLES)
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            await api.respond(text, VARIABLES)
        assert collected() == []
    finally:
        gc.enable()


async def test_events_leave_no_garbage(api: Api) -> None:
    async def watch(changes: int) -> None:
        async with aclosing(
            api.events('subscription { userChanged(id: "a") { ... on User { name custom } } }')
        ) as events:
            await anext(events)
            for number in range(changes):
                text = 'mutation($i: SetUserInput!) { setUser(id: "a", input: $i) { changed } }'
                await api.respond(text, {"i": {"name": f"A{gc.get_count()}{number}"}})
                await anext(events)

    await watch(2)
    gc.collect()
    gc.disable()
    try:
        await watch(3)
        assert collected() == []
    finally:
        gc.enable()
