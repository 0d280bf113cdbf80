"""What the tests of several files use."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from tests.support.answers import unset_in_answers
from tests.support.gateway import RunningGateway
from tests.support.waiting import until

from userline_client import Backoff, Session

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SOON = Backoff(base=0.005, ceiling=0.02)
"""For tests that lose connections and do not want to wait."""

_open_sessions = 0


def new_id() -> str:
    """Return the id of a user that no other test has."""
    return f"user-{uuid4()}"


def subscribe_operations(session: Session) -> int:
    """How many operations the session has begun over its first socket, of any kind."""
    return session._core.connection._operations._last_id


_versions = itertools.count(1_000)


def user(user_id: str, name: str, version: int | None = None) -> dict[str, Any]:
    """Return a user as it stands in an answer; without a version, it is a newer one than any before."""
    fields: dict[str, Any] = {
        "version": str(next(_versions) if version is None else version),
        **unset_in_answers(),
    }
    return {"id": user_id, "name": name, **fields}


@asynccontextmanager
async def session_with(gateway: RunningGateway | str, **options: Any) -> AsyncIterator[Session]:
    """Open a session with a gateway or a URL, and check that nothing of it is left behind.

    Of sessions in each other, the outermost checks.
    """
    global _open_sessions  # noqa: PLW0603
    url = gateway.websocket_url if isinstance(gateway, RunningGateway) else gateway
    before = asyncio.all_tasks()
    _open_sessions += 1
    try:
        async with Session(url, **options) as session:
            yield session
    finally:
        _open_sessions -= 1
    if not _open_sessions:
        left = [task for task in asyncio.all_tasks() - before if _is_of_the_client(task)]
        assert not left, left
        await until(lambda: asyncio.all_tasks() <= before)  # those at the other end of the socket


def _is_of_the_client(task: asyncio.Task[Any]) -> bool:
    return any("userline_client" in frame.f_code.co_filename for frame in task.get_stack())
