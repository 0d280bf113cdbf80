"""A compiled operation: how its variables are read, and its steps for each combination of conditions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from graphql import OperationType

from userline.execution.pending import Executing, Lookup
from userline.execution.plans.selections import NotSimple
from userline.execution.plans.subscriptions import WatchManyStep, WatchStep
from userline.execution.plans.values import UNFIT

if TYPE_CHECKING:
    from collections.abc import Callable

    from userline.directory.users import Users
    from userline.execution.operation import AnswerBudget, Response
    from userline.execution.pending import Pending, TimeLimit
    from userline.execution.plans.mutations import MutationSteps
    from userline.execution.plans.queries import QuerySteps
    from userline.execution.plans.subscriptions import Watching
    from userline.execution.plans.values import Reader, Values
    from userline.resolvers.context import Context

    Steps: TypeAlias = QuerySteps | MutationSteps | Watching

_VARIANTS: Final = 16


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable of an operation; ``default`` is UNFIT without one."""

    name: str
    read: Reader
    required: bool
    default: Any


@dataclass(frozen=True, slots=True)
class Bound:
    """A query or mutation with its arguments. It may be executed again and again, for one viewer or another."""

    type: OperationType
    steps: QuerySteps | MutationSteps
    arguments: Any

    def begin(self, users: Users, budget: AnswerBudget | None = None) -> Response | Any:
        """Return the response if nothing has to be waited for, else what ``finish`` goes on with.

        Without ``budget`` it has that of one answer. Raises AnswerTooLarge.
        """
        return self.steps.begin(self.arguments, users, budget)

    def finish(self, begun: Any, context: Context, limit: TimeLimit, budget: AnswerBudget | None = None) -> Pending:
        """Return the response after ``begin``. What goes wrong is in it."""
        is_alone = budget is None and self.type is OperationType.QUERY
        read = self.steps.look_up(self.arguments, context.users) if is_alone else None
        if read is not None:
            return Lookup(read, context.request_id, limit)
        return Executing(self.steps.finish(begun, self.arguments, context, budget), limit)


@dataclass(frozen=True, slots=True)
class BoundSubscription:
    """A subscription with its argument: an id, or a list of ids where the step is of many."""

    step: Watching
    argument: Any


class Plan:
    """The plan of an operation. What @include and @skip select is compiled for each of their combinations."""

    def __init__(
        self,
        operation_type: OperationType,
        variables: list[Variable],
        conditions: tuple[str, ...],
        compile_steps: Callable[[dict[str, bool]], Steps],
    ) -> None:
        self.type = operation_type
        self._variables = variables
        self._conditions = conditions
        self._compile = compile_steps
        self._variants: dict[tuple[bool, ...], Steps | None] = {}
        self._only = None if conditions else compile_steps({})

    def bind(self, variables: dict[str, Any] | None) -> Bound | BoundSubscription | None:
        """Return the operation with these variables, or None if the general way must look at them."""
        values = self._read(variables or {})
        if values is None:
            return None
        steps = self._only or self._variant(values)
        if steps is None:
            return None
        arguments = steps.read(values)
        if arguments is UNFIT:
            return None
        if isinstance(steps, WatchStep | WatchManyStep):
            return BoundSubscription(steps, arguments)
        return Bound(self.type, steps, arguments)

    def _read(self, given: dict[str, Any]) -> dict[str, Any] | None:
        values: dict[str, Any] = {}
        for variable in self._variables:
            name = variable.name
            if name in given:
                value = variable.read(given[name])
                if value is UNFIT:
                    return None
                values[name] = value
            elif variable.default is not UNFIT:
                values[name] = variable.default
            elif variable.required:
                return None
        return values

    def _variant(self, values: Values) -> Steps | None:
        try:
            key = tuple(values[name] for name in self._conditions)
        except KeyError:
            return None
        if None in key:
            return None
        if key not in self._variants:
            if len(self._variants) >= _VARIANTS:
                self._variants.clear()
            try:
                self._variants[key] = self._compile(dict(zip(self._conditions, key, strict=True)))
            except NotSimple:
                self._variants[key] = None
        return self._variants[key]
