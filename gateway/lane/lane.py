"""Answers requests whose head is understood and whose operation has a plan; everything else is left alone."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson
from graphql import OperationType

from userline.execution.request import parse_request
from userline.gateway.browsers import BrowserRules
from userline.gateway.lane.heads import REQUEST_LINE, Heads
from userline.gateway.metrics.recorder import UNNAMED, code_of
from userline.gateway.middleware import Asked, log_access
from userline.gateway.rate_limit import key_of
from userline.gateway.request_ids import new_request_id
from userline.resolvers.pacer import EXECUTING_SECONDS
from userline.users.errors import BadUserInput
from userline.users.viewer import OPEN_VIEWER

if TYPE_CHECKING:
    from collections.abc import Awaitable

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
    """A request that the lane answers."""

    end: int
    """Where it ends in what has been read."""
    head: Head
    started: float
    context: Context
    operation: str | None
    response: Response | Awaitable[Response]


class Lane:
    """Takes requests of one gateway. For one event loop."""

    def __init__(self, runtime: Runtime, rules: BrowserRules) -> None:
        self._runtime = runtime
        self._heads = Heads(runtime.settings, rules)
        self._engine = runtime.engine
        self._pacer = runtime.engine.pacer
        self._time_limit = runtime.engine.time_limit
        self._limiter = runtime.rate_limiter
        self._metrics = runtime.metrics
        self._access_log = runtime.settings.access_log and runtime.settings.log_level in ("debug", "info")
        self._queries: OrderedDict[bytes, tuple[Bound, str | None]] = OrderedDict()
        self._is_open = runtime.authenticator.is_open
        self._default_headers: list[tuple[bytes, bytes]] | None = None
        self._start = b""

    @classmethod
    def of(cls, runtime: Runtime) -> Lane | None:
        """Return the lane of a gateway, or None if it is to have none."""
        settings = runtime.settings
        if not settings.fast_lane or not settings.plans:
            return None
        if runtime.tracer is not None:
            return None  # spans are made where the application is
        if settings.is_open and settings.trusted_proxies is not None:
            return None  # rate limits go by the address that the proxy tells, which the lane does not read
        return cls(runtime, BrowserRules(settings))

    def take(self, data: bytes, start: int, client: tuple[str, int] | None) -> Taken | None:
        """Begin to answer the request at ``start``, or return None to leave it alone.

        It is left alone if any of it is still to come.
        """
        if not data.startswith(REQUEST_LINE, start):
            return None
        body_start = data.find(b"\r\n\r\n", start) + 4
        head = self._heads.get(data[start:body_start]) if body_start > start else None
        end = body_start + head.body_bytes if head else 0
        if head is None or len(data) < end:
            return None
        viewer = self._viewer(head)
        if viewer is None:
            return None
        known = self._bind(data[body_start:end])
        if known is None or self._limiter.take(key_of(viewer, {"client": client})):
            return None
        bound, name = known
        self._runtime.lane_requests += 1
        started = time.perf_counter()
        context = self._runtime.context(head.request_id or new_request_id(), viewer)
        if self._pacer.has_time_for_little(EXECUTING_SECONDS):
            return Taken(end, head, started, context, name, bound.execute(context, self._time_limit))
        return Taken(end, head, started, context, name, self._execute_later(bound, context))

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

    def finish(self, taken: Taken, response: Response, default_headers: list[tuple[bytes, bytes]]) -> bytes:
        """Return the whole answer as it is sent; count and log the request."""
        seconds = time.perf_counter() - taken.started
        self._metrics.request(taken.operation, code_of(response), seconds)
        self._metrics.http("POST", 200)
        if self._access_log:
            context = taken.context
            asked = Asked(context.request_id, context.viewer, (taken.operation or UNNAMED,))
            log_access("POST", "/graphql", 200, seconds, asked)
        if default_headers is not self._default_headers:
            self._default_headers = default_headers
            lines = [b"HTTP/1.1 200 OK\r\n", *(b"%b: %b\r\n" % header for header in default_headers)]
            self._start = b"".join(lines)
        return b"%b%bx-request-id: %b\r\ncontent-length: %d\r\n\r\n%b" % (
            self._start,
            taken.head.headers,
            taken.context.request_id.encode(),
            len(response),
            response,
        )

    def _viewer(self, head: Head) -> Viewer | None:
        if self._is_open:
            return OPEN_VIEWER
        return self._runtime.authenticator.known(head.token_digest) if head.token_digest else None
