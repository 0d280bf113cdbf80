"""Plans of subscriptions: who is watched, and how snapshots are sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from userline.execution.operation import AnswerTooLarge

if TYPE_CHECKING:
    from userline.execution.plans.projection import Projection
    from userline.execution.plans.values import Source, Values
    from userline.users.record import UserSnapshot


@dataclass(frozen=True, slots=True)
class WatchStep:
    """``userChanged(id:)``, or ``usersChanged(ids:)`` where ``is_of_many``."""

    key_json: bytes
    """How the field begins in a JSON object. The field itself would keep its document in memory."""
    argument: Source
    projection: Projection
    most: int
    """How large an event may be."""
    is_of_many: bool = False

    def read(self, values: Values) -> Any:
        """Return the id or ids, or UNFIT."""
        return self.argument(values)

    def encode(self, snapshot: UserSnapshot | None) -> bytes:
        """Return the response that is an event. Raises AnswerTooLarge."""
        event = b'{"data":{' + self.key_json + self.projection.encode(snapshot) + b"}}"
        if len(event) > self.most:
            raise AnswerTooLarge(self.most)
        return event
