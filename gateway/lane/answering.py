"""Answers requests whose head is understood and whose operation has a plan: the rules, whatever brings the requests."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from graphql import OperationType

from userline.directory.pacer import EXECUTING_SECONDS
from userline.execution.json_values import JSONDecodeError, decode
from userline.execution.operation import AnswerTooLarge, out_of_time
from userline.execution.request import parse_request
from userline.execution.weighed import WeighedCache, weight_of
from userline.gateway.body import has_too_many_containers
from userline.gateway.browsers import BrowserRules
from userline.gateway.lane.heads import Heads
from userline.gateway.lane.lookups import Lookup, Waiting
from userline.gateway.middleware import Asked, log_access
from userline.gateway.rate_limit import key_of, source_of
from userline.gateway.request_ids import new_request_id
from userline.telemetry.metrics.recorder import UNNAMED, code_of
from userline.users.errors import BadUserInput
from userline.users.viewer import OPEN_VIEWER

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import Scope

    from userline.directory.fair_queue import Source
    from userline.execution.operation import Response
    from userline.execution.plans.plan import Bound
    from userline.gateway.lane.heads import Head
    from userline.gateway.runtime import Runtime
    from userline.telemetry.metrics.histogram import Histogram
    from userline.users.viewer import Viewer

_QUERY_BYTES: Final = 4096
"""How large the body of a query may be that is remembered by it: lists of some hundred ids are such."""

_QUERIES_BYTES: Final = 8_388_608
"""How much memory all those bodies and what is made of them may take, at most."""

_QUERIES: Final = 2048
_KNOWN_BYTES: Final = 600
"""What is made of a body takes so much beside its arguments."""


class Taken(NamedTuple):
    """A request that is answered, or being answered."""

    request_id: str
    response: Response | Lookup | Awaitable[Response]


class Known(NamedTuple):
    """An operation that was asked for, and is asked for again and again."""

    bound: Bound
    name: str | None
    seconds: Histogram
    """How long it took, each time that it had no errors."""
    text: str
    """The text of its document."""


class _Asking(NamedTuple):
    """A request that waits for its answer. ``started`` is a time of ``time.perf_counter``."""

    known: Known
    request_id: str
    viewer: Viewer
    started: float


class Answering:
    """Answers requests of one gateway. For one event loop."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.heads = Heads(runtime.settings, BrowserRules(runtime.settings))
        self._engine = runtime.engine
        self._users = runtime.users
        self._pacer = runtime.engine.pacer
        self._time_limit = runtime.engine.time_limit
        self._limiter = runtime.rate_limiter
        self._metrics = runtime.metrics
        self._access_log = runtime.settings.access_log and runtime.settings.log_level in ("debug", "info")
        self._waiting = Waiting(runtime.engine.time_limit)
        self._queries: WeighedCache[bytes, Known] = WeighedCache(
            _QUERIES_BYTES, most=_QUERIES, on_drop=self._forget_body
        )
        self._bodies: dict[str, set[bytes]] = {}
        """Those of the queries that are remembered, by the text of their document."""
        runtime.engine.documents.on_forget = self._forget_document
        self._is_open = runtime.authenticator.is_open

    def viewer(self, head: Head) -> Viewer | None:
        """Return who asks, or None if that is still to be found out."""
        if self._is_open:
            return OPEN_VIEWER
        return self._runtime.authenticator.known(head.token_digest) if head.token_digest else None

    def take(self, head: Head, viewer: Viewer, body: bytes, scope: Scope) -> Taken | None:
        """Answer a request, or begin to; return None to leave it alone. It is counted and logged when it is answered.

        ``scope`` needs no more than the address of the client.
        """
        known = self._queries.get(body) or self._bind(body)
        if known is None or self._limiter.take(key_of(viewer, scope)):
            return None
        started = time.perf_counter()
        request_id = head.request_id or new_request_id()
        if not self._pacer.has_time_for_little(EXECUTING_SECONDS):
            asking = _Asking(known, request_id, viewer, started)
            return Taken(request_id, self._answer_later(asking, source_of(viewer, scope)))
        bound = known.bound
        try:
            begun = bound.steps.begin(bound.arguments, self._users)  # not by ``bound.begin``: a call less
        except AnswerTooLarge as refusal:
            return Taken(request_id, self._refuse(_Asking(known, request_id, viewer, started), refusal))
        if not isinstance(begun, bytes):
            return Taken(request_id, self._wait(_Asking(known, request_id, viewer, started), begun))
        seconds = time.perf_counter() - started
        known.seconds.add(seconds)
        if self._access_log:
            self._log(known, request_id, viewer, seconds)
        return Taken(request_id, begun)

    def _wait(self, asking: _Asking, begun: Any) -> Lookup | Awaitable[Response]:
        """Return what a request waits for that has begun and could not be answered."""
        read = asking.known.bound.look_up(self._users)
        if read is None:
            return self._finish(asking, begun)
        return Lookup(read, asking.request_id, self._waiting, partial(self._note, asking))

    async def _answer_later(self, asking: _Asking, source: Source) -> Response:
        """Answer when it is its turn. What it waits is of the time that it may take."""
        try:
            async with asyncio.timeout(self._time_limit):
                await self._pacer.turn(EXECUTING_SECONDS, source)
                return await self._begin_late(asking)
        except TimeoutError:
            response = out_of_time(self._time_limit)
            self._note(asking, response, False)
            return response

    async def _begin_late(self, asking: _Asking) -> Response:
        try:
            begun = asking.known.bound.begin(self._users)
        except AnswerTooLarge as refusal:
            return self._refuse(asking, refusal)
        if not isinstance(begun, bytes):
            return await self._wait(asking, begun)
        self._note(asking, begun, True)
        return begun

    def _refuse(self, asking: _Asking, refusal: AnswerTooLarge) -> Response:
        response = refusal.response
        self._note(asking, response, False)
        return response

    async def _finish(self, asking: _Asking, begun: Any) -> Response:
        context = self._runtime.context(asking.request_id, asking.viewer)
        response = await asking.known.bound.finish(begun, context, self._time_limit)
        self._note(asking, response, False)
        return response

    def _note(self, asking: _Asking, response: Response, is_good: bool) -> None:
        """Count and log a response, which has no errors for sure if ``is_good``."""
        known, request_id, viewer, started = asking
        seconds = time.perf_counter() - started
        if is_good:
            known.seconds.add(seconds)
        else:
            self._metrics.request(known.name, code_of(response), seconds)
        if self._access_log:
            self._log(known, request_id, viewer, seconds)

    def _log(self, known: Known, request_id: str, viewer: Viewer, seconds: float) -> None:
        asked = Asked(request_id, viewer, (known.name or UNNAMED,))
        log_access("POST", "/graphql", 200, seconds, asked)

    def _bind(self, body: bytes) -> Known | None:
        """Return the operation that a body asks for, if it was prepared before and has a plan."""
        if has_too_many_containers(body):
            return None
        try:
            request = parse_request(decode(body))
            operation = self._engine.bind_known(request)
        except (JSONDecodeError, BadUserInput):
            return None
        if operation is None:
            return None
        bound, text = operation
        name = self._engine.name_of(request)
        known = Known(bound, name, self._metrics.time_of(name), text)
        if bound.type is OperationType.QUERY and len(body) <= _QUERY_BYTES:
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

    def _forget_document(self, text: str) -> None:
        """Forget the queries of a document that is forgotten: they would keep what it weighs."""
        for body in self._bodies.pop(text, ()):
            self._queries.drop(body)
