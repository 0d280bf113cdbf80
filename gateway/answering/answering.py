"""The rules around every operation, once for all transports: HTTP, batches, sockets, streams, the fast lane."""

from __future__ import annotations

import time
from contextlib import aclosing, nullcontext
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from userline.directory.pacer import EXECUTING_SECONDS, MOST_LITTLE, PREPARING_SECONDS
from userline.execution.engine import GeneralWayNotLoaded
from userline.execution.operation import AnswerTooLarge, RequestRefused, SubscriptionFailed
from userline.execution.pending import Executing, OutOfTime
from userline.execution.plans.planned import PlannedExecution
from userline.gateway.answering.known import Known, KnownBodies
from userline.gateway.answering.prepared import Prepared
from userline.gateway.rate_limit import UNLIMITED, key_of, source_of
from userline.gateway.request_ids import new_request_id
from userline.gateway.request_log import Asked, log_access, log_request
from userline.resolvers.context import Context
from userline.telemetry.metrics.recorder import OK, REFUSED, UNNAMED, code_of, cut
from userline.users.errors import ErrorCode
from userline.users.viewer import OPEN_VIEWER

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from userline.directory.allowance import Allowance
    from userline.directory.fair_queue import Source
    from userline.directory.users import Users
    from userline.execution.engine import Engine, Execution
    from userline.execution.operation import AnswerBudget, Response
    from userline.execution.pending import Pending
    from userline.execution.request import GraphQLRequest
    from userline.gateway.answering.known import ReadBody
    from userline.gateway.answering.meaning import Meaning
    from userline.gateway.auth.authenticator import Authenticator
    from userline.gateway.rate_limit import Pace, RateLimiter
    from userline.gateway.request_log import RequestLog
    from userline.presence.presence import Presence
    from userline.resolvers.context import AppInfo
    from userline.telemetry.metrics.recorder import Metrics
    from userline.telemetry.tracing.tracer import Tracer
    from userline.users.viewer import Viewer


Owe: TypeAlias = "Callable[[], None]"
"""Counts an operation that asks for work."""

Begun: TypeAlias = "tuple[str, Response | Pending]"
"""The id of a request, and its response."""


def _everybody(_: bytes | None) -> Viewer:
    """Return who asks an open gateway."""
    return OPEN_VIEWER


def owe_nothing() -> None:
    """Count nothing."""


class Answering:
    """Answers operations of one gateway. For one event loop.

    ``begin`` is for a whole request whose operation is known; all others are prepared and then executed or watched.
    """

    def __init__(  # noqa: PLR0913 - each is a part of the gateway
        self,
        *,
        engine: Engine,
        users: Users,
        app: AppInfo,
        presence: Presence,
        authenticator: Authenticator,
        rate_limiter: RateLimiter,
        pace: Pace,
        metrics: Metrics,
        tracer: Tracer | None,
        request_log: RequestLog,
    ) -> None:
        self._engine = engine
        self._users = users
        self._app = app
        self._presence = presence
        self._authenticator = authenticator
        self.known_viewer = _everybody if authenticator.is_open else authenticator.known
        """Returns who shows the token with a digest, or None if that is still to be found out."""
        self._bodies = KnownBodies(engine, metrics)
        self.known_body = self._bodies.get
        """Returns what a body is remembered to ask for, or None."""
        self._rate_limiter = rate_limiter
        self.pace = pace
        self._metrics = metrics
        self._tracer = tracer
        self._request_log = request_log
        self._pacer = engine.pacer
        self.time_limit = engine.time_limit

    def context(self, request_id: str, viewer: Viewer, allowance: Allowance | None = None) -> Context:
        """Return the context of one operation."""
        return Context(self._users, self._app, viewer, self._presence, request_id, allowance)

    # Who asks, and how often.

    def charge(self, key: str | None, requests: int = 1) -> None:
        """Count what is asked for under a key of ``key_of``. Raises RateLimited."""
        wait = self._rate_limiter.take(key, requests)
        if wait:
            raise self._rate_limiter.refusal(wait)

    def enter(self, viewer: Viewer) -> Callable[[], None]:
        """Note that the viewer is connected, until what is returned is called."""
        self._presence.enter(viewer.user_id)
        return partial(self._presence.leave, viewer.user_id)

    # A request whose operation is known, answered at once where nothing has to be waited for.

    def begin(
        self, meaning: Meaning, viewer: Viewer, body: bytes, client: tuple[str, int] | None, known: Known | None
    ) -> Begun | ReadBody | None:
        """Answer a request whose head is understood, or begin to, if its operation is known.

        It is counted and logged with its answer. Else return what its body says if it was read, or None: then the
        application is to look at it. ``client`` is the address of the client; ``known`` is what ``known_body`` returns.
        """
        limiter = self._rate_limiter
        if known is None:
            has_to_wait = limiter.is_on and limiter.wait(key_of(viewer, {"client": client}))
            read = None if has_to_wait else self._bodies.read(body)  # the application says who has to wait
            if not isinstance(read, Known):
                return read
            known = read
        if limiter.is_on and viewer.kind is not UNLIMITED and limiter.take(key_of(viewer, {"client": client})):
            return None  # nothing is taken: who says so is the one that asks again
        started = time.perf_counter()
        request_id = meaning.request_id or new_request_id()
        bound, pacer = known.bound, self._pacer
        pacer.little += known.work
        if pacer.little > MOST_LITTLE and not pacer.has_time(EXECUTING_SECONDS):
            source = source_of(viewer, {"client": client})
            execution = PlannedExecution(bound, self.context(request_id, viewer), self.time_limit)
            pending: Pending = Executing(self._execute_later(execution, None, source), self.time_limit)
            asked = Asked(request_id, viewer, (known.name or UNNAMED,), client, meaning.trace_id)
            pending.on_response = partial(self.note, known.name, asked, started)
            return request_id, pending
        steps, arguments = bound
        try:
            begun = steps.begin(arguments, self._users)
        except AnswerTooLarge as refusal:
            asked = Asked(request_id, viewer, (known.name or UNNAMED,), client, meaning.trace_id)
            self.note(known.name, asked, started, refusal.response)
            return request_id, refusal.response
        if not isinstance(begun, bytes):
            pending = steps.finish(begun, arguments, self.context(request_id, viewer), self.time_limit)
            asked = Asked(request_id, viewer, (known.name or UNNAMED,), client, meaning.trace_id)
            pending.on_response = partial(self.note, known.name, asked, started)
            return request_id, pending
        seconds = time.perf_counter() - started
        if known.seconds is not None:
            known.seconds.add(seconds)
        else:
            self._metrics.request(known.name, OK, seconds)
        if self._request_log.is_on:
            name = UNNAMED if known.name is None else cut(known.name)
            log_request(request_id, viewer, name, seconds, client, meaning.trace_id)
        return request_id, begun

    def note(self, name: str | None, asked: Asked, started: float, response: Response) -> None:
        """Count and log the response to a known operation that was not answered at once."""
        seconds = time.perf_counter() - started
        self._metrics.request(name, code_of(response), seconds)
        if self._request_log.is_on:
            log_access("POST", "/graphql", 200, seconds, asked)

    # Any other operation: prepared, and then executed or watched.

    async def prepare(
        self, request: GraphQLRequest, context: Context, until: float | None = None, owe: Owe = owe_nothing
    ) -> Prepared:
        """Return the operation that is asked for when it is its turn. Raises RequestRefused and OutOfTime.

        ``owe`` is called if it asks for work; who has charged for that before leaves it out.
        """
        if not self._pacer.has_turn(PREPARING_SECONDS):
            try:
                await self.time_limit.wait(self._pacer.turn(PREPARING_SECONDS), until)
            except OutOfTime as refusal:
                self._metrics.request(REFUSED, ErrorCode.STORE_UNAVAILABLE, refusal.seconds)
                raise
        try:
            return self._prepare(request, context, owe)
        except GeneralWayNotLoaded:  # it is the first that needs it
            await self._engine.load()
            return self._prepare(request, context, owe)

    def prepare_now(self, request: GraphQLRequest, context: Context, owe: Owe = owe_nothing) -> Prepared | None:
        """Return the operation that is asked for if it can be prepared at once. Raises RequestRefused."""
        try:
            return self._prepare(request, context, owe) if self._pacer.has_turn(PREPARING_SECONDS) else None
        except GeneralWayNotLoaded:
            return None

    def _prepare(self, request: GraphQLRequest, context: Context, owe: Owe) -> Prepared:
        started = time.perf_counter()
        unknown = self._engine.documents.misses
        try:
            operation = self._engine.prepare(request, context, loads=False)
        except RequestRefused as refused:
            owe()
            self._metrics.request(REFUSED, refused.errors[0]["extensions"]["code"], time.perf_counter() - started)
            raise
        prepared = Prepared(operation, self._engine.name_of(request), started)
        if not prepared.watches_one or self._engine.documents.misses != unknown:
            owe()
        return prepared

    async def execute(
        self, prepared: Prepared, until: float | None = None, budget: AnswerBudget | None = None
    ) -> Response:
        """Execute a query or mutation when it is its turn. What goes wrong is in the response.

        Without ``budget`` it has that of one answer.
        """
        execution = prepared.execution
        span = nullcontext() if self._tracer is None else self._tracer.operation(execution.type.value, prepared.name)
        with span:
            if self._pacer.has_turn(EXECUTING_SECONDS):
                begun = execution.begin(budget)
                response = begun if isinstance(begun, bytes) else await begun
            else:
                response = await self.time_limit.hold(self._execute_later(execution, budget), until)
        self.count(prepared, code_of(response))
        return response

    async def _execute_later(
        self, execution: Execution, budget: AnswerBudget | None, source: Source | None = None
    ) -> Response:
        """Answer when it is its turn."""
        await self._pacer.turn(EXECUTING_SECONDS, source)
        begun = execution.begin(budget)
        return begun if isinstance(begun, bytes) else await begun

    async def events(self, prepared: Prepared) -> AsyncGenerator[Response, None]:
        """Yield the events of a subscription until closed. Raises SubscriptionFailed.

        It is counted when it has begun, or failed to.
        """
        begun = False
        try:
            async with aclosing(prepared.subscription.events()) as events:
                async for response in events:
                    if not begun:
                        begun = True
                        self.count(prepared, code_of(response))
                    yield response
        except SubscriptionFailed as failure:
            if not begun:
                self.count(prepared, failure.errors[0]["extensions"]["code"])
            raise

    def count(self, prepared: Prepared, code: str = OK) -> None:
        """Count an operation that has ended, or a subscription that has begun."""
        self._metrics.request(prepared.name, code, time.perf_counter() - prepared.started)

    def count_failure(self, code: str) -> None:
        """Count a subscription that was counted when it began, and cannot go on."""
        self._metrics.request(REFUSED, code, 0.0)
