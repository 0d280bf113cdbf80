"""Documents that clients name by their hash: those the operator trusts, or those that were sent before.

Sources: https://www.apollographql.com/docs/apollo-server/performance/apq, and for ``documentId`` the appendix on
persisted documents of https://graphql.github.io/graphql-over-http/draft/
"""

from __future__ import annotations

import hashlib
import sys
from typing import TYPE_CHECKING, Final, Protocol

import orjson

from userline.execution.weighed import WeighedCache
from userline.users.errors import (
    BadUserInput,
    DocumentNotTrusted,
    PersistedQueryNotFound,
    PersistedQueryNotSupported,
    Problem,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from userline.execution.documents import DocumentCache
    from userline.execution.request import GraphQLRequest


_BYTES: Final = 8_388_608
"""How much memory the texts may take that are kept by their hash, at most."""

_HASH_BYTES: Final = 120


class TrustedDocumentsError(Exception):
    """The trusted documents cannot be served. The text says which file is wrong, and how."""


class DocumentTexts(Protocol):
    """Finds the text of the document that a request asks for."""

    def text_of(self, request: GraphQLRequest) -> str:
        """Return the text. Raises a UserlineError."""

    def keep(self, request: GraphQLRequest) -> None:
        """Take note that the document of the request is a good one."""


class PersistedDocuments:
    """Any document, and by its hash one that was sent with that hash before: automatic persisted queries.

    The ``capacity`` most recently used are kept, and 8 MiB at most; with 0, documents cannot be named by their hash.
    """

    def __init__(self, capacity: int = 1000) -> None:
        self._capacity = capacity
        self._texts: WeighedCache[str, str] = WeighedCache(_BYTES, most=capacity)

    def __len__(self) -> int:
        return len(self._texts)

    def text_of(self, request: GraphQLRequest) -> str:
        """Return the text that was sent, now or before."""
        wanted = request.document_hash
        if wanted is None:
            return request.query
        if not self._capacity:
            if request.query:
                return request.query
            raise PersistedQueryNotSupported
        if request.query:
            if self._texts.get(wanted) != request.query and hash_of(request.query) != wanted:
                raise BadUserInput(
                    [Problem("extensions", "extensions has a SHA-256 hash that does not match the document.")]
                )
            return request.query
        text = self._texts.get(wanted)
        if text is None:
            raise PersistedQueryNotFound
        self._texts.touch(wanted)
        return text

    def keep(self, request: GraphQLRequest) -> None:
        """Keep a document that came with its hash."""
        if request.document_hash is None or not request.query or not self._capacity:
            return
        self._texts.put(request.document_hash, request.query, sys.getsizeof(request.query) + _HASH_BYTES)


class TrustedDocuments:
    """The documents of a directory, and no others."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._texts = texts
        self._known = frozenset(texts.values())

    def __len__(self) -> int:
        return len(self._known)

    @classmethod
    def of(cls, directory: Path, documents: DocumentCache) -> TrustedDocuments:
        """Read the directory, where every document must be one that can be executed. Raises TrustedDocumentsError."""
        texts: dict[str, str] = {}
        try:
            files = sorted(path for path in directory.iterdir() if path.suffix in (".graphql", ".json"))
            for path in files:
                for place, text in _documents_in(path):
                    errors = documents.get(text).errors
                    refusals = list(documents.get(text).refusals.values())
                    if errors or refusals:
                        raise TrustedDocumentsError(f"{place}: {errors[0]['message'] if errors else refusals[0]}")
                    texts[hash_of(text)] = text
        except OSError as error:
            raise TrustedDocumentsError(f"{error.filename or directory}: {error.strerror}.") from None
        if not texts:
            raise TrustedDocumentsError(f"{directory} has no .graphql file and no .json manifest with documents.")
        return cls(texts)

    def text_of(self, request: GraphQLRequest) -> str:
        """Return the text of a trusted document, named by its hash or sent whole."""
        if request.query:
            if request.query in self._known:
                return request.query
        else:
            text = self._texts.get(request.document_hash or "")
            if text is not None:
                return text
        raise DocumentNotTrusted

    def keep(self, request: GraphQLRequest) -> None:
        """Nothing is learned from clients."""


def hash_of(text: str) -> str:
    """Return the name of a document: the SHA-256 hash of its UTF-8 text, in hexadecimal digits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _documents_in(path: Path) -> Iterator[tuple[str, str]]:
    """Yield the documents of a file with their places.

    A ``.graphql`` file is one document, which clients may send with or without the space around it. A ``.json`` file is
    an object of documents by their hash, or Apollo's manifest.
    """
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError:
        raise TrustedDocumentsError(f"{path} is not UTF-8.") from None
    if path.suffix == ".graphql":
        yield str(path), text
        yield str(path), text.strip()
        return
    try:
        manifest = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise TrustedDocumentsError(f"{path} is not JSON: {error}.") from None
    if isinstance(manifest, dict) and isinstance(manifest.get("operations"), list):
        operations = [item for item in manifest["operations"] if isinstance(item, dict)]
        manifest = {str(item.get("id")): item.get("body") for item in operations}
    if not isinstance(manifest, dict):
        raise TrustedDocumentsError(f"{path} must be an object of documents by their SHA-256 hash.")
    for name, document in manifest.items():
        if not isinstance(document, str) or hash_of(document) != name.removeprefix("sha256:").lower():
            raise TrustedDocumentsError(f"{path}: {name[:80]} is not the SHA-256 hash of its document.")
        yield f"{path}, {name[:12]}", document
