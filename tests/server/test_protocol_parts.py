"""Parts of the protocol class: deadlines that share a timer, and answers whose two messages are written as one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tests.support.asgi_server import connected
from userline.server.deadline import Deadline

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


async def test_a_deadline_expires_when_it_was_set_for_last() -> None:
    told: list[str] = []
    deadline = Deadline(asyncio.get_running_loop(), told.append)
    deadline.set(10, "late")
    deadline.set(0.05, "soon")
    await asyncio.sleep(0.1)
    assert told == ["soon"]
    assert not deadline.is_set
    deadline.set(0.05, "first")
    deadline.set(0.2, "second")
    await asyncio.sleep(0.12)
    assert told == ["soon"]
    await asyncio.sleep(0.12)
    assert told == ["soon", "second"]


async def test_a_deadline_that_was_cleared_or_stopped_does_not_expire() -> None:
    told: list[str] = []
    deadline = Deadline(asyncio.get_running_loop(), told.append)
    deadline.set(0.02, "cleared")
    deadline.clear()
    await asyncio.sleep(0.05)
    deadline.set(0.02, "stopped")
    deadline.stop()
    await asyncio.sleep(0.05)
    assert told == []


class Answerer:
    """An application that sends a head, and a body when it may."""

    def __init__(self) -> None:
        self.may_go_on = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"3")]})
        if scope["path"] == "/fails":
            raise ValueError("in the middle of the answer")
        if scope["path"] == "/waits":
            await self.may_go_on.wait()
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        await send({"type": "http.response.body", "body": b"bc"})


def asked(*lines: bytes) -> bytes:
    return b"".join(line + b" HTTP/1.1\r\nHost: localhost\r\n\r\n" for line in lines)


async def test_a_head_is_sent_before_a_body_that_takes_its_time() -> None:
    app = Answerer()
    async with connected(app) as (reader, writer), asyncio.timeout(5):
        writer.write(asked(b"GET /waits"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK\r\n")
        app.may_go_on.set()
        assert await reader.readexactly(3) == b"abc"


async def test_answers_without_a_body_keep_their_place() -> None:
    async with connected(Answerer()) as (reader, writer), asyncio.timeout(5):
        writer.write(asked(b"HEAD /", b"GET /", b"HEAD /"))
        head = await reader.readuntil(b"\r\n\r\n")
        assert await reader.readexactly(2 * len(head) + 3) == head + b"abc" + head


async def test_a_head_whose_body_fails_is_sent_and_the_connection_closed() -> None:
    async with connected(Answerer()) as (reader, writer), asyncio.timeout(5):
        writer.write(asked(b"GET /fails"))
        answer = await reader.read()
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"content-length: 3\r\n\r\n")
