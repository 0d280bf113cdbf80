"""A compiled operation: what it is to those who execute it, and its steps for each combination of conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

from pydantic import ValidationError

from userline.execution.plans.selections import NotSimple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from graphql import OperationType

    from userline.directory.users import Users
    from userline.execution.operation import AnswerBudget, Response
    from userline.execution.pending import Pending, TimeLimit
    from userline.execution.plans.selections import Conditions
    from userline.execution.plans.subscriptions import BoundSubscription
    from userline.execution.plans.values import Reader
    from userline.resolvers.context import Context

UNFIT: Final = (NotSimple, ValidationError)
"""What ``bind`` raises of variables that the general way has to look at."""


class Plan(Protocol):
    """The plan of an operation."""

    def bind(self, variables: dict[str, Any] | None) -> Bound | BoundSubscription:
        """Return the operation with these variables. Raises ``UNFIT``."""


class Steps(Protocol):
    """A query or mutation. It may be executed again and again, for one viewer or another."""

    type: OperationType
    work: int
    """How much it is for a turn of the event loop to begin it, if nobody has to be loaded; one user is 1."""

    def begin(self, arguments: Any, users: Users, budget: AnswerBudget | None = None) -> Response | Any:
        """Return the response if nothing has to be waited for, else what ``finish`` goes on with.

        Without ``budget`` it has that of one answer. Raises AnswerTooLarge.
        """

    def finish(
        self, begun: Any, arguments: Any, context: Context, limit: TimeLimit, budget: AnswerBudget | None = None
    ) -> Pending:
        """Return the response after ``begin``. What goes wrong is in it."""


class Bound(NamedTuple):
    """A query or mutation with its arguments."""

    steps: Steps
    arguments: Sequence[Any]


class Variants:
    """The plan of an operation in which variables say, by @include and @skip, what is selected.

    It is compiled for each combination of theirs that is asked for.
    """

    def __init__(self, conditions: Sequence[str], read: Reader, compile_variant: Callable[[Conditions], Plan]) -> None:
        self._conditions = conditions
        self._read = read
        self._compile = compile_variant
        self._variants: dict[tuple[bool, ...], Plan | None] = {}

    def bind(self, variables: dict[str, Any] | None) -> Bound | BoundSubscription:
        """Return the operation with these variables. Raises ``UNFIT``."""
        values = self._read(variables or {})
        key = tuple(values[name] for name in self._conditions)
        if key not in self._variants:
            try:
                self._variants[key] = self._compile(dict(zip(self._conditions, key, strict=True)))
            except NotSimple:
                self._variants[key] = None
        variant = self._variants[key]
        if variant is None:
            raise NotSimple
        return variant.bind(variables)
