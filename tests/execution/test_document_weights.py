"""What documents weigh is what they take, and what is kept of them has a bound."""

from __future__ import annotations

import gc
import itertools
import random
import tracemalloc
from typing import TYPE_CHECKING

import pytest

from tests.support.documents import KINDS, document
from userline.execution.engine import Engine
from userline.execution.operation import RequestRefused
from userline.execution.request import GraphQLRequest
from userline.resolvers.context import AppInfo
from userline.schema.served import served_schema

if TYPE_CHECKING:
    from collections.abc import Callable

    from userline.resolvers.context import Context

NO_CONTEXT: Context = None  # type: ignore[assignment]  # nothing is executed


def engine_of(capacity_bytes: int, persisted: int = 1000) -> Engine:
    return Engine(
        served_schema(),
        AppInfo("userline", "en", {"default": {}}),
        document_cache=100_000,
        document_cache_bytes=capacity_bytes,
        persisted_documents=persisted,
    )


def prepare(engine: Engine, text: str) -> None:
    """Have the document read, and as much compiled of it as can be."""
    known = engine.documents.get(text)
    for name in known.operations or [None]:
        for values in itertools.product([True, False], repeat=4 if "$v3: Boolean" in text else 0):
            variables = {f"v{number}": value for number, value in enumerate(values)}
            try:
                engine.prepare(GraphQLRequest(text, name, variables), NO_CONTEXT)
            except RequestRefused:
                break


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_document_takes_no_more_than_it_weighs(kind: Callable[[int, float], str]) -> None:
    engine = engine_of(1 << 40)
    chance = random.Random(1)
    prepare(engine, kind(10_000, 0.5))  # what is made once is made
    texts = [document(number, chance, kind) for number in range(8)]
    gc.collect()
    tracemalloc.start()
    try:
        before, weight = tracemalloc.get_traced_memory()[0], engine.documents.weight
        for text in texts:
            prepare(engine, text)
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert engine.documents.weight - weight >= taken
    assert len(engine.documents) == 9


def test_the_cache_of_documents_is_bounded_in_bytes() -> None:
    most = 2 << 20
    engine = engine_of(most)
    chance = random.Random(2)
    forgotten: list[str] = []
    engine.documents.on_forget = forgotten.append
    for number in range(100):
        prepare(engine, document(number, chance))
        assert engine.documents.weight <= most
    assert len(engine.documents) + len(forgotten) == 100
    assert engine.documents.weight > most / 2


def test_a_document_in_use_stays() -> None:
    engine = engine_of(2 << 20)
    chance = random.Random(3)
    mine = 'query Mine { user(id: "u") { id } }'
    prepare(engine, mine)
    misses = engine.documents.misses
    for number in range(50):
        prepare(engine, document(number, chance))
        prepare(engine, mine)
    assert engine.documents.misses == misses + 50


def test_persisted_documents_are_bounded_in_bytes() -> None:
    from userline.execution import trusted  # noqa: PLC0415

    texts = trusted.PersistedDocuments(100_000)
    for number in range(1000):
        text = f"{number}" + "😀" * 14_000
        texts.keep(GraphQLRequest(text, document_hash=trusted.hash_of(text)))
    assert 0 < len(texts) * 56_000 <= trusted._BYTES
