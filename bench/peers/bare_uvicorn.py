"""What HTTP and WebSocket alone cost: plain ASGI that sends JSON and text made beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson

from bench import users

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

_READ = orjson.dumps({"data": {"user": users.user(0)}})


class BareApp:
    """Answers any query with one user; a change goes to every socket that has subscribed to whatever user."""

    def __init__(self) -> None:
        self._watching: dict[Send, str] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(receive, send)
        else:
            await self._watch(receive, send)

    async def _answer(self, receive: Receive, send: Send) -> None:
        message = await receive()
        body: bytes = message["body"]
        while message.get("more_body"):
            message = await receive()
            body += message["body"]
        answer = await self._change(orjson.loads(body)["variables"]) if b"mutation" in body else _READ
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    async def _change(self, variables: dict[str, Any]) -> bytes:
        user_id, name = variables["id"], variables["input"]["name"]
        payload = {"data": {"userChanged": users.user(users.number_of(user_id)) | {"name": name}}}
        texts: dict[str, str] = {}
        for send, operation in list(self._watching.items()):
            if operation not in texts:
                texts[operation] = _text({"id": operation, "type": "next", "payload": payload})
            await send({"type": "websocket.send", "text": texts[operation]})
        return orjson.dumps({"data": {"setUser": {"changed": True, "user": {"id": user_id, "name": name}}}})

    async def _watch(self, receive: Receive, send: Send) -> None:
        try:
            while (message := await receive())["type"] != "websocket.disconnect":
                if message["type"] == "websocket.connect":
                    await send({"type": "websocket.accept", "subprotocol": "graphql-transport-ws"})
                    continue
                asked = orjson.loads(message["text"])
                if asked["type"] == "connection_init":
                    await send({"type": "websocket.send", "text": '{"type":"connection_ack"}'})
                elif asked["type"] == "subscribe":
                    number = users.number_of(asked["payload"]["variables"]["id"])
                    payload = {"data": {"userChanged": users.user(number)}}
                    text = _text({"id": asked["id"], "type": "next", "payload": payload})
                    await send({"type": "websocket.send", "text": text})
                    self._watching[send] = asked["id"]
        finally:
            self._watching.pop(send, None)


def _text(message: dict[str, Any]) -> str:
    return orjson.dumps(message).decode()
