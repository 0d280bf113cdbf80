"""Planned operations that are ready to be executed, once."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from userline.execution.errors import format_refusal, mask
from userline.execution.operation import AnswerTooLarge, SubscriptionFailed
from userline.users.errors import UserlineError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from graphql import OperationType

    from userline.execution.operation import AnswerBudget, Response
    from userline.execution.pending import Pending
    from userline.execution.plans.plan import Bound, BoundSubscription
    from userline.execution.time_limit import TimeLimit
    from userline.resolvers.context import Context
    from userline.users.record import UserSnapshot


@dataclass(frozen=True, slots=True)
class PlannedExecution:
    """A query or mutation that its plan executes."""

    bound: Bound
    context: Context
    limit: TimeLimit

    @property
    def type(self) -> OperationType:
        """Whether it is a query or a mutation."""
        return self.bound.type

    def begin(self, budget: AnswerBudget | None = None) -> Response | Pending:
        """Execute it: at once where nothing has to be waited for. What goes wrong is in the response.

        Without ``budget`` it has that of one answer.
        """
        try:
            begun = self.bound.begin(self.context.users, budget)
        except AnswerTooLarge as refusal:
            return refusal.response
        return begun if isinstance(begun, bytes) else self.bound.finish(begun, self.context, self.limit, budget)


@dataclass(frozen=True, slots=True)
class PlannedSubscription:
    """A subscription that its plan executes."""

    bound: BoundSubscription
    context: Context

    async def events(self) -> AsyncGenerator[Response, None]:
        """Yield the events until closed. Raises SubscriptionFailed."""
        try:
            async with aclosing(self._watch()) as snapshots:
                async for snapshot in snapshots:
                    yield self.bound.step.encode(snapshot)
        except UserlineError as error:
            raise SubscriptionFailed([format_refusal(error)]) from None
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets it masked
            raise SubscriptionFailed([mask(error, self.context.request_id)]) from None

    def _watch(self) -> AsyncGenerator[UserSnapshot | None, None]:
        users, bound = self.context.users, self.bound
        if bound.step.is_of_many:
            return users.watch_many(bound.argument, self.context.allowance)
        return users.watch(bound.argument)
