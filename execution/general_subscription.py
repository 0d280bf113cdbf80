"""Subscriptions that graphql-core executes."""

from __future__ import annotations

import inspect
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import orjson
from graphql import ExecutionResult, located_error
from graphql.execution import create_source_event_stream, execute_subscription_event
from graphql.execution.collect_fields import collect_fields

from userline.execution.errors import format_field_error, format_field_errors
from userline.execution.events import fill
from userline.execution.operation import AnswerBudget, AnswerTooLarge, SubscriptionFailed, respond

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from graphql import FieldNode

    from userline.execution.bounded import BoundedExecutor
    from userline.execution.operation import Response
    from userline.resolvers.context import Context


@dataclass(frozen=True, slots=True)
class GeneralSubscription:
    """A subscription that graphql-core executes."""

    executor: BoundedExecutor
    context: Context

    async def events(self) -> AsyncGenerator[Response, None]:
        """Yield the events until closed. Raises SubscriptionFailed."""
        try:
            stream = create_source_event_stream(self.executor)
            if inspect.isawaitable(stream):
                stream = await stream
            if not isinstance(stream, ExecutionResult):
                async with aclosing(self._respond_to(cast("AsyncGenerator[Any, None]", stream))) as responses:
                    async for response in responses:
                        yield response
                return
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller gets it as an error of the field
            raise self.failure(error) from None
        raise SubscriptionFailed(format_field_errors(stream.errors or [], self.context.request_id))

    def failure(self, error: Exception) -> SubscriptionFailed:
        """Return how the subscription ends if it cannot begin or go on."""
        key, nodes = self._root_field()
        return SubscriptionFailed([format_field_error(located_error(error, nodes, [key]), self.context.request_id)])

    async def _respond_to(self, stream: AsyncGenerator[Any, None]) -> AsyncGenerator[Response, None]:
        async with aclosing(stream) as payloads:
            async for payload in payloads:
                if isinstance(payload, list):
                    async for response in self._respond_to_many(payload):
                        yield response
                else:
                    yield self._response(await self._execute(payload))

    async def _respond_to_many(self, payload: list[Any]) -> AsyncGenerator[Response, None]:
        """Yield the responses to an event with many things in it: as many in each as a plan would put there."""
        key = self._root_field()[0]
        around = len(orjson.dumps({"data": {key: []}}))
        waiting = [payload]
        entries: list[bytes] = []
        while waiting:
            part = waiting.pop()
            try:
                result = await self._execute(part)
            except AnswerTooLarge:
                if len(part) == 1:
                    if entries:
                        yield _join(key, entries)
                    raise
                half = len(part) // 2
                waiting += [part[half:], part[:half]]
                continue
            if result.errors or result.data is None:
                if entries:
                    yield _join(key, entries)
                    entries = []
                yield self._response(result)
                continue
            entries += [orjson.dumps(entry) for entry in result.data[key]]
            while True:
                taken = fill(entries, around, self.executor.budget.most)
                if len(taken) == len(entries) and waiting:
                    break  # there may be room for more
                yield _join(key, taken)
                del entries[: len(taken)]
                if not entries:
                    break

    async def _execute(self, payload: Any) -> ExecutionResult:
        result: Any = execute_subscription_event(self.executor.build_per_event_executor(payload))
        executed: ExecutionResult = await result if self.executor.is_awaitable(result) else result
        return executed

    def _response(self, result: ExecutionResult) -> Response:
        response = respond(result.data, format_field_errors(result.errors or (), self.context.request_id))
        AnswerBudget(self.executor.budget.most).charge(len(response))
        return response

    def _root_field(self) -> tuple[str, list[FieldNode]]:
        """Return the key of the field of the root, and where it is selected."""
        executor = self.executor
        root = executor.schema.subscription_type
        assert root is not None  # noqa: S101 - or this would be no subscription
        fields = collect_fields(
            executor.schema, executor.fragments, executor.variable_values, root, executor.operation, False
        ).grouped_field_set
        key, details = next(iter(fields.items()))
        return key, [each.node for each in details]


def _join(key: str, entries: list[bytes]) -> Response:
    return orjson.dumps({"data": {key: [orjson.Fragment(entry) for entry in entries]}})
