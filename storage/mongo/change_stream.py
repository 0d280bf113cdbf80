"""The changes that anybody makes in the database, by MongoDB's change stream."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

import pymongo
from pymongo.errors import AutoReconnect, NetworkTimeout, PyMongoError

from userline.common.backoff import Backoff, spread
from userline.common.outage import Outage
from userline.storage.mongo.documents import DocumentError, decode_user
from userline.storage.mongo.failures import code_of, failure

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from userline.storage.mongo.cursors import Stream
    from userline.storage.mongo.documents import Document
    from userline.users.record import UserSnapshot

logger = logging.getLogger("userline.storage")

_PIPELINE: Final[list[Document]] = [
    {"$match": {"operationType": {"$in": ["insert", "update", "replace", "delete", "invalidate"]}}}
]
_AWAIT_SECONDS: Final = 1.0
_ANSWER_SECONDS: Final = 1.0
_OPEN_SECONDS: Final = 5.0
"""What a stream may take to open: a resume looks through the oplog, which the time of an ordinary call is short for."""

_FIRST_PAUSE_SECONDS: Final = 0.1
_LONGEST_PAUSE_SECONDS: Final = 5.0
_PAUSE_WITHOUT_STREAMS_SECONDS: Final = 60.0

MOST_REFUSALS: Final = 3
"""How often a server may refuse to go on where the stream was, before it begins anew."""

PATIENCE_SECONDS: Final = 30.0
"""How long the servers may be away before it begins anew; an election takes 12 s at most, as they come."""

# https://github.com/mongodb/mongo/blob/master/src/mongo/base/error_codes.yml
_LOST: Final = {
    136,  # CappedPositionLost: the oplog has gone past the stream; of DocumentDB: streams are not switched on
    222,  # CloseChangeStream
    260,  # InvalidResumeToken
    280,  # ChangeStreamFatalError
    286,  # ChangeStreamHistoryLost: the oplog no longer reaches back to the token
    10334,  # BSONObjectTooLarge: an event that is too large for a message is so each time
}
"""Going on where the stream was is of no use: it has to begin anew."""

_NO_STREAMS: Final = {59, 115, 168, 238, 303, 40324, 40573}
"""There are no change streams here: a single server, or one that is only compatible with MongoDB."""


class ChangeCursor(Protocol):
    """Opens a change stream: a driver's ``watch``."""

    async def __call__(self, pipeline: list[Document], **options: Any) -> Stream:
        """Open a stream."""


class ChangeFollower:
    """Follows the users' change stream, over lost connections and fail-overs, until it is stopped.

    It goes on where it was as long as that works, and begins anew after ``MOST_REFUSALS`` or ``PATIENCE_SECONDS``
    without coming further: nothing keeps it deaf for long and nobody the wiser.

    ``on_change`` gets the snapshot of each user who was inserted, replaced or updated, in the database's order; it is
    the newest at the time of looking, so one state may come more than once. ``on_delete`` gets the id of a user who was
    deleted. ``on_gap`` is called once changes are heard again after some may have been missed: the stream had to begin
    anew, the collection was dropped, or the stream could not be opened at first.

    ``seconds`` is how long an answer may take that needs no waiting for changes.
    """

    def __init__(
        self,
        watch: ChangeCursor,
        on_change: Callable[[UserSnapshot], None],
        on_delete: Callable[[str], None],
        on_gap: Callable[[], None],
        *,
        seconds: float = 1.5,
    ) -> None:
        self._watch = watch
        self._seconds = seconds
        self._on_change = on_change
        self._on_delete = on_delete
        self._on_gap = on_gap
        self._token: Mapping[str, Any] | None = None
        self._gap = False
        self._backoff = Backoff(_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS, least=0.5)
        self._has_streams = True
        self._refusals = 0
        self._silent_since: float | None = None
        self._outage = Outage()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow. Changes count from the moment that the stream is open."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Stop once the server's next word is in, a second at most while it is well. Stopping twice is fine."""
        self._stopping.set()
        if self._task is not None:
            _, late = await asyncio.wait([self._task], timeout=_AWAIT_SECONDS + self._seconds)
            for task in late:
                task.cancel()
                await asyncio.wait([task])

    async def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                await self._follow_one_stream()
            except (PyMongoError, OSError, TimeoutError) as error:
                self._lost(error)
            except Exception:
                logger.exception("Following MongoDB's change stream failed. It is started again.")
                self._begin_anew()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._stopping.wait()

    def _pause(self) -> float:
        """Return after how many seconds to try again."""
        if self._has_streams:
            return self._backoff.next()
        self._has_streams = True
        return spread(_PAUSE_WITHOUT_STREAMS_SECONDS, 0.5)

    async def _follow_one_stream(self) -> None:
        """Follow one stream until it ends or this follower is stopped."""
        options = {} if self._token is None else {"resume_after": self._token}
        # These times stand in place of timeoutMS, which is for calls that do not wait for anything to happen.
        seconds = max(_OPEN_SECONDS, self._seconds) + _AWAIT_SECONDS
        with pymongo.timeout(seconds):
            stream = await self._watch(
                _PIPELINE, full_document="updateLookup", max_await_time_ms=int(_AWAIT_SECONDS * 1000), **options
            )
        try:
            while stream.alive and not self._stopping.is_set():
                with pymongo.timeout(seconds):
                    event = await stream.try_next()
                seconds = max(_ANSWER_SECONDS, self._seconds) + _AWAIT_SECONDS
                self._is_well()
                if event is not None:
                    self._hear(event)
                self._came_to(stream.resume_token)
        finally:
            with suppress(PyMongoError, OSError, TimeoutError):
                await stream.close()
        if not self._stopping.is_set():
            self._begin_anew()

    def _came_to(self, token: Mapping[str, Any] | None) -> None:
        if token is not None and token != self._token:
            self._token = token
            self._refusals = 0
            self._silent_since = None

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
        self._backoff.reset()
        if self._outage:
            logger.info("MongoDB's change stream is followed again, after %s.", self._outage.end())
        if self._gap:
            self._gap = False
            self._on_gap()

    def _begin_anew(self) -> None:
        self._token = None
        self._gap = True
        self._refusals = 0
        self._silent_since = None

    def _lost(self, error: Exception) -> None:
        code = code_of(error)
        self._has_streams = code not in _NO_STREAMS
        if self._outage.begin():
            what = failure(error)
            logger.warning(
                "MongoDB's change stream cannot be followed: %s. Until then, changes by other programs are seen within "
                "USERLINE_REREAD_SECONDS.",
                f"this server has no change streams (code {code})"
                if code in _NO_STREAMS
                else f"{what.text}. {what.advice}".rstrip(". "),
            )
        if (
            self._token is None
            or code in _LOST
            or code in _NO_STREAMS
            or _is_final(error)
            or self._is_out_of_patience(error)
        ):
            self._begin_anew()

    def _is_out_of_patience(self, error: Exception) -> bool:
        """Take note of a failure to come further, and return whether there were too many."""
        now = asyncio.get_running_loop().time()
        self._silent_since = self._silent_since or now
        # Servers that are away, or elect a primary, have refused nothing.
        if not isinstance(error, AutoReconnect) or isinstance(error, NetworkTimeout):
            self._refusals += 1
        return self._refusals >= MOST_REFUSALS or now - self._silent_since >= PATIENCE_SECONDS


def _is_final(error: Exception) -> bool:
    return isinstance(error, PyMongoError) and error.has_error_label("NonResumableChangeStreamError")
