"""What surrounds every request: its id, its line in the log, and the last net for exceptions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

from userline.execution.errors import mask
from userline.execution.operation import refuse
from userline.gateway.refusals import JSON_TYPE
from userline.gateway.request_ids import new_request_id, request_id_in
from userline.telemetry.access_log import ACCESS_LOG
from userline.telemetry.logs import REQUEST_STATE
from userline.telemetry.metrics.recorder import cut

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from userline.telemetry.metrics.recorder import Metrics
    from userline.users.viewer import Viewer

_FIRST_MESSAGES = ("http.response.start", "websocket.accept", "websocket.http.response.start")


class RequestMiddleware:
    """Gives every request an id: the caller's ``X-Request-Id`` if it is sensible, else a new one; answers carry it."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics, access_log: bool) -> None:
        self._app = app
        self._metrics = metrics
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

        REQUEST_STATE.set(scope["state"])
        try:
            await self._app(scope, receive, send_with_id)
        finally:
            method, state = scope.get("method", "WEBSOCKET"), scope["state"]
            if scope["type"] == "http":
                self._metrics.http(method, status)
            if self._access_log:
                asked = Asked(request_id, state.get("viewer"), state.get("operations", ()))
                log_access(method, scope["path"], status, time.perf_counter() - started, asked)


class LastNet:
    """Answers a request that ends with an exception, of which the caller gets the request id alone.

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
            await _send_failure(send, body)


_LONGEST_PATH: Final = 256
_MOST_NAMES: Final = 10
"""So many operations of a batch are named."""


class Asked(NamedTuple):
    """Who has asked for what, by which id."""

    request_id: str
    viewer: Viewer | None
    operations: Sequence[str]


def log_access(method: str, path: str, status: int, seconds: float, asked: Asked) -> None:
    """Log a request: its id, who asked, the names of the operations, the outcome and the time."""
    if path != "/graphql":
        path = _shown(path)
    milliseconds = round(seconds * 1000, 1)
    fields: dict[str, Any] = {"request_id": asked.request_id}
    if asked.viewer is not None:
        fields["viewer"] = asked.viewer.kind.value
    if asked.operations:
        fields["operation"] = ",".join(map(cut, asked.operations[:_MOST_NAMES]))
        if len(asked.operations) > _MOST_NAMES:
            fields["operation"] += f" and {len(asked.operations) - _MOST_NAMES} more"
    fields["status"] = status
    fields["milliseconds"] = milliseconds
    ACCESS_LOG.log(f"{method} {path} {status} {milliseconds} ms", fields)


def _shown(path: str) -> str:
    """Return a path as a line of the log has it: without line breaks, and not longer than one wants to read."""
    shown = quote(path[:_LONGEST_PATH])
    return shown if len(path) <= _LONGEST_PATH else f"{shown}…"


async def _send_failure(send: Send, body: bytes) -> None:
    headers = [(b"content-type", JSON_TYPE.encode())]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})
