"""Responses that are counted and logged when they are there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from userline.execution.operation import Response
    from userline.execution.pending import Pending
    from userline.gateway.request_log import Asked

    Note: TypeAlias = Callable[[str | None, Asked, Response, float], None]
    """Counts and logs a response to an operation with a name, begun at a time of ``time.perf_counter``."""


class Counted:
    """The pending response to a known operation, which is counted and logged when it is there."""

    __slots__ = ("_asked", "_name", "_note", "_pending", "_started", "_tell")

    def __init__(self, note: Note, pending: Pending, name: str | None, asked: Asked, started: float) -> None:
        self._note = note
        self._pending = pending
        self._name = name
        self._asked = asked
        self._started = started

    def then(self, tell: Callable[[Response | None], None]) -> None:
        """Have the response told."""
        self._tell = tell
        self._pending.then(self._told)

    def __await__(self) -> Generator[Any, None, Response]:
        response = yield from self._pending.__await__()
        self._note(self._name, self._asked, response, self._started)
        return response

    def _told(self, response: Response | None) -> None:
        tell = self._tell
        del self._tell  # it refers back to this: no collection has to find it
        try:
            if response is not None:
                self._note(self._name, self._asked, response, self._started)
        finally:
            tell(response)
