"""The document cache."""

from __future__ import annotations

from userline.execution.documents import DocumentCache
from userline.schema.sdl import make_schema


def cache(capacity: int = 10, characters: int = 15_000, tokens: int = 1000) -> DocumentCache:
    return DocumentCache(make_schema()._schema, capacity=capacity, max_characters=characters, max_tokens=tokens)


def test_a_document_is_read_once() -> None:
    documents = cache()
    first = documents.get("{ app { id } }")
    assert first.ast is not None
    assert documents.get("{ app { id } }") is first
    assert (documents.hits, documents.misses) == (1, 1)


def test_a_bad_document_is_read_once_too() -> None:
    documents = cache()
    assert documents.get("{ nothing }").errors[0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
    assert documents.get("{").errors[0]["extensions"]["code"] == "GRAPHQL_PARSE_FAILED"
    documents.get("{")
    assert (documents.hits, documents.misses) == (1, 2)


def test_the_longest_unused_document_goes_first() -> None:
    documents = cache(capacity=2)
    kept = documents.get("{ a: app { id } }")
    documents.get("{ b: app { id } }")
    documents.get("{ a: app { id } }")
    documents.get("{ c: app { id } }")
    assert len(documents) == 2
    assert documents.get("{ a: app { id } }") is kept


def test_documents_past_a_limit_are_refused_with_the_limit() -> None:
    long = cache(characters=20).get("{ app { id } }        ")
    assert long.errors == [
        {
            "message": "The document has 22 characters; the limit is 20.",
            "extensions": {"code": "OPERATION_TOO_COMPLEX"},
        }
    ]
    many = cache(tokens=5).get("{ app { id } }")
    assert many.errors == [
        {
            "message": "The document has more than 5 tokens, which is the limit.",
            "extensions": {"code": "OPERATION_TOO_COMPLEX"},
        }
    ]


def test_operations_are_found_by_name() -> None:
    document = cache().get("query A { app { id } } query B { app { id } }")
    assert set(document.operations) == {"A", "B"}
