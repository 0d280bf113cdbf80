"""The shortcut: what the fast lane does, as plain ASGI in front of the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from userline.telemetry.logs import REQUEST_STATE

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from userline.gateway.lane.answering import Taken
    from userline.gateway.lane.heads import Head
    from userline.gateway.runtime import Runtime
    from userline.users.viewer import Viewer


class Shortcut:
    """An application that answers what it understands, and hands everything else on as it came."""

    def __init__(self, app: ASGIApp, runtime: Runtime) -> None:
        self._app = app
        self._runtime = runtime
        self._answering = runtime.answering

    @classmethod
    def before(cls, app: ASGIApp, runtime: Runtime) -> ASGIApp:
        """Return the application with the shortcut before it, if it is to have one."""
        if not runtime.settings.plans or runtime.tracer is not None:  # spans are made where the application is
            return app
        return cls(app, runtime)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket, or the lifespan."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != "/graphql":
            await self._app(scope, receive, send)
            return
        answering = self._answering
        head = None if scope.get("root_path") else answering.heads.of_headers(scope["headers"])
        viewer = answering.viewer(head) if head else None
        if head is None or viewer is None:
            await self._app(scope, receive, send)
            return
        message = await receive()
        whole = message["type"] == "http.request" and not message.get("more_body")
        taken = answering.take(head, viewer, message.get("body", b""), scope) if whole else None
        if taken is None:
            await self._app(scope, _again(message, receive), send)
            return
        self._runtime.shortcut_requests += 1
        await self._answer(taken, head, viewer, send)

    async def _answer(self, taken: Taken, head: Head, viewer: Viewer, send: Send) -> None:
        request_id, response = taken
        if not isinstance(response, bytes):
            REQUEST_STATE.set({"request_id": request_id, "viewer": viewer})
            response = await response
        headers = [
            *head.headers,
            (b"x-request-id", request_id.encode()),
            (b"content-length", b"%d" % len(response)),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": response})


def _again(message: Message, receive: Receive) -> Receive:
    """Return a ``receive`` that begins with a message that was received before."""
    first: Message | None = message

    async def receive_again() -> Message:
        nonlocal first
        if first is None:
            return await receive()
        again, first = first, None
        return again

    return receive_again
