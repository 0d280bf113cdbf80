"""What HTTP alone costs: plain ASGI that reads the request and sends one user's JSON, made beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from bench import users

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_BODY = orjson.dumps({"data": {"user": {"id": users.user_id(0), **users.fields(0)}}})
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(_BODY)).encode())]


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer any request, whatever it asks for."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": _BODY})
