"""The changes that anybody makes in the database, by MongoDB's change stream."""

from __future__ import annotations

import asyncio
import logging
import random
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from pymongo.errors import OperationFailure, PyMongoError

from userline.storage.mongo.connection import reason
from userline.storage.mongo.documents import DocumentError, decode_user

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from userline.storage.mongo.documents import Document
    from userline.storage.mongo.driver import Stream
    from userline.users.record import UserSnapshot

logger = logging.getLogger("userline.storage")

_PIPELINE: Final[list[Document]] = [
    {"$match": {"operationType": {"$in": ["insert", "update", "replace", "delete", "invalidate"]}}}
]
_AWAIT_MILLISECONDS: Final = 1000
_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0

# https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
_NOT_RESUMABLE: Final = {
    260,  # InvalidResumeToken
    280,  # ChangeStreamFatalError
    286,  # ChangeStreamHistoryLost: the oplog no longer reaches back to the token
}


class Watch(Protocol):
    """What opens a stream: a driver's ``watch``."""

    async def __call__(self, pipeline: list[Document], **options: Any) -> Stream:
        """Open a stream."""


class ChangeFollower:
    """Follows the users' change stream, over lost connections and fail-overs, until it is stopped.

    ``on_change`` gets the snapshot of each user who was inserted, replaced or updated, in the database's order; it is
    the newest at the time of looking, so one state may come more than once. ``on_delete`` gets the id of a user who was
    deleted. ``on_gap`` is called once changes are heard again after some may have been missed: the stream's history was
    lost, the collection was dropped, or the stream could not be opened at first.
    """

    def __init__(
        self,
        watch: Watch,
        on_change: Callable[[UserSnapshot], None],
        on_delete: Callable[[str], None],
        on_gap: Callable[[], None],
    ) -> None:
        self._watch = watch
        self._on_change = on_change
        self._on_delete = on_delete
        self._on_gap = on_gap
        self._token: Mapping[str, Any] | None = None
        self._gap = False
        self._pause = _FIRST_PAUSE_SECONDS
        self._is_away = False
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow. Changes count from the moment that the stream is open."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop once the server's next word is in, a second at most while it is well. Stopping twice is fine."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._follow_one_stream()
            except (PyMongoError, OSError, TimeoutError) as error:
                self._lost(error)
            except Exception:
                logger.exception("Following MongoDB's change stream failed; it begins anew.")
                self._begin_anew()
            with suppress(TimeoutError):
                async with asyncio.timeout(random.uniform(0.5, 1) * self._pause):  # noqa: S311 - no secret
                    await self._stopping.wait()
            self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)

    async def _follow_one_stream(self) -> None:
        """Follow one stream until it ends or this follower is stopped."""
        options = {} if self._token is None else {"resume_after": self._token}
        stream = await self._watch(
            _PIPELINE, full_document="updateLookup", max_await_time_ms=_AWAIT_MILLISECONDS, **options
        )
        try:
            while stream.alive and not self._stopping.is_set():
                event = await stream.try_next()
                self._is_well()
                if event is not None:
                    self._hear(event)
                self._token = stream.resume_token or self._token
        finally:
            with suppress(PyMongoError, OSError, TimeoutError):
                await stream.close()
        if not self._stopping.is_set():
            self._begin_anew()

    def _hear(self, event: Mapping[str, Any]) -> None:
        if event["operationType"] == "delete":
            self._on_delete(event["documentKey"]["_id"])
            return
        document = event.get("fullDocument")
        if document is None:  # gone again since, of which the stream will tell
            return
        try:
            snapshot = decode_user(document).snapshot
        except DocumentError as error:
            logger.error("%s", error)  # noqa: TRY400 - the message says all
            return
        self._on_change(snapshot)

    def _is_well(self) -> None:
        self._pause = _FIRST_PAUSE_SECONDS
        if self._is_away:
            self._is_away = False
            logger.info("MongoDB's change stream is followed again.")
        if self._gap:
            self._gap = False
            self._on_gap()

    def _begin_anew(self) -> None:
        self._token = None
        self._gap = True

    def _lost(self, error: Exception) -> None:
        if not self._is_away:
            self._is_away = True
            logger.warning("MongoDB's change stream cannot be followed: %s.", reason(error))
        refused = isinstance(error, OperationFailure) and (
            error.code in _NOT_RESUMABLE or error.has_error_label("NonResumableChangeStreamError")
        )
        if refused or self._token is None:
            self._begin_anew()
