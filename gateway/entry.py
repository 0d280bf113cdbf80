"""The ASGI entry: known requests are answered at once, all others by the application."""

from __future__ import annotations

from typing import TYPE_CHECKING

from userline.gateway.answering.known import ReadBody
from userline.gateway.request_log import shown_client
from userline.telemetry.logs import REQUEST_STATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from userline.gateway.answering.answering import Answering, Begun
    from userline.gateway.answering.meaning import Meaning, Meanings
    from userline.users.viewer import Viewer


class AsgiEntry:
    """The ASGI application of a gateway. ``count`` is called for each request that is answered here."""

    def __init__(self, app: ASGIApp, answering: Answering, meanings: Meanings, count: Callable[[], None]) -> None:
        self.app = app
        self._answering = answering
        self._meanings = meanings
        self._count = count

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or socket, or the lifespan."""
        meaning = self._meaning(scope)
        viewer = self._answering.known_viewer(meaning.token_digest) if meaning is not None else None
        if meaning is None or viewer is None:
            await self.app(scope, receive, send)
            return
        message = await receive()
        is_whole = message["type"] == "http.request" and not message.get("more_body")
        begun = None
        if is_whole:
            body = message.get("body", b"")
            known = self._answering.known_body(body)
            begun = self._answering.begin(meaning, viewer, body, scope.get("client"), known)
        if begun is None or isinstance(begun, ReadBody):
            if begun is not None:
                scope.setdefault("state", {})["read_body"] = begun
            await self.app(scope, _again(message, receive), send)
            return
        self._count()
        await _answer(begun, meaning, viewer, scope, send)

    def _meaning(self, scope: Scope) -> Meaning | None:
        """Return what the head of a request means, or None if it is for the application."""
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] != "/graphql":
            return None
        state = scope.get("state", {})
        if scope.get("root_path") or "read_body" in state:  # the lane has looked at it
            return None
        head = state.get("head")
        meaning = self._meanings.of_headers(scope["headers"]) if head is None else self._meanings.of(head)
        return meaning if meaning.is_understood else None


async def _answer(begun: Begun, meaning: Meaning, viewer: Viewer, scope: Scope, send: Send) -> None:
    request_id, response = begun
    if not isinstance(response, bytes):
        state = {"request_id": request_id, "viewer": viewer}
        client = scope.get("client")
        if client is not None:
            state["client"] = shown_client(client[0])
        if meaning.trace_id is not None:
            state["trace_id"] = meaning.trace_id
        REQUEST_STATE.set(state)
        response = await response
    headers = [
        *meaning.headers,
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
