"""Plans of queries: users in memory are returned at once, others after a read of the store."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson
from graphql import OperationType

from userline.changes.held import Miss
from userline.execution.operation import AnswerBudget, AnswerTooLarge, respond
from userline.execution.pending import Executing
from userline.execution.plans.failures import Place, format_failure
from userline.execution.plans.plan import Bound
from userline.resolvers import queries
from userline.users.errors import BadUserInput

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence

    from userline.directory.users import Users
    from userline.execution.errors import FormattedError
    from userline.execution.operation import Response
    from userline.execution.pending import Pending, TimeLimit
    from userline.execution.plans.projection import Projection
    from userline.execution.plans.selections import SelectedField
    from userline.execution.plans.values import Reader, Source
    from userline.resolvers.context import Context
    from userline.users.record import UserSnapshot

NULL: Final = b"null"


@dataclass(frozen=True, slots=True)
class Constant:
    """A root field whose value is known beforehand."""

    field: SelectedField
    value: bytes


@dataclass(frozen=True, slots=True)
class UserStep:
    """``user(id:)``, which is null if it fails."""

    field: SelectedField
    argument: Source
    projection: Projection

    def held(self, user_id: str, users: Users, most: int) -> bytes | None:  # noqa: ARG002 - as its sibling
        """Return the value if the user is held, else None."""
        snapshot = users.held(user_id)
        return None if isinstance(snapshot, Miss) else self.projection.encode(snapshot)

    async def load(self, user_id: str, users: Users) -> UserSnapshot | None:
        """Return the user, read from the store. Raises UserlineError."""
        return await queries.load_user(users, user_id)

    def encode(self, loaded: UserSnapshot | None, most: int) -> bytes:  # noqa: ARG002 - as its sibling
        """Return the value that was loaded: it is no larger than a user with all its aliases."""
        return self.projection.encode(loaded)


@dataclass(frozen=True, slots=True)
class UsersStep:
    """``users(ids:)``, without which there is no response."""

    field: SelectedField
    argument: Source
    projection: Projection

    def held(self, user_ids: Sequence[str], users: Users, most: int) -> bytes | None:
        """Return the value if all these users are held, else None. Raises AnswerTooLarge past ``most`` bytes."""
        snapshots = queries.held_users(users, user_ids)
        return None if isinstance(snapshots, Miss) else self.projection.encode_many(snapshots, most)

    async def load(self, user_ids: Sequence[str], users: Users) -> list[UserSnapshot | BadUserInput | None]:
        """Return the users, who is not held read from the store, and what is wrong with what is no id.

        Raises UserlineError.
        """
        return await queries.load_users(users, user_ids)

    def take_out(self, loaded: list[UserSnapshot | BadUserInput | None], request_id: str) -> list[FormattedError]:
        """Put null in the place of what is wrong with ids, and return an error for each."""
        wrong = [(number, each) for number, each in enumerate(loaded) if isinstance(each, BadUserInput)]
        if not wrong:
            return []
        for number, _ in wrong:
            loaded[number] = None
        place = Place.of(self.field.key, self.field.nodes)
        return [place.failure(error, request_id, number) for number, error in wrong]

    def encode(self, loaded: Sequence[UserSnapshot | None], most: int) -> bytes:
        """Return the value that was loaded. Raises AnswerTooLarge past ``most`` bytes."""
        return self.projection.encode_many(loaded, most)


Step: TypeAlias = UserStep | UsersStep


class _NoData(Exception):
    """A field that cannot be null failed, so the response has no data."""

    def __init__(self, field: SelectedField, error: Exception) -> None:
        super().__init__(field, error)
        self.field = field
        self.error = error


class QuerySteps:
    """The root fields of a query."""

    type = OperationType.QUERY
    work = 4

    def __init__(self, variables: Reader, root: Sequence[Constant | Step], most: int) -> None:
        self._variables = variables
        self._steps = [step for step in root if not isinstance(step, Constant)]
        self._around = _around_values(root)
        self._most = most
        self._around_bytes = sum(map(len, self._around)) + 1
        self._most_values = most - self._around_bytes
        self._only = self._steps[0] if len(self._steps) == 1 else None
        self._ends = self._around[0], self._around[-1] + b"}"

    def bind(self, variables: dict[str, Any] | None) -> Bound:
        """Return the query with these variables, and the argument of each step. Raises ``UNFIT``."""
        values = self._variables(variables or {})
        return Bound(self, [step.argument(values) for step in self._steps])

    def begin(self, arguments: Any, users: Users, budget: AnswerBudget | None = None) -> Response | list[bytes | None]:
        """Return the response if all is held, else the values that are: ``finish`` loads the others.

        Without ``budget`` it has that of one answer. Raises AnswerTooLarge.
        """
        if self._only is not None and budget is None:
            value = self._only.held(arguments[0], users, self._most_values)
            if value is None:
                return [None]
            if len(value) > self._most_values:
                raise AnswerTooLarge(self._most)
            before, after = self._ends
            return before + value + after
        budget = budget or AnswerBudget(self._most)
        budget.charge(self._around_bytes)
        parts = []
        for step, argument in zip(self._steps, arguments, strict=True):
            part = step.held(argument, users, budget.left)
            if part is not None:
                budget.charge(len(part))
            parts.append(part)
        return parts if None in parts else self._fill(parts) + b"}"

    def finish(
        self,
        parts: list[bytes | None],
        arguments: Any,
        context: Context,
        limit: TimeLimit,
        budget: AnswerBudget | None = None,
    ) -> Pending:
        """Load what was not held when it was begun. What goes wrong is in the response."""
        return Executing(self._load(parts, arguments, context, budget), limit)

    async def _load(
        self, parts: list[bytes | None], arguments: Any, context: Context, given_budget: AnswerBudget | None
    ) -> Response:
        errors: list[FormattedError] = []
        budget = given_budget or self._budget_beside(parts)

        async def load(number: int) -> None:
            step = self._steps[number]
            try:
                loaded: Any = await step.load(arguments[number], context.users)
                if isinstance(step, UsersStep):
                    errors.extend(step.take_out(loaded, context.request_id))
                part = step.encode(loaded, budget.left)
                budget.charge(len(part))
                parts[number] = part
            except AnswerTooLarge:
                raise
            except Exception as error:  # noqa: BLE001 - nothing may reach the transport
                if isinstance(step, UsersStep):
                    raise _NoData(step.field, error) from None
                errors.append(format_failure(step.field, error, context.request_id))

        missing = [number for number, part in enumerate(parts) if part is None]
        try:
            if len(missing) == 1:
                await load(missing[0])
            else:
                await _together([load(number) for number in missing])
        except _NoData as failure:
            return respond(None, [*errors, format_failure(failure.field, failure.error, context.request_id)])
        except AnswerTooLarge as refusal:
            return refusal.response
        return self._fill(parts) + (errors_member(errors) if errors else b"") + b"}"

    def _budget_beside(self, parts: list[bytes | None]) -> AnswerBudget:
        """Return the room that one answer has beside what was begun."""
        budget = AnswerBudget(self._most)
        budget.charge(self._around_bytes + sum(len(part) for part in parts if part))
        return budget

    def _fill(self, parts: Sequence[bytes | None]) -> bytes:
        filled = [self._around[0]]
        for part, after in zip(parts, self._around[1:], strict=True):
            filled += (part or NULL, after)
        return b"".join(filled)


def errors_member(errors: list[FormattedError]) -> bytes:
    """Return the member of a response with these errors, to follow another."""
    return b',"errors":' + orjson.dumps(errors)


async def _together(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Do all at once, up to the first that fails."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.gather(*tasks)
    except (_NoData, AnswerTooLarge):
        for task in tasks:
            task.cancel()
        raise


def _around_values(root: Sequence[Constant | Step]) -> list[bytes]:
    """Return what stands before, between and after the values of the steps."""
    around = [b'{"data":{']
    for number, step in enumerate(root):
        around[-1] += (b"," if number else b"") + step.field.key_json
        if isinstance(step, Constant):
            around[-1] += step.value
        else:
            around.append(b"")
    around[-1] += b"}"
    return around
