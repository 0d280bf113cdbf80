"""Documents named by their hash."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.gateway import RunningGateway
from userline.execution.documents import DocumentCache
from userline.execution.request import GraphQLRequest, parse_request
from userline.execution.trusted import PersistedDocuments, TrustedDocuments, TrustedDocumentsError, hash_of
from userline.schema.sdl import make_schema
from userline.users.errors import BadUserInput, DocumentNotTrusted, PersistedQueryNotFound, PersistedQueryNotSupported

if TYPE_CHECKING:
    from pathlib import Path

APP = "{ app { id } }"
WATCH = 'subscription Watch { userChanged(id: "nobody") { name } }'
USER = "query User($id: ID!) { user(id: $id) { id } }"


def documents() -> DocumentCache:
    return DocumentCache(make_schema()._schema, capacity=10, max_characters=15_000, max_tokens=1000)


def apollo(text: str, *, whole: bool = False) -> dict[str, Any]:
    request: dict[str, Any] = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash_of(text)}}}
    return request | ({"query": text} if whole else {})


@pytest.mark.parametrize(
    "value",
    [apollo(APP), {"documentId": hash_of(APP)}, {"documentId": f"sha256:{hash_of(APP).upper()}", "query": None}],
)
def test_a_request_names_its_document(value: dict[str, Any]) -> None:
    assert parse_request(value) == GraphQLRequest("", None, None, hash_of(APP))


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ({"documentId": 5}, "documentId"),
        ({"documentId": "x"}, "documentId"),
        ({"query": APP, "documentId": "sha256:"}, "documentId"),
        ({"query": APP, "extensions": {"persistedQuery": 5}}, "extensions"),
        ({"query": APP, "extensions": {"persistedQuery": {"version": 2, "sha256Hash": hash_of(APP)}}}, "extensions"),
        ({"query": APP, "extensions": {"persistedQuery": {"version": 1}}}, "extensions"),
    ],
)
def test_bad_names(value: dict[str, Any], field: str) -> None:
    with pytest.raises(BadUserInput) as caught:
        parse_request(value)
    assert field in [problem.field for problem in caught.value.problems]


def test_a_document_is_known_once_it_was_sent_with_its_hash() -> None:
    texts = PersistedDocuments(1)
    with pytest.raises(PersistedQueryNotFound):
        texts.text_of(parse_request(apollo(APP)))
    request = parse_request(apollo(APP, whole=True))
    assert texts.text_of(request) == APP
    texts.keep(request)
    assert texts.text_of(parse_request(apollo(APP))) == APP
    texts.keep(parse_request(apollo(USER, whole=True)))
    assert len(texts) == 1
    with pytest.raises(PersistedQueryNotFound):
        texts.text_of(parse_request(apollo(APP)))


def test_a_hash_of_another_document_is_refused() -> None:
    with pytest.raises(BadUserInput, match="hash that does not match"):
        PersistedDocuments().text_of(parse_request(apollo(APP) | {"query": USER}))


def test_without_room_nothing_is_kept() -> None:
    texts = PersistedDocuments(0)
    texts.keep(parse_request(apollo(APP, whole=True)))
    assert texts.text_of(parse_request(apollo(APP, whole=True))) == APP
    with pytest.raises(PersistedQueryNotSupported):
        texts.text_of(parse_request(apollo(APP)))


def test_a_directory_of_trusted_documents(tmp_path: Path) -> None:
    (tmp_path / "app.graphql").write_text(f"{APP}\n")
    (tmp_path / "manifest.json").write_text(json.dumps({hash_of(USER): USER}))
    other = "{ app { defaultLocale } }"
    operations = [{"id": hash_of(other), "name": "A", "type": "query", "body": other}]
    manifest = {"format": "apollo-persisted-query-manifest", "version": 1, "operations": operations}
    (tmp_path / "apollo.json").write_text(json.dumps(manifest))
    (tmp_path / "README.md").write_text("no document")
    trusted = TrustedDocuments.of(tmp_path, documents())
    for text in (APP, f"{APP}\n", USER, other):
        assert trusted.text_of(parse_request({"query": text})) == text
        assert trusted.text_of(parse_request(apollo(text))) == text
    for bad in ({"query": "{ app { id id } }"}, apollo("{ app { id id } }"), {"query": ""}):
        with pytest.raises(DocumentNotTrusted):
            trusted.text_of(parse_request(bad))


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("bad.graphql", "{ nothing }", "bad.graphql: Cannot query field 'nothing'"),
        ("bad.graphql", "{", "bad.graphql: Syntax Error"),
        ("bad.json", "{", "bad.json is not JSON"),
        ("bad.json", "[]", "bad.json must be an object"),
        ("bad.json", json.dumps({"x": APP}), "bad.json: x is not the SHA-256 hash of its document."),
        ("none.txt", "", "has no .graphql file"),
    ],
)
def test_a_bad_directory(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(TrustedDocumentsError, match=complaint):
        TrustedDocuments.of(tmp_path, documents())


def test_no_directory(tmp_path: Path) -> None:
    with pytest.raises(TrustedDocumentsError, match="nowhere: No such file"):
        TrustedDocuments.of(tmp_path / "nowhere", documents())


def test_over_http(gateway: RunningGateway) -> None:
    text = "query Persisted { app { id } }"
    unknown = gateway.http.post("/graphql", json=apollo(text)).json()
    assert unknown["errors"] == [
        {"message": "PersistedQueryNotFound", "extensions": {"code": "PERSISTED_QUERY_NOT_FOUND"}}
    ]
    assert gateway.http.post("/graphql", json=apollo(text, whole=True)).json()["data"]
    assert gateway.http.post("/graphql", json=apollo(text)).json() == {"data": {"app": {"id": "userline"}}}
    parameters = {"extensions": json.dumps(apollo(text)["extensions"])}
    assert gateway.http.get("/graphql", params=parameters).json() == {"data": {"app": {"id": "userline"}}}


def test_a_gateway_of_trusted_documents(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    (folder / "app.graphql").write_text(APP)
    (folder / "watch.graphql").write_text(WATCH)
    gateway = RunningGateway(tmp_path, "--trusted-documents", str(folder))
    try:
        assert gateway.http.post("/graphql", json={"documentId": hash_of(APP)}).json()["data"]
        (error,) = gateway.execute("{ app { defaultLocale } }")["errors"]
        assert error["extensions"] == {"code": "DOCUMENT_NOT_TRUSTED"}
        assert first_event(gateway, {"documentId": hash_of(WATCH)}) == {"data": {"userChanged": None}}
        (error,) = first_event(gateway, {"query": WATCH.replace("name", "locale")})["errors"]
        assert error["extensions"] == {"code": "DOCUMENT_NOT_TRUSTED"}
    finally:
        assert gateway.stop() == 0
    (folder / "bad.graphql").write_text("{ nothing }")
    with pytest.raises(AssertionError, match=r"Error: .*bad.graphql: Cannot query field 'nothing'"):
        RunningGateway(tmp_path, "--trusted-documents", str(folder))


def first_event(gateway: RunningGateway, request: dict[str, Any]) -> Any:
    """Return what a stream begins with, or why there is none."""
    headers = {"Accept": "text/event-stream"}
    with gateway.http.stream("POST", "/graphql", json=request, headers=headers) as response:
        for line in response.iter_lines():
            if line.startswith("data: {"):
                return json.loads(line.removeprefix("data: "))
    raise AssertionError(response)
