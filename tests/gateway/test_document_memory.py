"""However many different documents are sent, the process stays as large as the bounds of its caches say."""

from __future__ import annotations

import hashlib
import os
import random
from typing import TYPE_CHECKING, Final

import pytest
from tests.support.documents import KINDS, document
from tests.support.gateway import RunningGateway
from tests.support.vitals import Vitals

from userline.execution.request import GraphQLRequest
from userline.gateway.answering.known import Known
from userline.gateway.runtime import Runtime
from userline.settings.settings import load_settings
from userline.users.viewer import OPEN_VIEWER

if TYPE_CHECKING:
    from pathlib import Path

LONG = os.environ.get("USERLINE_TEST_LONG") == "1"
DOCUMENTS: Final = 10_000 if LONG else 400
MOST_KB: Final = 64 * 1024


@pytest.mark.parametrize("flags", [(), ("--no-fast-lane", "--no-plans")], ids=["as it comes", "plain"])
def test_different_documents_of_every_size(tmp_path: Path, flags: tuple[str, ...]) -> None:
    chance = random.Random(4)
    gateway = RunningGateway(tmp_path, "--no-access-log", *flags)
    try:
        for number, kind in enumerate(KINDS):  # what is made once is made
            gateway.http.post("/graphql", json={"query": kind(-number, 0.3)})
        before = Vitals.of(gateway).memory
        for number in range(DOCUMENTS):
            text = document(number, chance)
            digest = hashlib.sha256(text.encode()).hexdigest()
            asked = {
                "query": text,
                "operationName": f"Q{number}x0" if f"Q{number}x0" in text else None,
                "extensions": {"persistedQuery": {"version": 1, "sha256Hash": digest}} if number % 2 else None,
            }
            for _ in range(2):  # the second time it may be remembered by its body
                assert gateway.http.post("/graphql", json=asked).status_code == 200
        grown = Vitals.of(gateway).memory - before
        assert gateway.metric("userline_document_cache_bytes") <= 32 << 20
        print(f"{grown / 1024:.1f} MiB more after {DOCUMENTS} documents")
        assert grown < MOST_KB
    finally:
        assert gateway.stop() == 0


async def test_what_is_remembered_of_a_document_goes_with_it(tmp_path: Path) -> None:
    flags = {"store_url": f"sqlite:///{tmp_path}/users.db", "access_log": False, "document_cache": 2}
    runtime = Runtime(load_settings(flags))
    context = runtime.answering.context("id", OPEN_VIEWER)
    bodies = runtime.answering._bodies
    for number in range(5):
        text = f"query Q{number}($id: ID!) {{ user(id: $id) {{ id }} }}"
        runtime.engine.prepare(GraphQLRequest(text, None, {"id": "a"}), context)
        for other in range(3):
            body = b'{"query":"%b","variables":{"id":"u%d"}}' % (text.encode(), other)
            assert isinstance(bodies.read(body), Known)
        assert len(bodies._queries) == 3 * min(number + 1, 2)
        assert len(bodies._bodies) == min(number + 1, 2)
    for body in list(bodies._queries):
        bodies._queries.drop(body)
    assert not bodies._bodies
    assert bodies._queries.weight == 0
