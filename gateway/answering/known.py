"""Caches bodies of requests: equal bodies are parsed once, and kept with the operation that they ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from graphql import OperationType

from userline.execution.json_values import JSONRefused, decode
from userline.execution.request import parse_request
from userline.execution.weighed import WeighedCache, weight_of
from userline.gateway.body import unread
from userline.users.errors import BadUserInput

if TYPE_CHECKING:
    from userline.execution.engine import Engine
    from userline.execution.plans.plan import Bound
    from userline.execution.request import GraphQLRequest
    from userline.telemetry.metrics.histogram import Histogram
    from userline.telemetry.metrics.recorder import Metrics

_QUERY_BYTES: Final = 4096
"""How large the body of a query may be that is remembered by it: lists of some hundred ids are such."""

_QUERIES_BYTES: Final = 8_388_608
"""How much memory all those bodies and what is made of them may take, at most."""

_QUERIES: Final = 2048
_KNOWN_BYTES: Final = 600
"""What is made of a body takes so much beside its arguments."""


class Known:
    """An operation with its arguments that is requested repeatedly."""

    __slots__ = ("bound", "is_forgotten", "name", "seconds", "text", "work")

    def __init__(self, bound: Bound, name: str | None, seconds: Histogram | None, text: str) -> None:
        self.bound = bound
        self.name = name
        self.seconds = seconds
        """How long a query took, each time that it had no errors."""
        self.text = text
        """The text of its document."""
        self.work = bound.steps.work
        """How much it takes of a turn, as ``Pacer.little`` counts."""
        self.is_forgotten = False
        """Whether it is to be found out anew. Then there is nothing else of it any more."""

    def forget(self) -> None:
        """Keep nothing of the document alive, whoever keeps this."""
        self.is_forgotten = True
        del self.bound, self.name, self.text


class ReadBody(NamedTuple):
    """The contents of a body: a request, a batch, or the reason why it is neither."""

    value: Any = None
    request: GraphQLRequest | None = None
    refusal: str | None = None
    """What makes a BodyRefused. The exception itself would hold the frames that it went through."""

    def value_or_refusal(self) -> Any:
        """Return the value. Raises BodyRefused."""
        if self.refusal is not None:
            raise unread(self.refusal)
        return self.value


class KnownBodies:
    """The cache of bodies. For one event loop."""

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics
        self._queries: WeighedCache[bytes, Known] = WeighedCache(
            _QUERIES_BYTES, most=_QUERIES, on_drop=self._forget_body
        )
        self._bodies: dict[str, set[bytes]] = {}
        """Those of the queries that are remembered, by the text of their document."""
        engine.documents.on_forget = self._forget_document
        self.get = self._queries.get
        """Returns what a body is remembered to ask for, or None: the cache's own method, as every request calls it."""

    def read(self, body: bytes) -> Known | ReadBody:
        """Return the operation that a body asks for, if it was prepared before and has a plan, or what it says."""
        try:
            value = decode(body)
        except JSONRefused as refused:
            return ReadBody(refusal=str(refused))
        try:
            request = parse_request(value)
        except BadUserInput:
            return ReadBody(value)
        operation = self._engine.documents.bind(request, self._engine.texts.text_of)
        if operation is None:
            return ReadBody(value, request)
        bound, name, text = operation
        if bound.steps.type is not OperationType.QUERY:
            return Known(bound, name, None, text)
        known = Known(bound, name, self._metrics.time_of(name), text)
        if len(body) <= _QUERY_BYTES:
            self._queries.put(body, known, _KNOWN_BYTES + len(body) + weight_of(bound.arguments))
            if body in self._queries:
                self._bodies.setdefault(text, set()).add(body)
        return known

    def _forget_body(self, body: bytes, known: Known) -> None:
        bodies = self._bodies.get(known.text)
        if bodies is not None:
            bodies.discard(body)
            if not bodies:
                del self._bodies[known.text]
        known.forget()

    def _forget_document(self, text: str) -> None:
        """Forget the queries of a document that is forgotten: they would keep what it weighs."""
        for body in self._bodies.pop(text, ()):
            self._queries.drop(body)
