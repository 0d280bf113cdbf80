"""Plans of mutations: the root fields are written one after the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final, TypeAlias

from graphql import OperationType

from userline.execution.operation import AnswerBudget, AnswerTooLarge, respond
from userline.execution.pending import Executing
from userline.execution.plans.failures import format_failure
from userline.execution.plans.plan import Bound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from userline.directory.users import Users
    from userline.execution.operation import Response
    from userline.execution.pending import TimeLimit
    from userline.execution.plans.projection import Projection
    from userline.execution.plans.selections import SelectedField
    from userline.execution.plans.values import Reader, Source
    from userline.resolvers.context import Context


@dataclass(frozen=True, slots=True)
class PayloadField:
    """A field of a payload: the name of a flag of what was done, a projection of its user, or a constant."""

    key_json: bytes
    value: str | Projection | bytes

    def encode(self, written: Any) -> bytes:
        """Return the field as a member of a JSON object."""
        value = self.value
        if isinstance(value, str):
            return self.key_json + (b"true" if getattr(written, value) else b"false")
        return self.key_json + (value if isinstance(value, bytes) else value.encode(written.user))


@dataclass(frozen=True, slots=True)
class WriteStep:
    """A root field that writes a user. It is never null, so that there is no response if it fails."""

    field: SelectedField
    resolve: Callable[..., Awaitable[Any]]
    """The resolver. Its result has an attribute for each field of the payload."""
    arguments: Sequence[Source]
    payload: Sequence[PayloadField]

    async def write(self, arguments: Any, context: Context) -> bytes:
        """Write, and return the field as a member of the response. Raises UserlineError."""
        written = await self.resolve(context, *arguments)
        return self.field.key_json + b"{" + b",".join(field.encode(written) for field in self.payload) + b"}"


@dataclass(frozen=True, slots=True)
class TypenameStep:
    """``__typename`` among the root fields."""

    field: SelectedField
    arguments: ClassVar[Sequence[Source]] = ()

    async def write(self, _: Any, __: Context) -> bytes:
        """Return the field as a member of the response."""
        return self.field.key_json + b'"Mutation"'


_AROUND_BYTES: Final = len(b'{"data":{}}') - 1
"""What stands around the members of a response, without a comma that the last of them does not have."""

MutationStep: TypeAlias = WriteStep | TypenameStep


class MutationSteps:
    """The root fields of a mutation."""

    type = OperationType.MUTATION
    work = 4
    """As that of a query: to begin it is no more."""

    def __init__(self, variables: Reader, steps: Sequence[MutationStep], most: int) -> None:
        self._variables = variables
        self._steps = steps
        self._most = most

    def bind(self, variables: dict[str, Any] | None) -> Bound:
        """Return the mutation with these variables, and the arguments of each step. Raises ``UNFIT``."""
        values = self._variables(variables or {})
        return Bound(self, [[argument(values) for argument in step.arguments] for step in self._steps])

    def begin(self, _: Any, __: Users, ___: AnswerBudget | None = None) -> Response | None:
        """Do nothing yet: a write has to be waited for, unless @include and @skip have left none."""
        return None if self._steps else b'{"data":{}}'

    def finish(
        self, _: Any, arguments: Any, context: Context, limit: TimeLimit, budget: AnswerBudget | None = None
    ) -> Executing:
        """Execute the mutation, up to the first step that fails. What goes wrong is in the response."""
        return Executing(self._execute(arguments, context, budget), limit)

    async def _execute(self, arguments: Any, context: Context, budget: AnswerBudget | None) -> Response:
        members = []
        step = self._steps[0]
        try:
            if budget is not None:
                budget.charge(_AROUND_BYTES, writes=True)
            for step, argument in zip(self._steps, arguments, strict=True):
                member = await step.write(argument, context)
                if budget is None:
                    budget = AnswerBudget(self._most)
                    budget.charge(_AROUND_BYTES, writes=True)
                budget.charge(len(member) + 1, writes=True)  # with the comma, which the last one does not have
                members.append(member)
        except AnswerTooLarge as refusal:
            return refusal.response
        except Exception as error:  # noqa: BLE001 - nothing may reach the transport
            return respond(None, [format_failure(step.field, error, context.request_id)])
        return b'{"data":{' + b",".join(members) + b"}}"
