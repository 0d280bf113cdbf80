"""Wherever something large can be given, it costs about as much as reading its JSON does, and no more.

The places are those of the schema, and of REST's patches. What is compared is the time that this process computes: with
the large thing where it is looked at, and with the same thing where nobody looks.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any, Final

import httpx
import orjson
import pytest
from graphql import (
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLObjectType,
    get_nullable_type,
)

from userline.gateway.runtime import Runtime
from userline.schema.federation import make_subgraph
from userline.settings.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LONG = os.environ.get("USERLINE_TEST_LONG") == "1"
MOST: Final = 1_040_000
"""Of the 1,048,576 bytes that a body may have, what is left for the large thing."""

ONE_IN: Final = 5
"""Unless the tests may take long, so many of the combinations are tried."""

TIMES_AS_LONG: Final = 4
AT_LEAST_SECONDS: Final = 0.05
"""Reading a string of a megabyte takes a third of a millisecond: times that, nothing would be measured."""

SCHEMA: Final = make_subgraph()._schema


def filled(piece: str, start: str, end: str) -> str:
    """Return as many pieces as there is room for."""
    return start + ",".join([piece] * ((MOST - 2) // (len(piece) + 1))) + end


def many_keys(value: str) -> str:
    pairs = (f'"{number:07}":{value}' for number in range(MOST // (len(value) + 11)))
    return "{" + ",".join(pairs) + "}"


SHAPES: Final[dict[str, Callable[[], str]]] = {
    "numbers and a null": lambda: filled("7", "[", ",null]"),
    "nulls": lambda: filled("null", "[", "]"),
    "empty strings": lambda: filled('""', "[", "]"),
    "strings": lambda: filled('"abcdefgh"', "[", "]"),
    "an address many times": lambda: filled('"a@example.com"', "[", "]"),
    "lists": lambda: filled("[1]", "[", "]"),
    "objects": lambda: filled('{"a":1}', "[", "]"),
    "objects of users": lambda: filled('{"__typename":"User","id":1}', "[", "]"),
    "floats": lambda: filled("1.5", "[", "]"),
    "overflows": lambda: filled("1e999", "[", "]"),
    "a long string": lambda: '"' + "a" * MOST + '"',
    "a long string of escapes": lambda: '"' + "\\u00e9" * (MOST // 6) + '"',
    "a long address": lambda: '"' + "a" * (MOST - 20) + '@example.com"',
    "an address of dots": lambda: '"' + "a." * (MOST // 2 - 20) + 'a@example.com"',
    "a domain of dots": lambda: '"a@' + "a." * (MOST // 2 - 20) + 'com"',
    "a long phone number": lambda: '"+1' + "4" * MOST + '"',
    "a phone number of dashes": lambda: '"+1' + "-" * MOST + '4"',
    "a long tag": lambda: '"en' + "-aaaaaaaa" * (MOST // 9) + '"',
    "a long URL": lambda: '"https://example.com/' + "a/" * (MOST // 2 - 20) + '"',
    "space": lambda: '"' + " " * MOST + '"',
    "many keys": lambda: many_keys("1"),
    "many keys of strings": lambda: many_keys('"a"'),
    "many keys of null": lambda: many_keys("null"),
    "many keys of true": lambda: many_keys("true"),
    "one long key": lambda: '{"' + "k" * MOST + '":1}',
    "a hundred long keys": lambda: "{" + ",".join(f'"{n}{"k" * (MOST // 100 - 20)}":1' for n in range(100)) + "}",
    "many tokens": lambda: "{" + ",".join(f'"fcm:{number:07}":true' for number in range(MOST // 20)) + "}",
    "a long number": lambda: "9" * MOST,
}


def positions() -> Iterator[tuple[str, str, str]]:
    """Yield every place of an input: its name, an operation with a variable ``v``, and the JSON of its variables."""
    for kind, root in (("query", SCHEMA.query_type), ("mutation", SCHEMA.mutation_type)):
        assert isinstance(root, GraphQLObjectType)
        for name, field in root.fields.items():
            for argument, given in field.args.items():
                others = {other: arg for other, arg in field.args.items() if other != argument}
                variables = ", ".join(f"${other}: {arg.type}" for other, arg in others.items())
                passed = ", ".join([f"{argument}: $v", *(f"{other}: ${other}" for other in others)])
                selected = "{ __typename }"
                query = f"{kind}($v: {given.type}{variables and ', ' + variables}) {{ {name}({passed}) {selected} }}"
                around = {other: {"name": "N"} if other == "input" else "x" for other in others}
                for path in paths(given.type):
                    before = "".join(f'{{"{step}":' for step in path)
                    rest = orjson.dumps(around).decode()[1:-1]
                    text = f'{{"v":{before}@{"}" * len(path)}{rest and "," + rest}}}'
                    yield f"{name} {'.'.join((argument, *path))}", query, text


def paths(graphql_type: GraphQLInputType) -> Iterator[tuple[str, ...]]:
    """Yield the ways to the places inside of a type."""
    yield ()
    inner = get_nullable_type(graphql_type)
    if isinstance(inner, GraphQLList):
        return
    if isinstance(inner, GraphQLInputObjectType):
        for name, field in inner.fields.items():
            for path in paths(field.type):
                yield (name, *path)


POSITIONS: Final = list(positions())
FIELDS: Final = (
    "name",
    "custom",
    "locale",
    "photoUrl",
    "role",
    "welcomeMessage",
    "email",
    "phone",
    "pushTokens",
    "nick",
)


def test_the_places_are_those_of_the_schema() -> None:
    names = {name for name, _, _ in POSITIONS}
    assert {"user id", "users ids", "_entities representations", "setUser input.email", "setUser id"} <= names
    assert len(names) >= 25


class Door:
    """The application, as a server calls it, and the time that it takes."""

    def __init__(self, app: Any) -> None:
        self._http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost", timeout=300)

    async def seconds(self, method: str, path: str, body: bytes) -> float:
        """Return the least of two tries, because the machine may do other things meanwhile."""
        best = float("inf")
        for _ in range(2):
            started = time.thread_time()
            answer = await self._http.request(method, path, content=body, headers={"content-type": "application/json"})
            best = min(best, time.thread_time() - started)
            assert answer.status_code in (200, 400), answer.text[:300]
            assert len(answer.content) < 65_536, f"the answer has {len(answer.content)} bytes"
            if best < AT_LEAST_SECONDS:
                break
        return best


async def slow_ones(door: Door, wanted: list[tuple[str, str, str, str]]) -> list[str]:
    """Return what takes long, of places given as name, method and path, and the JSON around the ``@`` of the value."""
    slow = []
    for shape_number, (shape, make) in enumerate(SHAPES.items()):
        value = make()
        plain = await door.seconds("POST", "/graphql", f'{{"query":"{{app{{id}}}}","x":{value}}}'.encode())
        for number, (name, method, path, around) in enumerate(wanted):
            if not LONG and (number + shape_number) % ONE_IN:
                continue
            before, _, after = around.partition("@")
            seconds = await door.seconds(method, path, (before + value + after).encode())
            if seconds > AT_LEAST_SECONDS + TIMES_AS_LONG * plain:
                slow.append(f"{name}, {shape}: {seconds * 1000:.0f} ms, and {plain * 1000:.1f} ms unlooked at")
    return slow


@pytest.mark.parametrize("plans", [True, False])
def test_no_large_input_takes_long(tmp_path: Path, plans: bool) -> None:
    async def run() -> list[str]:
        runtime = Runtime(
            load_settings(
                {
                    "store_url": f"sqlite:///{tmp_path}/users.db",
                    "access_log": False,
                    "federation": True,
                    "plans": plans,
                    "log_level": "error",
                }
            )
        )
        async with runtime.running():
            door = Door(runtime.make_app())
            chosen = POSITIONS if LONG or plans else POSITIONS[::4]
            graphql = [
                (name, "POST", "/graphql", f'{{"query":{orjson.dumps(query).decode()},"variables":{text}}}')
                for name, query, text in chosen
            ]
            others = [
                ("variables", "POST", "/graphql", '{"query":"{app{id}}","variables":@}'),
                ("operationName", "POST", "/graphql", '{"query":"{app{id}}","operationName":@}'),
                ("query", "POST", "/graphql", '{"query":@}'),
                ("extensions", "POST", "/graphql", '{"query":"{app{id}}","extensions":@}'),
                ("documentId", "POST", "/graphql", '{"documentId":@}'),
                ("hash", "POST", "/graphql", '{"extensions":{"persistedQuery":{"version":1,"sha256Hash":@}}}'),
                ("version", "POST", "/graphql", '{"extensions":{"persistedQuery":{"version":@,"sha256Hash":"a"}}}'),
                ("an operation of a batch", "POST", "/graphql", "[@]"),
                ("a user", "PUT", "/v1/userline/users/x", "@"),
                ("users", "PUT", "/v1/userline/users", "@"),
                ("a user of many", "PUT", "/v1/userline/users", '{"x":@}'),
                *((f"REST {field}", "PUT", "/v1/userline/users/x", f'{{"{field}":@}}') for field in FIELDS),
            ]
            return await slow_ones(door, [*graphql, *others])

    slow = asyncio.run(run())
    assert not slow, "\n".join(slow)
