"""Answers requests whose head is understood and whose operation has a plan; everything else is left alone."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

import orjson
import structlog
from graphql import OperationType

from userline.execution.pacer import EXECUTING_SECONDS
from userline.execution.request import parse_request
from userline.gateway.browsers import BrowserRules
from userline.gateway.lane.heads import REQUEST_LINE, Heads
from userline.gateway.middleware import log_access
from userline.gateway.rate_limit import key_of
from userline.gateway.request_ids import new_request_id
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
        self._access_log = runtime.settings.access_log
        self._queries: OrderedDict[bytes, Bound] = OrderedDict()
        self._is_open = runtime.authenticator.is_open
        self._default_headers: list[tuple[bytes, bytes]] | None = None
        self._start = b""

    @classmethod
    def of(cls, runtime: Runtime) -> Lane | None:
        """Return the lane of a gateway, or None if it is to have none."""
        settings = runtime.settings
        if not settings.fast_lane or not settings.plans:
            return None
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
        bound = self._bind(data[body_start:end])
        if bound is None or self._limiter.take(key_of(viewer, {"client": client})):
            return None
        self._runtime.lane_requests += 1
        started = time.perf_counter()
        context = self._runtime.context(head.request_id or new_request_id(), viewer)
        if self._pacer.has_time(EXECUTING_SECONDS):
            return Taken(end, head, started, context, bound.execute(context, self._time_limit))
        return Taken(end, head, started, context, self._execute_later(bound, context))

    def _bind(self, body: bytes) -> Bound | None:
        """Return the operation that a body asks for, if it was prepared before and has a plan."""
        bound = self._queries.get(body)
        if bound is not None:
            return bound
        try:
            bound = self._engine.bind_known(parse_request(orjson.loads(body)))
        except (orjson.JSONDecodeError, BadUserInput):
            return None
        if bound is not None and bound.type is OperationType.QUERY and len(body) <= _QUERY_BYTES:
            self._queries[body] = bound
            if len(self._queries) > _QUERIES:
                self._queries.popitem(last=False)
        return bound

    async def _execute_later(self, bound: Bound, context: Context) -> Response:
        await self._pacer.turn(EXECUTING_SECONDS)
        response = bound.execute(context, self._time_limit)
        return response if isinstance(response, bytes) else await response

    def finish(self, taken: Taken, response: Response, default_headers: list[tuple[bytes, bytes]]) -> bytes:
        """Return the whole answer as it is sent, and log the request."""
        if self._access_log:
            seconds = time.perf_counter() - taken.started
            context = taken.context
            with structlog.contextvars.bound_contextvars(
                request_id=context.request_id, viewer=context.viewer.kind.value
            ):
                log_access("POST", "/graphql", 200, seconds)
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
