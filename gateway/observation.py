"""The engine as transports use it: every operation is counted, timed and, where there is a tracer, traced."""

from __future__ import annotations

import time
from contextlib import aclosing, nullcontext
from typing import TYPE_CHECKING

from userline.execution.general import GeneralSubscription
from userline.execution.operation import RequestRefused, SubscriptionFailed, out_of_time
from userline.execution.plans.planned import PlannedSubscription
from userline.telemetry.metrics.recorder import REFUSED, code_of
from userline.users.errors import ErrorCode

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable
    from contextlib import AbstractContextManager

    from graphql import OperationType

    from userline.execution.engine import Engine, Execution, Subscription
    from userline.execution.operation import Response, Room
    from userline.execution.request import GraphQLRequest
    from userline.resolvers.context import Context
    from userline.telemetry.metrics.recorder import Metrics
    from userline.telemetry.tracing.tracer import Tracer


class Observation:
    """One operation that is under way: its name, and where its end is told."""

    __slots__ = ("_metrics", "_started", "name", "tracer")

    def __init__(self, name: str | None, metrics: Metrics, tracer: Tracer | None) -> None:
        self.name = name
        self.tracer = tracer
        self._metrics = metrics
        self._started = time.perf_counter()

    def span(self, kind: str) -> AbstractContextManager[object]:
        """Trace what is done inside of this."""
        return nullcontext() if self.tracer is None else self.tracer.operation(kind, self.name)

    def end(self, code: str) -> None:
        """Count it."""
        self._metrics.request(self.name, code, time.perf_counter() - self._started)


class ObservedExecution:
    """A query or mutation that is ready to be executed, once."""

    __slots__ = ("_execution", "_observation")

    def __init__(self, execution: Execution, observation: Observation) -> None:
        self._execution = execution
        self._observation = observation

    @property
    def type(self) -> OperationType:
        """Whether it is a query or a mutation."""
        return self._execution.type

    @property
    def name(self) -> str | None:
        """Its name in the document."""
        return self._observation.name

    def execute(self, room: Room | None = None) -> Response | Awaitable[Response]:
        """Execute it: at once where nothing has to be waited for. What goes wrong is in the response.

        Without ``room`` for its answer there is that of one answer.
        """
        if self._observation.tracer is not None:
            return self._trace(room)
        answer = self._execution.execute(room)
        if not isinstance(answer, bytes):
            return self._finish(answer)
        self._observation.end(code_of(answer))
        return answer

    def out_of_time(self, seconds: float) -> Response:
        """Return the response if it was not executed in so many seconds, and count it."""
        self._observation.end(ErrorCode.STORE_UNAVAILABLE)
        return out_of_time(seconds)

    async def _finish(self, answer: Awaitable[Response]) -> Response:
        response = await answer
        self._observation.end(code_of(response))
        return response

    async def _trace(self, room: Room | None) -> Response:
        with self._observation.span(self.type.value):
            answer = self._execution.execute(room)
            return await self._finish(_now(answer) if isinstance(answer, bytes) else answer)


class ObservedSubscription:
    """A subscription that is ready to be executed, once."""

    __slots__ = ("_observation", "_subscription")

    def __init__(self, subscription: Subscription, observation: Observation) -> None:
        self._subscription = subscription
        self._observation = observation

    @property
    def name(self) -> str | None:
        """Its name in the document."""
        return self._observation.name

    async def events(self) -> AsyncGenerator[Response, None]:
        """Yield the events until closed. Raises SubscriptionFailed. Counted when it has begun or failed to."""
        begun = False
        try:
            async with aclosing(self._subscription.events()) as events:
                async for response in events:
                    if not begun:
                        begun = True
                        self._observation.end(code_of(response))
                    yield response
        except SubscriptionFailed as failure:
            if not begun:
                self._observation.end(failure.errors[0]["extensions"]["code"])
            raise


class ObservedEngine:
    """Prepares operations of an engine."""

    def __init__(self, engine: Engine, metrics: Metrics, tracer: Tracer | None = None) -> None:
        self._engine = engine
        self._metrics = metrics
        self._tracer = tracer

    def prepare(self, request: GraphQLRequest, context: Context) -> ObservedExecution | ObservedSubscription:
        """Return the operation that the request asks for. Raises RequestRefused."""
        observation = Observation(REFUSED, self._metrics, self._tracer)
        try:
            operation = self._engine.prepare(request, context)
        except RequestRefused as refused:
            observation.end(refused.errors[0]["extensions"]["code"])
            raise
        observation.name = self._engine.name_of(request)
        if isinstance(operation, PlannedSubscription | GeneralSubscription):
            return ObservedSubscription(operation, observation)
        return ObservedExecution(operation, observation)


async def _now(response: Response) -> Response:
    return response
