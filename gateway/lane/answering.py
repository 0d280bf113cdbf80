"""Answers requests whose head is understood and whose operation has a plan: the rules, whatever brings the requests."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson
from graphql import OperationType

from userline.execution.request import parse_request
from userline.gateway.browsers import BrowserRules
from userline.gateway.lane.heads import Heads
from userline.gateway.metrics.recorder import UNNAMED, code_of
from userline.gateway.middleware import Asked, log_access
from userline.gateway.rate_limit import key_of
from userline.gateway.request_ids import new_request_id
from userline.resolvers.pacer import EXECUTING_SECONDS
from userline.users.errors import BadUserInput
from userline.users.viewer import OPEN_VIEWER

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from starlette.types import Scope

    from userline.execution.operation import Response
    from userline.execution.plans.plan import Bound
    from userline.gateway.lane.heads import Head
    from userline.gateway.runtime import Runtime
    from userline.resolvers.context import Context
    from userline.users.viewer import Viewer

_QUERIES: Final = 2048
"""How many queries are remembered by the bytes of their bodies, and how large those may be."""
_QUERY_BYTES: Final = 1024


class Taken(NamedTuple):
    """A request that is being answered."""

    head: Head
    started: float
    context: Context
    operation: str | None
    response: Response | Awaitable[Response]


class Answering:
    """Answers requests of one gateway. For one event loop."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self.heads = Heads(runtime.settings, BrowserRules(runtime.settings))
        self._engine = runtime.engine
        self._pacer = runtime.engine.pacer
        self._time_limit = runtime.engine.time_limit
        self._limiter = runtime.rate_limiter
        self._metrics = runtime.metrics
        self._access_log = runtime.settings.access_log and runtime.settings.log_level in ("debug", "info")
        self._queries: OrderedDict[bytes, tuple[Bound, str | None]] = OrderedDict()
        self._is_open = runtime.authenticator.is_open

    def viewer(self, head: Head) -> Viewer | None:
        """Return who asks, or None if that is still to be found out."""
        if self._is_open:
            return OPEN_VIEWER
        return self._runtime.authenticator.known(head.token_digest) if head.token_digest else None

    def take(self, head: Head, viewer: Viewer, body: bytes, scope: Scope) -> Taken | None:
        """Begin to answer a request, or return None to leave it alone."""
        known = self._bind(body)
        if known is None or self._limiter.take(key_of(viewer, scope)):
            return None
        bound, name = known
        started = time.perf_counter()
        context = self._runtime.context(head.request_id or new_request_id(), viewer)
        if self._pacer.has_time_for_little(EXECUTING_SECONDS):
            return Taken(head, started, context, name, bound.execute(context, self._time_limit))
        return Taken(head, started, context, name, self._execute_later(bound, context))

    def finish(self, taken: Taken, response: Response) -> None:
        """Count and log a request whose answer is there."""
        seconds = time.perf_counter() - taken.started
        self._metrics.request(taken.operation, code_of(response), seconds)
        self._metrics.http("POST", 200)
        if self._access_log:
            context = taken.context
            asked = Asked(context.request_id, context.viewer, (taken.operation or UNNAMED,))
            log_access("POST", "/graphql", 200, seconds, asked)

    def _bind(self, body: bytes) -> tuple[Bound, str | None] | None:
        """Return the operation that a body asks for, and its name, if it was prepared before and has a plan."""
        known = self._queries.get(body)
        if known is not None:
            return known
        try:
            request = parse_request(orjson.loads(body))
            bound = self._engine.bind_known(request)
        except (orjson.JSONDecodeError, BadUserInput):
            return None
        if bound is None:
            return None
        known = bound, self._engine.name_of(request)
        if bound.type is OperationType.QUERY and len(body) <= _QUERY_BYTES:
            self._queries[body] = known
            if len(self._queries) > _QUERIES:
                self._queries.popitem(last=False)
        return known

    async def _execute_later(self, bound: Bound, context: Context) -> Response:
        await self._pacer.turn(EXECUTING_SECONDS)
        response = bound.execute(context, self._time_limit)
        return response if isinstance(response, bytes) else await response
