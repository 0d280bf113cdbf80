"""Middleware for every request: its id, its line in the log, and the handling of unexpected exceptions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from userline.execution.errors import mask
from userline.execution.operation import refuse
from userline.gateway.refusals import JSON_TYPE
from userline.gateway.request_ids import new_request_id, request_id_in
from userline.gateway.request_log import Asked, log_access, shown_client, trace_id_in
from userline.telemetry.logs import REQUEST_STATE

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from userline.gateway.request_log import RequestLog
    from userline.telemetry.metrics.recorder import Metrics

_NO_CONTENT: Final = 204
_METHOD_NOT_ALLOWED: Final = 405
_FIRST_MESSAGES = ("http.response.start", "websocket.accept", "websocket.http.response.start")


class RequestMiddleware:
    """Gives every request an id: the caller's ``X-Request-Id`` if it is valid, else a new one; responses carry it."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, request_log: RequestLog) -> None:
        self._app = app
        self._metrics = metrics
        self._log = request_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request_id = request_id_in(scope) or new_request_id()
        state, client = scope.setdefault("state", {}), scope.get("client")
        state["request_id"] = request_id
        if client is not None:
            state["client"] = shown_client(client[0])
        trace_id = state.get("trace_id") or trace_id_in(scope["headers"])
        if trace_id is not None:
            state["trace_id"] = trace_id
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] in _FIRST_MESSAGES:
                status = message.get("status", 101)
                message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", request_id.encode())]}
            await send(message)

        REQUEST_STATE.set(state)
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            method, state = scope.get("method", "WEBSOCKET"), scope["state"]
            if scope["type"] == "http":
                self._metrics.http(method, status)
            if self._log.has(scope["path"]):
                asked = Asked(request_id, state.get("viewer"), state.get("operations", ()), client, trace_id)
                log_access(method, scope["path"], status, time.perf_counter() - started, asked)


class Options:
    """Answers ``OPTIONS`` with the methods that there are at a path: health checks of some balancers are such."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] != "http" or scope["method"] != "OPTIONS":
            await self._app(scope, receive, send)
            return
        is_told = False

        async def send_methods(message: Message) -> None:
            """Make of the refusal of the method, which says what is allowed, an answer without a body."""
            nonlocal is_told
            if message["type"] == "http.response.start" and message["status"] == _METHOD_NOT_ALLOWED:
                is_told = True
                headers = [header for header in message["headers"] if not header[0].startswith(b"content-")]
                allowed = [(name, value + b", OPTIONS" if name == b"allow" else value) for name, value in headers]
                message = {**message, "status": _NO_CONTENT, "headers": allowed}
            elif is_told:
                message = {"type": "http.response.body", "body": b""}
            await send(message)

        await self._app(scope, receive, send_methods)


class LastNet:
    """Answers a request that ended with an exception. The caller gets only the request id.

    It stands within what lets pages of other origins read answers, so that they can read this one too.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        is_begun = False

        async def send_seen(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        try:
            await self._app(scope, receive, send_seen)
        except Exception as error:
            body = refuse([mask(error, scope["state"]["request_id"])])
            if is_begun:
                raise
            await Response(body, 500, {"content-type": JSON_TYPE})(scope, receive, send)
