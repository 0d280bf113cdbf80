"""Plans of subscriptions: which users are watched, and how snapshots are encoded."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import orjson

from userline.execution.events import fill
from userline.execution.operation import AnswerTooLarge
from userline.resolvers import watching

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from userline.changes.watcher import Changes
    from userline.execution.plans.failures import Place
    from userline.execution.plans.projection import Projection
    from userline.execution.plans.values import Reader, Source
    from userline.resolvers.context import Context
    from userline.users.record import UserSnapshot

_BEFORE: Final = b'{"data":{'
_AFTER: Final = b"}}"


@dataclass(frozen=True, slots=True)
class WatchStep:
    """``userChanged(id:)``."""

    key_json: bytes
    """How the field begins in a JSON object. The field itself would keep its document in memory."""
    place: Place
    variables: Reader
    argument: Source
    projection: Projection
    most: int
    """How large an event may be."""

    def bind(self, variables: dict[str, Any] | None) -> BoundSubscription:
        """Return the subscription with these variables. Raises ``UNFIT``."""
        return BoundSubscription(self, self.argument(self.variables(variables or {})))

    def encode(self, snapshot: UserSnapshot | None) -> bytes:
        """Return the response that is an event. Raises AnswerTooLarge."""
        event = _BEFORE + self.key_json + self.projection.encode(snapshot) + _AFTER
        if len(event) > self.most:
            raise AnswerTooLarge(self.most)
        return event

    async def events(self, user_id: str, context: Context) -> AsyncGenerator[bytes, None]:
        """Yield the responses until closed. Raises UserlineError."""
        async with aclosing(watching.user_changed(context, user_id)) as snapshots:
            async for snapshot in snapshots:
                yield self.encode(snapshot)


class ChangeProjection:
    """Encodes the selected fields of a ``UserChange``, with a projection of its user that others may share."""

    __slots__ = ("_template", "_values")

    def __init__(self, fields: Sequence[tuple[bytes, Projection | bytes | None]]) -> None:
        """``fields``: how each begins in a JSON object, with a projection of the user, a constant, or None (the id)."""
        parts = [key + (value if isinstance(value, bytes) else b"%b") for key, value in fields]
        self._template = b"{" + b",".join(parts) + b"}"
        self._values = [value for _, value in fields if not isinstance(value, bytes)]

    def encode(self, user_id: str, snapshot: UserSnapshot | None) -> bytes:
        """Return an entry of a list as JSON."""
        return self._template % tuple(
            [orjson.dumps(user_id) if value is None else value.encode(snapshot) for value in self._values]
        )


@dataclass(frozen=True, slots=True)
class WatchManyStep:
    """``usersChanged(ids:)``."""

    key_json: bytes
    place: Place
    variables: Reader
    argument: Source
    projection: ChangeProjection
    most: int
    """How large an event may be."""

    def bind(self, variables: dict[str, Any] | None) -> BoundSubscription:
        """Return the subscription with these variables. Raises ``UNFIT``."""
        return BoundSubscription(self, self.argument(self.variables(variables or {})))

    def encode(self, changes: Changes) -> tuple[bytes, int]:
        """Return a response with as many of the changes as make an event, and how many. Raises AnswerTooLarge."""
        before = _BEFORE + self.key_json + b"["
        encode = self.projection.encode
        entries = fill((encode(*change) for change in changes.items()), len(before) + len(_AFTER) + 1, self.most)
        return before + b",".join(entries) + b"]" + _AFTER, len(entries)

    async def events(self, user_ids: Sequence[str], context: Context) -> AsyncGenerator[bytes, None]:
        """Yield the responses until closed. Raises UserlineError."""
        async with aclosing(watching.users_changed(context, user_ids)) as all_changes:
            async for changes in all_changes:
                for event in self._events(changes):
                    yield event

    def _events(self, changes: Changes) -> Iterator[bytes]:
        event, number = self.encode(changes)
        yield event
        while number < len(changes):
            changes = dict(islice(changes.items(), number, None))
            event, number = self.encode(changes)
            yield event


Watching: TypeAlias = WatchStep | WatchManyStep


class BoundSubscription(NamedTuple):
    """A subscription with its argument: an id, or a list of ids where the step is of many."""

    step: Watching
    argument: Any
