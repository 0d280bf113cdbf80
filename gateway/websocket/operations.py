"""The operations of one socket, by the ids that its client gave them."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from typing import TYPE_CHECKING

from starlette.websockets import WebSocketDisconnect

from userline.common import tasks
from userline.directory.allowance import Allowance
from userline.execution.errors import format_refusal
from userline.execution.operation import RequestRefused, SubscriptionFailed, VariablesRefused
from userline.execution.pending import OutOfTime
from userline.execution.plans.planned import PlannedSubscription
from userline.execution.request import parse_request
from userline.gateway.answering.answering import owe_nothing
from userline.gateway.websocket.protocol import CloseCode, Closed
from userline.gateway.websocket.watches import SocketWatches
from userline.users.errors import BadUserInput, RateLimited

if TYPE_CHECKING:
    from userline.execution.engine import Subscription
    from userline.execution.errors import FormattedError
    from userline.execution.request import GraphQLRequest
    from userline.gateway.answering.answering import Answering, Owe
    from userline.gateway.answering.prepared import Prepared
    from userline.gateway.websocket.channel import Channel
    from userline.gateway.websocket.deliveries import Deliveries
    from userline.gateway.websocket.protocol import Message, TransportWS
    from userline.server.direct import DirectSocket
    from userline.users.viewer import Viewer

logger = logging.getLogger("userline.websocket")


class SocketOperations:
    """The operations of a socket under way: with a task each, or watched by slots without one."""

    def __init__(  # noqa: PLR0913 - each is a part of the socket
        self,
        answering: Answering,
        channel: Channel,
        protocol: TransportWS,
        request_id: str,
        *,
        most: int,
        most_watched_users: int,
        direct: DirectSocket | None,
        deliveries: Deliveries,
    ) -> None:
        self._answering = answering
        self._channel = channel
        self._protocol = protocol
        self._request_id = request_id
        self._most = most
        self.owe: Owe = owe_nothing
        """Counts an operation that asks for work."""
        self._allowance = Allowance(most_watched_users)
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._subscriptions: set[str] = set()
        """Those of the tasks that are subscriptions."""
        self._watches = SocketWatches(direct, deliveries, self._fail, answering.enter) if direct else None

    async def end(self) -> None:
        """End everything that is under way, and drop what refers back to this: no collection has to find it then."""
        if self._watches is not None:
            self._watches.close()
            self._watches = None
        await tasks.end(self._tasks.values())
        self._tasks.clear()

    async def begin(self, message: Message, viewer: Viewer) -> None:
        """Begin the operation of a ``subscribe`` message. Raises Closed and WebSocketDisconnect."""
        if message.id in self._tasks or (self._watches is not None and message.id in self._watches):
            if not self._protocol.restarts_operations:
                raise Closed(CloseCode.SUBSCRIBER_ALREADY_EXISTS, f"Subscriber for {message.id} already exists")
            await self.stop(message.id)
        try:
            request = parse_request(message.payload)
        except BadUserInput as error:
            await self._channel.send(self._protocol.error(message.id, [format_refusal(error)]))
            return
        if len(self._tasks) - len(self._subscriptions) >= self._most:
            await self.refuse(
                message.id, RateLimited(f"This socket has {self._most} operations under way, which is the limit.")
            )
            return
        try:
            prepared = self._prepare_now(request, viewer)
        except RequestRefused as refused:
            for text in self._refusal(message.id, refused):
                await self._channel.send(text)
            return
        if prepared is None or not self._watch(message.id, prepared):
            self._tasks[message.id] = asyncio.create_task(self._run(message.id, [request], viewer, prepared))

    async def refuse(self, operation_id: str, error: RateLimited) -> None:
        """Tell the client that an operation is not begun. Raises WebSocketDisconnect."""
        for text in self._protocol.failed(operation_id, [format_refusal(error)]):
            await self._channel.send(text)

    def _refusal(self, operation_id: str, refused: RequestRefused) -> tuple[str, ...]:
        """Return the messages that end an operation that is refused: for its document, or for its variables."""
        if isinstance(refused, VariablesRefused):
            return self._protocol.failed(operation_id, refused.errors)
        return (self._protocol.error(operation_id, refused.errors),)

    async def stop(self, operation_id: str) -> None:
        """End an operation, if it is under way."""
        if self._watches is not None and self._watches.stop(operation_id):
            return
        task = self._tasks.pop(operation_id, None)
        self._subscriptions.discard(operation_id)
        await tasks.end([task])

    def _prepare_now(self, request: GraphQLRequest, viewer: Viewer) -> Prepared | None:
        """Return the operation if it is its turn: perhaps it needs no task. Raises RequestRefused."""
        if self._watches is None:
            return None
        return self._answering.prepare_now(
            request, self._answering.context(self._request_id, viewer, self._allowance), self.owe
        )

    def _watch(self, operation_id: str, prepared: Prepared) -> bool:
        """Start a subscription that needs no task, and return whether it is one."""
        operation = prepared.operation
        if (
            self._watches is None
            or not isinstance(operation, PlannedSubscription)
            or self._has_too_many_subscriptions()
            or not self._watches.start(operation_id, operation, self._protocol.next_prefix(operation_id))
        ):
            return False
        self._answering.count(prepared)
        return True

    def _has_too_many_subscriptions(self) -> bool:
        return len(self._subscriptions) + len(self._watches or ()) >= self._most

    def _count_subscription(self, operation_id: str, subscription: Subscription) -> None:
        if self._has_too_many_subscriptions():
            raise subscription.failure(RateLimited(f"This socket has {self._most} subscriptions, which is the limit."))
        self._subscriptions.add(operation_id)

    def _fail(self, operation_id: str, errors: list[FormattedError], *, has_begun: bool) -> None:
        """Tell the client that a subscription cannot begin, or cannot go on."""
        self._answering.count_failure(errors[0]["extensions"]["code"])
        self._channel.start(self._channel.send_last(*self._end_of(operation_id, errors, has_begun=has_begun)))

    def _end_of(self, operation_id: str, errors: list[FormattedError], *, has_begun: bool) -> tuple[str, ...]:
        """Return the messages that end a subscription that has failed."""
        if has_begun:
            return (self._protocol.error(operation_id, errors),)
        return self._protocol.failed(operation_id, errors)

    async def _run(
        self, operation_id: str, asked: list[GraphQLRequest], viewer: Viewer, prepared: Prepared | None
    ) -> None:
        """Run an operation to its end and say so, unless it is stopped before.

        The id is free for a next operation from just before the message that ends this one. ``asked`` has the request,
        and is emptied when that is of no more use: it may be large, and subscriptions stay for long.
        """
        leave = self._answering.enter(viewer)
        try:
            last = await self._answer(operation_id, asked, viewer, prepared)
        except RequestRefused as refused:
            last = self._refusal(operation_id, refused)
        except WebSocketDisconnect:
            return
        except Exception:
            logger.exception("An operation failed unexpectedly (request id %s).", self._request_id)
            closed = Closed(CloseCode.INTERNAL_ERROR, f"Internal error, request id {self._request_id}.")
            await self._channel.close(closed)
            return
        finally:
            if self._tasks.get(operation_id) is asyncio.current_task():
                self._subscriptions.discard(operation_id)
            leave()
        if self._tasks.get(operation_id) is asyncio.current_task():
            del self._tasks[operation_id]
        await self._channel.send_last(*last)

    async def _answer(
        self, operation_id: str, asked: list[GraphQLRequest], viewer: Viewer, prepared: Prepared | None
    ) -> tuple[str, ...]:
        """Send what an operation comes to, and return what is still to be sent: its last messages.

        Raises RequestRefused and WebSocketDisconnect.
        """
        complete = self._protocol.complete(operation_id)
        until = self._answering.time_limit.until()
        try:
            if prepared is None:
                context = self._answering.context(self._request_id, viewer, self._allowance)
                prepared = await self._answering.prepare(asked[0], context, until, self.owe)
        except OutOfTime as refusal:
            return self._protocol.next(operation_id, refusal.response), complete
        asked.clear()
        if not prepared.is_subscription:
            response = await self._answering.execute(prepared, until)
            return self._protocol.next(operation_id, response), complete
        has_begun = False
        try:
            self._count_subscription(operation_id, prepared.subscription)
            async with aclosing(self._answering.events(prepared)) as events:
                async for event in events:
                    await self._channel.send(self._protocol.next(operation_id, event))
                    has_begun = True
        except SubscriptionFailed as failure:
            return self._end_of(operation_id, failure.errors, has_begun=has_begun)
        return (complete,)
