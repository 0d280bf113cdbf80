"""An operation that is ready: parsed, validated, within the limits, with its variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from userline.execution.general_subscription import GeneralSubscription
from userline.execution.plans.planned import PlannedSubscription
from userline.execution.plans.subscriptions import WatchStep

if TYPE_CHECKING:
    from userline.execution.engine import Execution, Subscription


class Prepared(NamedTuple):
    """An operation that is ready to be executed or watched, once. ``started`` is a time of ``time.perf_counter``."""

    operation: Execution | Subscription
    name: str | None
    """Its name in the document."""
    started: float

    @property
    def is_subscription(self) -> bool:
        """Whether it is watched and not executed."""
        return isinstance(self.operation, PlannedSubscription | GeneralSubscription)

    @property
    def watches_one(self) -> bool:
        """Whether it watches one user, which is hardly any work: those who come back do so by the thousand."""
        operation = self.operation
        if isinstance(operation, PlannedSubscription):
            return isinstance(operation.bound.step, WatchStep)
        return isinstance(operation, GeneralSubscription) and operation.root_field == "userChanged"

    @property
    def execution(self) -> Execution:
        """The query or mutation that it is."""
        assert not isinstance(self.operation, PlannedSubscription | GeneralSubscription)  # noqa: S101 - who asks knows
        return self.operation

    @property
    def subscription(self) -> Subscription:
        """The subscription that it is."""
        assert isinstance(self.operation, PlannedSubscription | GeneralSubscription)  # noqa: S101 - who asks knows
        return self.operation
