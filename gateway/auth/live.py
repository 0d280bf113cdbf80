"""The sockets and streams that depend on a token. They end when the key of their token is removed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from userline.common import tasks

if TYPE_CHECKING:
    from userline.users.viewer import Viewer

_AT_ONCE: Final = 50
"""So many are ended in one turn of the event loop."""


class Live(Protocol):
    """A socket or stream."""

    @property
    def shown_by(self) -> Viewer | None:
        """Whose token it has now."""

    def end_token(self) -> None:
        """End, because the token is not good any more, so that the client comes back with another."""


class LiveTokens:
    """The accepted sockets and streams. For one event loop."""

    def __init__(self) -> None:
        self._live: set[Live] = set()
        self._key_ids: frozenset[bytes] | None = None
        self._ending: set[asyncio.Task[None]] = set()
        self.ended = 0
        """How many were ended because the key of their token was gone."""

    def __len__(self) -> int:
        return len(self._live)

    def enter(self, live: Live) -> None:
        """Take note of one that was let in."""
        self._live.add(live)
        self._end_if_gone(live)

    def leave(self, live: Live) -> None:
        """Forget one that is over, or never was let in."""
        self._live.discard(live)

    def keep_only(self, key_ids: frozenset[bytes]) -> None:
        """End those whose token was checked with none of these keys."""
        self._key_ids = key_ids
        if self._live:
            task = asyncio.create_task(self._end_those_gone(), name="userline-keys-gone")
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def close(self) -> None:
        """End what is under way."""
        await tasks.end(self._ending)

    async def _end_those_gone(self) -> None:
        ended_before = self.ended
        for live in list(self._live):
            if live in self._live:
                self._end_if_gone(live)
            if self.ended - ended_before >= _AT_ONCE:
                ended_before = self.ended
                await asyncio.sleep(0)

    def _end_if_gone(self, live: Live) -> None:
        viewer = live.shown_by
        if self._key_ids is not None and viewer is not None and viewer.key_id not in self._key_ids:
            self.ended += 1
            live.end_token()
