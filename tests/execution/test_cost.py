"""What operations may cost."""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from graphql import get_introspection_query, parse

from tests.support.attacks import DOCUMENTS, INTROSPECTION, fragment_dag
from userline.execution.cost import OperationLimits, find_refusals
from userline.execution.documents import DocumentCache
from userline.schema.sdl import make_schema

LIMITS = OperationLimits()
SCHEMA = make_schema()._schema
EXAMPLES = Path(__file__).parents[2] / "gateway" / "graphiql" / "web" / "src" / "examples.graphql"


def refusal(text: str, limits: OperationLimits = LIMITS) -> str | None:
    refusals, _ = find_refusals(parse(text), limits)
    return next(iter(refusals.values()), None)


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
            "subscription{" + "usersChanged(ids:[]){id name}" * 9 + "}",
            "subscription{" + "usersChanged(ids:[]){id name}" * 10 + "}",
            "The operation costs 1020; the limit is 1000.",
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
    started = time.perf_counter()
    message = refusal(text)
    assert time.perf_counter() - started < 1
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
        started = time.perf_counter()
        documents.get(DOCUMENTS[name])
        best = min(best, time.perf_counter() - started)
    # 50 ms on a machine with nothing else to do; without the limits it is seconds.
    assert best < (0.05 if os.environ.get("USERLINE_TEST_LONG") == "1" else 0.5), f"{best * 1000:.0f} ms"
