"""Planned operations that are ready to be executed, once."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from userline.execution.operation import AnswerTooLarge, SubscriptionFailed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from graphql import OperationType

    from userline.execution.operation import AnswerBudget, Response
    from userline.execution.pending import Pending, TimeLimit
    from userline.execution.plans.plan import Bound
    from userline.execution.plans.subscriptions import BoundSubscription
    from userline.resolvers.context import Context


@dataclass(frozen=True, slots=True)
class PlannedExecution:
    """A query or mutation that its plan executes."""

    bound: Bound
    context: Context
    limit: TimeLimit

    @property
    def type(self) -> OperationType:
        """Whether it is a query or a mutation."""
        return self.bound.steps.type

    def begin(self, budget: AnswerBudget | None = None) -> Response | Pending:
        """Execute it: at once where nothing has to be waited for. What goes wrong is in the response.

        Without ``budget`` it has that of one answer.
        """
        steps, arguments = self.bound
        try:
            begun = steps.begin(arguments, self.context.users, budget)
        except AnswerTooLarge as refusal:
            return refusal.response
        if isinstance(begun, bytes):
            return begun
        return steps.finish(begun, arguments, self.context, self.limit, budget)


@dataclass(frozen=True, slots=True)
class PlannedSubscription:
    """A subscription that its plan executes."""

    bound: BoundSubscription
    context: Context

    async def events(self) -> AsyncGenerator[Response, None]:
        """Yield the events until closed. Raises SubscriptionFailed."""
        bound = self.bound
        try:
            async with aclosing(bound.step.events(bound.argument, self.context)) as events:
                async for event in events:
                    yield event
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets it as an error of the field
            raise self.failure(error) from None

    def failure(self, error: BaseException) -> SubscriptionFailed:
        """Return how the subscription ends if it cannot begin or go on."""
        return SubscriptionFailed([self.bound.step.place.failure(error, self.context.request_id)])
