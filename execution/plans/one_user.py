"""The plan of most queries: one user. The response is made once for each snapshot."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from userline.changes.held import Miss
from userline.execution.operation import AnswerBudget, AnswerTooLarge
from userline.execution.pending import Lookup
from userline.execution.plans.failures import format_failure
from userline.execution.plans.projection import keep
from userline.execution.plans.queries import NULL, Constant, QuerySteps, UserStep, errors_member
from userline.resolvers import queries
from userline.users.errors import BadUserInput
from userline.users.record import UserSnapshot

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from userline.directory.users import Users
    from userline.execution.operation import Response
    from userline.execution.pending import Pending, TimeLimit
    from userline.execution.plans.queries import Step
    from userline.execution.plans.values import Reader
    from userline.resolvers.context import Context


class UserRead(NamedTuple):
    """A query that waits for one user, and how it is answered when the read has ended."""

    query: OneUserQuery
    future: asyncio.Future[UserSnapshot | None]

    def loaded(self, snapshot: UserSnapshot | None) -> Response:
        """Return the response with this snapshot. Raises AnswerTooLarge."""
        return self.query.response(snapshot)

    def failed(self, error: Exception, request_id: str) -> Response:
        """Return the response if the user could not be read, or there is no room for it."""
        return error.response if isinstance(error, AnswerTooLarge) else self.query.failure(error, request_id)


class OneUserQuery(QuerySteps):
    """A query whose only step is ``user(id:)``. Its response is made once for a snapshot, and kept with that."""

    work = 1

    def __init__(self, variables: Reader, root: Sequence[Constant | Step], step: UserStep, most: int) -> None:
        super().__init__(variables, root, most)
        self._step = step
        self._kept_for = object()
        """What responses are kept for, in place of this query: a snapshot is to keep no document alive."""

    def begin(self, arguments: Any, users: Users, budget: AnswerBudget | None = None) -> Response | list[bytes | None]:
        """Return the response if the user is held, else what ``finish`` goes on with. Raises AnswerTooLarge."""
        if budget is not None:
            return super().begin(arguments, users, budget)
        snapshot = users.held(arguments[0])
        if isinstance(snapshot, UserSnapshot):
            return snapshot.encodings.get(self._kept_for) or self.response(snapshot)
        return [None] if isinstance(snapshot, Miss) else self.response(None)

    def finish(
        self,
        parts: list[bytes | None],
        arguments: Any,
        context: Context,
        limit: TimeLimit,
        budget: AnswerBudget | None = None,
    ) -> Pending:
        """Read the user, without a task where it is a query of its own. What goes wrong is in the response."""
        if budget is None:
            with suppress(BadUserInput):  # what is wrong with the id, any query says
                read = UserRead(self, queries.load_user(context.users, arguments[0]))
                return Lookup(read, context.request_id, limit)
        return super().finish(parts, arguments, context, limit, budget)

    def response(self, snapshot: UserSnapshot | None) -> Response:
        """Return the response with this snapshot. Raises AnswerTooLarge."""
        before, after = self._ends
        response = before + (NULL if snapshot is None else self._step.projection.encode_anew(snapshot)) + after
        if len(response) > self._most:
            raise AnswerTooLarge(self._most)
        if snapshot is not None:
            keep(response, self._kept_for, snapshot)
        return response

    def failure(self, error: Exception, request_id: str) -> Response:
        """Return the response if the user could not be read."""
        before, after = self._ends
        errors = [format_failure(self._step.field, error, request_id)]
        return before + NULL + after.removesuffix(b"}") + errors_member(errors) + b"}"


def query_of(variables: Reader, root: Sequence[Constant | Step], most: int) -> QuerySteps:
    """Return what executes these root fields."""
    steps = [step for step in root if not isinstance(step, Constant)]
    if len(steps) == 1 and isinstance(steps[0], UserStep):
        return OneUserQuery(variables, root, steps[0], most)
    return QuerySteps(variables, root, most)
