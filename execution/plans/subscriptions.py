"""Plans of subscriptions: a user who is watched, and how its snapshots are sent."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from userline.execution.errors import format_refusal, mask
from userline.execution.operation import SubscriptionFailed
from userline.users.errors import UserlineError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from userline.execution.plans.projection import Projection
    from userline.execution.plans.selections import Field
    from userline.execution.plans.values import Source, Values
    from userline.resolvers.context import Context
    from userline.users.record import UserSnapshot


@dataclass(frozen=True, slots=True)
class WatchStep:
    """``userChanged(id:)``."""

    field: Field
    argument: Source
    projection: Projection

    def read(self, values: Values) -> Any:
        """Return the id, or UNFIT."""
        return self.argument(values)

    def encode(self, snapshot: UserSnapshot | None) -> bytes:
        """Return the response that is an event."""
        return b'{"data":{' + self.field.key_json + self.projection.encode(snapshot) + b"}}"


@dataclass(frozen=True, slots=True)
class PlannedSubscription:
    """A subscription that its plan executes."""

    step: WatchStep
    user_id: str
    context: Context

    async def events(self) -> AsyncGenerator[bytes, None]:
        """Yield the events until closed. Raises SubscriptionFailed."""
        try:
            async with aclosing(self.context.users.watch(self.user_id)) as snapshots:
                async for snapshot in snapshots:
                    yield self.step.encode(snapshot)
        except UserlineError as error:
            raise SubscriptionFailed([format_refusal(error)]) from None
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets it masked
            raise SubscriptionFailed([mask(error, self.context.request_id)]) from None
