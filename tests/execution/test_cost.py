"""What operations may cost."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from graphql import get_introspection_query, parse

from tests.support.attacks import DOCUMENTS, INTROSPECTION, fragment_dag
from userline.execution import cost
from userline.execution.cost import OperationLimits, find_refusals
from userline.execution.documents import DocumentCache
from userline.schema.federation import make_subgraph
from userline.schema.sdl import make_schema

if TYPE_CHECKING:
    from collections.abc import Callable

LIMITS = OperationLimits()
SCHEMA = make_schema()._schema
EXAMPLES = Path(__file__).parents[2] / "gateway" / "graphiql" / "web" / "src" / "examples.graphql"


def refusal(text: str, limits: OperationLimits = LIMITS) -> str | None:
    refusals, _, _ = find_refusals(parse(text), limits)
    return next(iter(refusals.values()), None)


def refusal_with(text: str, **variables: Any) -> str | None:
    """Return why an operation is refused with these variables."""
    refusals, counted, _ = find_refusals(parse(text), LIMITS)
    return next(iter(refusals.values()), None) or next(
        (refusal for each in counted.values() if (refusal := each.refusal(variables, LIMITS.cost))), None
    )


def cache() -> DocumentCache:
    return DocumentCache(SCHEMA, capacity=10, max_characters=15_000, max_tokens=1000)


def nested(depth: int) -> str:
    return "{" + "a{" * (depth - 1) + "b" + "}" * depth


@pytest.mark.parametrize(
    ("fits", "exceeds", "message"),
    [
        (nested(10), nested(11), "The operation is 11 levels deep; the limit is 10."),
        (
            "{app{...a}}fragment a on App{" + "a{" * 8 + "b" + "}" * 9,
            "{app{...a}}fragment a on App{" + "a{" * 9 + "b" + "}" * 10,
            "The operation is 11 levels deep; the limit is 10.",
        ),
        (
            "{app{" + "a:id " * 30 + "}}",
            "{app{" + "a:id " * 31 + "}}",
            "The operation has 31 aliases; the limit is 30.",
        ),
        (
            "{app{" + "...a " * 30 + "}}fragment a on App{b:id}",
            "{app{" + "...a " * 31 + "}}fragment a on App{b:id}",
            "The operation has 31 aliases; the limit is 30.",
        ),
        (
            "query($a:Int @a)@a{app @a{...a @a}}fragment a on App @a{...@a{id}}" + "",
            "query($a:Int " + "@a" * 45 + ")@a{app @a{...a @a}}fragment a on App @a{...@a{id @a}}",
            "The operation has 51 directives; the limit is 50.",
        ),
        ("{" + "app " * 50 + "}", "{" + "app " * 51 + "}", "The operation has 51 root fields; the limit is 50."),
        (
            "{...a ...a}fragment a on Query{" + "app " * 25 + "}",
            "{...a ...a}fragment a on Query{" + "app " * 26 + "}",
            "The operation has 52 root fields; the limit is 50.",
        ),
        ("{app{" + "id " * 999 + "}}", "{app{" + "id " * 1000 + "}}", "The operation costs 1001; the limit is 1000."),
        (
            "{" + "users(ids:[]){id name}" * 9 + "}",
            "{" + "users(ids:[]){id name}" * 10 + "}",
            "The operation costs 1020; the limit is 1000.",
        ),
        (
            "subscription{" + "usersChanged(ids:[]){id user{name}}" * 9 + "}",
            "subscription{" + "usersChanged(ids:[]){id user{name}}" * 10 + "}",
            "The operation costs 1030; the limit is 1000.",
        ),
        (
            "{__schema{types{" + "a{" * 16 + "b" + "}" * 19,
            "{__schema{types{" + "a{" * 18 + "b" + "}" * 21,
            "The operation asks for the schema 21 levels deep; the limit is 20.",
        ),
        (
            "{" + "__schema{types{fields{args{name}}}}" * 2 + "}",
            "{" + "__schema{types{fields{args{name type{name kind}}}}}" * 50 + "}",
            None,
        ),
    ],
)
def test_each_limit(fits: str, exceeds: str, message: str | None) -> None:
    assert refusal(fits) is None
    assert refusal(exceeds, replace(LIMITS, introspection_cost=1000) if message is None else LIMITS) == (
        message or "The operation asks for the schema at a cost of 31600; the limit is 1000."
    )


IDS_BY: dict[str, Callable[[str, str, int], tuple[str, dict[str, Any]]]] = {
    "literals": lambda field, argument, number: (f"{field}({argument}: [{'5 ' * number}])", {}),
    "a variable": lambda field, argument, number: (f"{field}({argument}: $v)", {"v": [5] * number}),
    "duplicates": lambda field, argument, number: (f"{field}({argument}: $v)", {"v": ["a"] * number}),
    "a list of variables": lambda field, argument, number: (f"{field}({argument}: [{'$w ' * number}])", {"w": "a"}),
    "a default": lambda field, argument, number: (f"{field}({argument}: $d{number})", {}),
    "too long a list": lambda field, argument, number: (f"{field}({argument}: $v)", {"v": [5] * number * 100}),
}


@pytest.mark.parametrize("by", IDS_BY)
@pytest.mark.parametrize(
    ("field", "argument", "kind"),
    [("users", "ids", "query"), ("_entities", "representations", "query"), ("usersChanged", "ids", "subscription")],
)
@pytest.mark.parametrize("shape", ["fields", "fragments", "inline", "fragments of fragments"])
def test_many_ids_cost_more(by: str, field: str, argument: str, kind: str, shape: str) -> None:
    def cost_of(times: int, number: int) -> str | None:
        call, variables = IDS_BY[by](field, argument, number)
        root = kind.capitalize()
        variable = f"($d{number}: [ID!] = [{'5 ' * number}])" if by == "a default" else ""
        body = {
            "fields": f"{kind}{variable} {{ " + " ".join(f"a{n}: {call} {{ id }}" for n in range(times)) + " }",
            "inline": f"{kind}{variable} {{ " + f"... {{ {call} {{ id }} }} " * times + " }",
            "fragments": f"{kind}{variable} {{ " + "...F " * times + f"}} fragment F on {root} {{ {call} {{ id }} }}",
            "fragments of fragments": f"{kind}{variable} {{ " + "...G " * times + "} fragment G on "
            f"{root} {{ ...F }} fragment F on {root} {{ {call} {{ id }} }}",
        }[shape]  # fmt: skip
        return refusal_with(body, **variables)

    assert cost_of(9, 1 if by == "too long a list" else 400) is None
    assert cost_of(1, 1000) is None
    assert cost_of(3, 1000) is None
    for times in (4, 9):
        assert cost_of(times, 1000) == f"The operation costs {times * 251}; the limit is 1000."
    if by != "too long a list":
        assert cost_of(9, 900) == f"The operation costs {9 * 226}; the limit is 1000."


def test_what_is_given_in_place_of_a_list_counts_as_one() -> None:
    text = "query($v: [ID!]! = 5) { " + " ".join(f"a{n}: users(ids: $v) {{ id }}" for n in range(9)) + " }"
    values: list[Any] = ["ann", 5, None, {}, [], [[1]] * 400]
    for value in values:
        assert refusal_with(text, v=value) is None
    assert refusal_with(text) is None
    assert refusal_with(text, v=[[1]] * 1000) is not None
    assert refusal_with(text, other=[1] * 1000) is None


def test_a_refusal_has_its_code() -> None:
    (error,) = cache().get("{" + "app{id}" * 51 + "}").errors
    assert error == {
        "message": "The operation has 51 root fields; the limit is 50.",
        "extensions": {"code": "OPERATION_TOO_COMPLEX"},
    }


@pytest.mark.parametrize("text", [INTROSPECTION, get_introspection_query()], ids=["generators", "plain"])
def test_the_standard_introspection_query_passes(text: str) -> None:
    assert refusal(text) is None
    assert not cache().get(text).errors


def test_the_examples_of_graphiql_pass_together() -> None:
    document = cache().get(EXAMPLES.read_text())
    assert not document.errors
    assert not document.refusals
    assert len(document.operations) > 6


def test_only_the_operation_that_is_run_counts() -> None:
    heavy = "{" + "app{id}" * 51 + "}"
    document = cache().get(f"query Small {{app{{id}}}} query Heavy {heavy}")
    assert not document.errors
    assert list(document.refusals) == ["Heavy"]


def test_what_a_fragment_costs_is_counted_once_for_all_its_spreads() -> None:
    text = fragment_dag(200)
    started = time.thread_time()
    message = refusal(text)
    assert time.thread_time() - started < 1
    assert message == "The operation costs more than 1000000000; the limit is 1000."


@pytest.mark.parametrize(
    "text",
    [
        "{...a}fragment a on Query{...a}",
        "{...a}fragment a on Query{app{id}...b}fragment b on Query{...a ...b}",
        "{...nowhere}",
    ],
)
def test_circles_and_gaps_are_left_to_validation(text: str) -> None:
    assert refusal(text) is None
    codes = {error["extensions"]["code"] for error in cache().get(text).errors}
    assert codes == {"GRAPHQL_VALIDATION_FAILED"}


def test_fields_that_are_repeated_too_often_are_refused_while_validating() -> None:
    (error,) = cache().get("{user(id:1){" + "id " * 500 + "}}").errors
    assert error["message"] == "The document repeats too many fields or fragments in one selection."
    assert error["extensions"] == {"code": "OPERATION_TOO_COMPLEX"}
    assert not cache().get("{user(id:1){" + "id " * 50 + "}}").errors


@pytest.mark.parametrize("name", DOCUMENTS)
def test_no_document_takes_long(name: str) -> None:
    best = 1.0
    for _ in range(5):
        documents = cache()
        started = time.thread_time()
        documents.get(DOCUMENTS[name])
        best = min(best, time.thread_time() - started)
    # 50 ms on a machine with nothing else to do; without the limits it is seconds.
    assert best < (0.05 if os.environ.get("USERLINE_TEST_LONG") == "1" else 0.5), f"{best * 1000:.0f} ms"


def test_every_field_of_a_root_that_asks_for_work_says_what_it_costs() -> None:
    """Without a row a field costs 1, and one operation may ask for it fifty times."""
    fields = set()
    for schema in (SCHEMA, make_subgraph()._schema):
        roots = (schema.query_type, schema.mutation_type, schema.subscription_type)
        fields |= {name for root in roots if root for name in root.fields}
    assert fields - set(cost._WEIGHTS) == {"app", "_service"}, "these alone ask for no user"
