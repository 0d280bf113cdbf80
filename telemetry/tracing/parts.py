"""Parts that are inserted into a gateway if it is traced."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

from userline.directory.batcher import Batcher
from userline.telemetry.metrics.store import MeasuredStore
from userline.telemetry.tracing.tracer import current_span, mark

if TYPE_CHECKING:
    import asyncio

    from opentelemetry.trace import SpanContext
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from userline.changes.hub import Hub
    from userline.storage.protocol import UserStore
    from userline.telemetry.metrics.recorder import Metrics
    from userline.telemetry.tracing.tracer import Tracer
    from userline.users.record import UserRecord, UserSnapshot

_ASKERS: ContextVar[tuple[SpanContext, ...]] = ContextVar("userline-askers", default=())

_CONTEXT: Final = (b"traceparent", b"tracestate")
_LONGEST_CONTEXT: Final = 512
"""Longer headers of a trace are left out, as W3C's Trace Context allows: what comes in goes out with every span."""

_FIRST_MESSAGES: Final = ("http.response.start", "websocket.accept", "websocket.http.response.start")


class TracedBatcher(Batcher):
    """Remembers which requests a batched read is for."""

    def __init__(self, store: UserStore, hub: Hub) -> None:
        super().__init__(store, hub)
        self._askers: dict[int, SpanContext] = {}

    def load(self, user_id: str) -> asyncio.Future[UserSnapshot | None]:
        """Return a future of the user's newest snapshot."""
        self._note()
        return super().load(user_id)

    def load_record(self, user_id: str) -> asyncio.Future[UserRecord | None]:
        """Return a future of the whole user."""
        self._note()
        return super().load_record(user_id)

    def _note(self) -> None:
        asker = current_span()
        if asker is not None:
            self._askers[asker.span_id] = asker

    def _dispatch(self) -> bool:
        _ASKERS.set(tuple(self._askers.values()))  # for the task of this read, which has a context of its own
        is_more = super()._dispatch()
        if not is_more:
            self._askers.clear()
        return is_more


class TracedStore(MeasuredStore):
    """A store whose calls are traced too."""

    def __init__(self, store: UserStore, metrics: Metrics, tracer: Tracer) -> None:
        super().__init__(store, metrics)
        self._tracer = tracer

    async def _measured(self, call: str, *args: Any, **kwargs: Any) -> Any:
        if call == "get_many":
            span = self._tracer.store(call, {"userline.ids": len(args[0])}, _ASKERS.get())
        else:
            span = self._tracer.store(call, {})
        with span:
            return await super()._measured(call, *args, **kwargs)


class TracingMiddleware:
    """Traces every request and socket; responses name their place in the trace in ``traceresponse``."""

    def __init__(self, app: ASGIApp, *, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1")
            for name, value in scope["headers"]
            if name in _CONTEXT and len(value) <= _LONGEST_CONTEXT
        }
        with self._tracer.request(scope.get("method", "WEBSOCKET"), _route(scope["path"]), headers) as span:

            async def send_marked(message: Message) -> None:
                if message["type"] in _FIRST_MESSAGES:
                    response = mark(span, message.get("status", 101)).encode()
                    message = {**message, "headers": [*message.get("headers", ()), (b"traceresponse", response)]}
                await send(message)

            await self._app(scope, receive, send_marked)


def _route(path: str) -> str:
    """Return the path without ids of users, which are nobody else's business."""
    return "/v1" if path.startswith("/v1/") else path if path in _PLAIN_PATHS else "/"


_PLAIN_PATHS: Final = ("/graphql", "/healthz", "/readyz", "/metrics")
