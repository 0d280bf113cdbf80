"""What surrounds every request: its id, its line in the log, and the last net for exceptions."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING
from urllib.parse import quote

import orjson
import structlog

from userline.execution.errors import mask
from userline.gateway.request_ids import new_request_id, request_id_in

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

access_logger = logging.getLogger("userline.access")

_FIRST_MESSAGES = ("http.response.start", "websocket.accept", "websocket.http.response.start")


class RequestMiddleware:
    """Gives every request an id: the caller's ``X-Request-Id`` if it is sensible, else a new one; answers carry it."""

    def __init__(self, app: ASGIApp, *, access_log: bool) -> None:
        self._app = app
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request_id = request_id_in(scope) or new_request_id()
        scope.setdefault("state", {})["request_id"] = request_id
        started = time.perf_counter()
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] in _FIRST_MESSAGES:
                status = message.get("status", 101)
                message = {**message, "headers": [*message.get("headers", ()), (b"x-request-id", request_id.encode())]}
            await send(message)

        structlog.contextvars.unbind_contextvars("viewer")  # of a request before this one on the same connection
        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception as error:
                payload = {"errors": [mask(error, request_id)]}
                if scope["type"] != "http" or status:
                    raise
                await _send_failure(send_with_id, payload)
            finally:
                if self._access_log:
                    log_access(scope.get("method", "WEBSOCKET"), scope["path"], status, time.perf_counter() - started)


def log_access(method: str, path: str, status: int, seconds: float) -> None:
    """Log a line for a request, within the context that has its id and its viewer."""
    path = quote(path)  # or a line break in it would make a line of the log
    access_logger.info("%s %s %s %.1f ms", method, path, status, seconds * 1000)


async def _send_failure(send: Send, payload: object) -> None:
    headers = [(b"content-type", b"application/json; charset=utf-8")]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": orjson.dumps(payload)})
