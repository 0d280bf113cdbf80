"""A change stream that is played from a script: what no stand-in has, and what real servers do when they are busy."""

from __future__ import annotations

import asyncio
import itertools
from typing import TYPE_CHECKING, Any, Final

from bson.int64 import Int64
from bson.timestamp import Timestamp

from tests.support.mongo_wire.errors import error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.mongo_wire.messages import Document, Message
    from tests.support.mongo_wire.proxy import Forward

_MAX_TIME_EXPIRED: Final = 50
_CURSOR_NOT_FOUND: Final = 43
_INVALID_TOKEN: Final = 260
_HISTORY_LOST: Final = 286
_TOO_LARGE: Final = 10334
_MOST_EVENTS_A_BATCH: Final = 3
_LONGEST_AWAIT_SECONDS: Final = 5.0


class ScriptedStream:
    """Plays the oplog of one collection: ``$changeStream``, ``getMore`` and ``killCursors``.

    What is scripted: ``scan_seconds`` is what a resume takes on a busy oplog, and one that may take less is refused
    with code 50 when its time is over; positions in ``too_large`` hold an event that is refused with 10334; what is
    before ``horizon`` is lost (286). ``opened`` has the position that each stream began from (None: from now),
    ``resumes`` the ``maxTimeMS`` of every resume, ``awaits`` that of every ``getMore``.
    """

    def __init__(self, *, post_batch_tokens: bool = True) -> None:
        self.events: list[Document] = []
        self.horizon = 0
        self.scan_seconds = 0.0
        self.too_large: set[int] = set()
        self.opened: list[int | None] = []
        self.resumes: list[int | None] = []
        self.awaits: list[int | None] = []
        self._post_batch_tokens = post_batch_tokens
        self._news = asyncio.Condition()
        self._cursor_ids = itertools.count(1001)
        self._cursors: dict[int, int] = {}

    async def change(self, user_id: str, version: int, operation: str = "replace", **fields: Any) -> None:
        """Have a user changed."""
        document = {"_id": user_id, "version": version, "name": f"Name {version}", **fields}
        await self._append({"operationType": operation, "documentKey": {"_id": user_id}, "fullDocument": document})

    async def invalidate(self) -> None:
        """Have the collection dropped or renamed: the streams that are open come to their end."""
        await self._append({"operationType": "invalidate"})

    async def kill_cursors(self) -> None:
        """Have the server forget its cursors."""
        async with self._news:
            self._cursors.clear()
            self._news.notify_all()

    def lose_history(self) -> None:
        """Let no stream be resumed from what was told so far."""
        self.horizon = len(self.events) + 1

    async def _append(self, event: Document) -> None:
        async with self._news:
            self.events.append(event)
            self._news.notify_all()

    async def play(self, message: Message, _forward: Forward) -> Message | None:
        match message.command:
            case "aggregate" if "$changeStream" in next(iter(message.documents("pipeline")), {}):
                return message.answered(await self._open(message))
            case "getMore" if int(message.body["getMore"]) in self._cursors or int(message.body["getMore"]) > 1000:
                return message.answered(await self._get_more(message))
            case "killCursors":
                for cursor in message.body["cursors"]:
                    self._cursors.pop(int(cursor), None)
                return message.answered({"ok": 1.0, "cursorsKilled": message.body["cursors"]})
        return None

    async def _open(self, message: Message) -> Document:
        options: Mapping[str, Any] = message.documents("pipeline")[0]["$changeStream"]
        token = options.get("resumeAfter") or options.get("startAfter")
        position = len(self.events)
        if token is not None:
            milliseconds = message.body.get("maxTimeMS")
            self.resumes.append(milliseconds)
            try:
                position = int(str(token["_data"]), 16)
            except (KeyError, ValueError):
                return error(_INVALID_TOKEN)
            if milliseconds is not None and milliseconds / 1000 < self.scan_seconds:
                await asyncio.sleep(milliseconds / 1000 * 0.8)  # so that the driver hears of it in its own time
                return error(_MAX_TIME_EXPIRED, "operation exceeded time limit")
            await asyncio.sleep(self.scan_seconds)
            if position < self.horizon:
                return error(_HISTORY_LOST, labels=["NonResumableChangeStreamError"])
        elif (since := options.get("startAtOperationTime")) is not None:
            position = since.inc
        self.opened.append(None if token is None else position)
        cursor = next(self._cursor_ids)
        self._cursors[cursor] = position
        return self._batch(message, cursor, "firstBatch", [], position)

    async def _get_more(self, message: Message) -> Document:
        cursor = int(message.body["getMore"])
        self.awaits.append(message.body.get("maxTimeMS"))
        seconds = min(message.body.get("maxTimeMS", 1000) / 1000, _LONGEST_AWAIT_SECONDS)
        try:
            async with asyncio.timeout(seconds), self._news:
                await self._news.wait_for(
                    lambda: cursor not in self._cursors or len(self.events) > self._cursors[cursor]
                )
        except TimeoutError:
            pass
        if cursor not in self._cursors:
            return error(_CURSOR_NOT_FOUND)
        position = self._cursors[cursor]
        if position in self.too_large and position < len(self.events):
            return error(_TOO_LARGE, "BSONObj size: 17825792 is invalid")
        batch: list[Document] = []
        while position < len(self.events) and len(batch) < _MOST_EVENTS_A_BATCH and position not in self.too_large:
            position += 1
            batch.append({"_id": _token(position), **self.events[position - 1]})
            if batch[-1]["operationType"] == "invalidate":
                del self._cursors[cursor]
                return self._batch(message, 0, "nextBatch", batch, position)
        self._cursors[cursor] = position
        return self._batch(message, cursor, "nextBatch", batch, position)

    def _batch(self, message: Message, cursor: int, name: str, batch: list[Document], position: int) -> Document:
        content: Document = {"id": Int64(cursor), "ns": message.namespace, name: batch}
        if self._post_batch_tokens:
            content["postBatchResumeToken"] = _token(position)
        return {"ok": 1.0, "cursor": content, "operationTime": Timestamp(1, len(self.events))}


def _token(position: int) -> Document:
    return {"_data": f"{position:016x}"}
