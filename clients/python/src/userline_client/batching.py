"""Reads of users that are made in the same turn of the event loop travel together."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from userline_client.documents import encode

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator

    from userline_client.snapshot import UserSnapshot

    Read = Callable[[list[str]], Awaitable[list[UserSnapshot | None]]]
    Answer = asyncio.Future[UserSnapshot | None]

MAX_IDS: Final = 1000
"""How many users one operation may ask for."""
MAX_IDS_BYTES: Final = 48 * 1024
"""How large the ids of one operation may be: with all that is around them well below the limit of a message."""


def split(ids: Iterable[str]) -> Iterator[list[str]]:
    """Split ids into what one operation each may ask for."""
    batch: list[str] = []
    size = 0
    for user_id in ids:
        bytes_of_id = len(encode(user_id).encode()) + 1
        if batch and (len(batch) == MAX_IDS or size + bytes_of_id > MAX_IDS_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(user_id)
        size += bytes_of_id
    if batch:
        yield batch


class Batcher:
    """Collects the reads of one turn, each user once, and joins those that are under way."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._collected: dict[str, Answer] = {}
        self._under_way: dict[str, Answer] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def get(self, user_id: str) -> UserSnapshot | None:
        """Read a user, together with the others."""
        answer = self._under_way.get(user_id)
        if answer is None:
            loop = asyncio.get_running_loop()
            if not self._collected:
                loop.call_soon(self._send)
            answer = self._collected.get(user_id)
            if answer is None:
                answer = self._collected[user_id] = loop.create_future()
                answer.add_done_callback(lambda done: done.cancelled() or done.exception())  # perhaps nobody waits
        return await asyncio.shield(answer)

    def forget(self, user_id: str) -> None:
        """Let later reads of a user not join those under way, which may bring what was before a write."""
        self._under_way.pop(user_id, None)

    async def close(self) -> None:
        """Wait for the end of the reads under way, which has been brought about by others."""
        await asyncio.sleep(0)  # those just collected are sent, and refused
        await asyncio.gather(*self._tasks)

    def _send(self) -> None:
        collected, self._collected = self._collected, {}
        self._under_way.update(collected)
        for batch in split(collected):
            answers = {user_id: collected[user_id] for user_id in batch}
            task = asyncio.create_task(self._answer(answers), name="userline read")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, answers: dict[str, Answer]) -> None:
        try:
            snapshots = await self._read(list(answers))
        except Exception as error:  # noqa: BLE001 - whatever it is, those who wait are to hear of it
            for answer in answers.values():
                answer.set_exception(error)
        except asyncio.CancelledError:
            for answer in answers.values():
                answer.cancel()
            raise
        else:
            for answer, snapshot in zip(answers.values(), snapshots, strict=True):
                answer.set_result(snapshot)
        finally:
            for user_id, answer in answers.items():
                if self._under_way.get(user_id) is answer:
                    del self._under_way[user_id]
