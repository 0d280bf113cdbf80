"""One GraphQL connection over a WebSocket: from the handshake to the close."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from contextlib import aclosing
from typing import TYPE_CHECKING, Final

import orjson
from starlette.responses import Response
from starlette.websockets import WebSocketDisconnect, WebSocketState

from userline.directory.allowance import Allowance
from userline.directory.pacer import PREPARING_SECONDS, SOURCE
from userline.execution.errors import format_refusal
from userline.execution.operation import RequestRefused, SubscriptionFailed, out_of_time
from userline.execution.plans.planned import PlannedSubscription
from userline.execution.request import NumberOverflows, parse_request
from userline.gateway.auth.tokens import LONGEST_SLEEP_SECONDS
from userline.gateway.observation import ObservedExecution, ObservedSubscription
from userline.gateway.rate_limit import address_of, key_of, source_of
from userline.gateway.websocket.credentials import NO_LONGER_VALID, Credentials
from userline.gateway.websocket.protocol import (
    ClientMessage,
    CloseCode,
    Closed,
    Message,
    TransportWS,
    choose_subprotocol,
)
from userline.gateway.websocket.watches import DIRECT, SocketWatches
from userline.telemetry.metrics.recorder import OK, REFUSED
from userline.users.errors import BadUserInput, ErrorCode, RateLimited

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from starlette.websockets import WebSocket

    from userline.execution.errors import FormattedError
    from userline.execution.operation import Response as Answer
    from userline.execution.request import GraphQLRequest
    from userline.gateway.runtime import Runtime
    from userline.users.viewer import Viewer

logger = logging.getLogger("userline.websocket")

_FIRST_MESSAGES: Final = 100
_FIRST_CHARACTERS: Final = 65_536
"""What a client may send before it says who it is with ``connection_init``, this message included."""


async def serve_websocket(websocket: WebSocket, runtime: Runtime) -> None:
    """Serve one socket until it is closed."""
    try:
        runtime.check_room()
    except RateLimited as error:
        await _refuse(websocket, 503, error.message)
        return
    address = address_of(websocket.scope)
    if not runtime.new_sockets.has_room(address):
        most = runtime.settings.max_new_sockets_per_address
        await _refuse(websocket, 429, f"This address has {most} new sockets open, which is the limit.")
        return
    with runtime.new_sockets.count(address) as is_known:
        await _serve(websocket, runtime, is_known)


async def _serve(websocket: WebSocket, runtime: Runtime, is_known: Callable[[], None]) -> None:
    protocol = choose_subprotocol(websocket.scope["subprotocols"])
    if protocol is None:
        # Accepted first, because a browser cannot see why a handshake was refused.
        await websocket.accept()
        await websocket.close(
            CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE,
            "Offer the subprotocol graphql-transport-ws (or the legacy graphql-ws).",
        )
        return
    await websocket.accept(protocol.name)
    runtime.sockets += 1
    session = _Session(websocket, protocol, runtime, is_known)
    try:
        await session.run()
    finally:
        runtime.sockets -= 1
        session.leave()


async def _refuse(websocket: WebSocket, status: int, message: str) -> None:
    """Answer a handshake for which there is no room."""
    body = orjson.dumps({"errors": [format_refusal(RateLimited(f"{message} Try again in a moment."))]})
    headers = {"content-type": "application/json; charset=utf-8", "retry-after": "5"}
    await websocket.send_denial_response(Response(body, status, headers))


class _Session:
    def __init__(
        self, websocket: WebSocket, protocol: TransportWS, runtime: Runtime, is_known: Callable[[], None]
    ) -> None:
        self._websocket = websocket
        self._protocol = protocol
        self._runtime = runtime
        self._request_id: str = websocket.scope["state"]["request_id"]
        self._operations: dict[str, asyncio.Task[None]] = {}
        self._streams: set[str] = set()
        """Those of them that are subscriptions."""
        self._background: set[asyncio.Task[None]] = set()
        self._credentials = Credentials(runtime.authenticator, websocket.scope)
        self._expiry: asyncio.TimerHandle | None = None
        self._initialised = False
        self._first_messages = 0
        self._first_characters = 0
        self._limited_as: str | None = None
        self._seat: str | None = None
        self._acknowledged = False
        self._patience: asyncio.TimerHandle | None = None
        self._is_known = is_known
        self._allowance = Allowance(runtime.settings.max_watched_users)
        direct = websocket.scope["state"].get(DIRECT)
        self._watches = SocketWatches(direct, runtime.deliveries, self._fail) if direct else None

    async def run(self) -> None:
        """Read messages until the socket is closed by either side, then end everything that was under way."""
        loop = asyncio.get_running_loop()
        self._patience = loop.call_later(self._runtime.settings.connection_init_seconds, self._give_up)
        try:
            while True:
                await self._receive()
        except WebSocketDisconnect:
            pass
        except Closed as closed:
            await self._close(closed)
        except Exception:
            logger.exception("A WebSocket connection failed unexpectedly (request id %s).", self._request_id)
            await self._close(Closed(CloseCode.INTERNAL_ERROR, f"Internal error, request id {self._request_id}."))
        finally:
            await self._end()

    async def _end(self) -> None:
        """End everything that is under way, and drop what refers back to this: no collection has to find it then."""
        for timer in (self._patience, self._expiry):
            if timer is not None:
                timer.cancel()
        self._patience = self._expiry = None
        if self._watches is not None:
            self._watches.close()
            self._watches = None
        tasks = [*self._operations.values(), *self._background]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._operations.clear()
        self._background.clear()

    async def _receive(self) -> None:
        event = await self._websocket.receive()
        if event["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(event.get("code", 1005))
        text = event.get("text")
        if text is None:
            raise Closed(CloseCode.BAD_REQUEST, "Messages must be text frames.")
        if self._websocket.application_state is not WebSocketState.CONNECTED:
            return  # what still comes in after the gateway has closed the socket is nobody's any more
        if not self._initialised:
            self._count_first(text)
        await self._handle(self._protocol.parse(text))

    def _count_first(self, text: str) -> None:
        """Count a message of a client that has not said who it is. Raises Closed."""
        self._first_messages += 1
        self._first_characters += len(text)
        if self._first_messages > _FIRST_MESSAGES or self._first_characters > _FIRST_CHARACTERS:
            raise Closed(
                CloseCode.RATE_LIMITED,
                f"More than {_FIRST_MESSAGES} messages or {_FIRST_CHARACTERS} characters before connection_init",
            )

    async def _handle(self, message: Message) -> None:
        limiter = self._runtime.rate_limiter
        wait = limiter.take(self._limited_as)
        if wait:
            refusal = limiter.refusal(wait)
            if message.type is not ClientMessage.SUBSCRIBE:
                raise Closed(CloseCode.RATE_LIMITED, refusal.message)
            await self._send(self._protocol.error(message.id, [format_refusal(refusal)]))
            return
        match message.type:
            case ClientMessage.CONNECTION_INIT:
                await self._initialise(message)
            case ClientMessage.PING:
                await self._pong(message)
            case ClientMessage.PONG:
                pass
            case ClientMessage.SUBSCRIBE:
                await self._subscribe(message)
            case ClientMessage.COMPLETE:
                await self._stop(message.id)
            case ClientMessage.TERMINATE:
                raise Closed(CloseCode.NORMAL, "")

    async def _pong(self, message: Message) -> None:
        if not await self._credentials.renew(message.payload):
            await self._send(self._protocol.pong(message.payload))
            return
        self._watch_expiry()
        ends_at = self._credentials.ends_at
        await self._send(self._protocol.pong({"expiresAt": None if ends_at is None else int(ends_at * 1000)}))

    async def _initialise(self, message: Message) -> None:
        if self._initialised:
            raise Closed(CloseCode.TOO_MANY_INITIALISATION_REQUESTS, "Too many initialisation requests")
        self._initialised = True
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        viewer = await self._credentials.establish(message.payload)
        self._websocket.scope["state"]["viewer"] = viewer
        self._enter(viewer)
        self._runtime.authenticator.live.enter(self)
        self._is_known()
        self._websocket.scope["headers"] = []  # they have told all that they can, and sockets stay for long
        self._watch_expiry()
        await self._send(self._protocol.acknowledge())
        self._acknowledged = True
        if self._protocol.keep_alive is not None:
            self._start_background(self._keep_alive(self._protocol.keep_alive))

    def _enter(self, viewer: Viewer) -> None:
        """Count the socket as one of its user's. Raises Closed."""
        self._limited_as = key_of(viewer, self._websocket.scope)
        SOURCE.set(source_of(viewer, self._websocket.scope))
        try:
            self._seat = self._runtime.seats.take(viewer, self._websocket.scope)
        except RateLimited as error:
            raise Closed(CloseCode.TOO_MANY_SOCKETS, error.message) from None

    def leave(self) -> None:
        """Count the socket no longer."""
        self._runtime.authenticator.live.leave(self)
        self._runtime.seats.give_back(self._seat)

    @property
    def shown_by(self) -> Viewer | None:
        """Whose token the socket has now."""
        return self._credentials.shown_by

    def end_token(self) -> None:
        """Close the socket, because its token is not good any more."""
        self._credentials.end()
        self._start_background(self._close(Closed(CloseCode.TOKEN_EXPIRED, NO_LONGER_VALID)))

    async def _subscribe(self, message: Message) -> None:
        if not self._acknowledged:
            raise Closed(CloseCode.UNAUTHORIZED, "Unauthorized")
        viewer = self._credentials.viewer
        if message.id in self._operations or (self._watches is not None and message.id in self._watches):
            if not self._protocol.restarts_operations:
                raise Closed(CloseCode.SUBSCRIBER_ALREADY_EXISTS, f"Subscriber for {message.id} already exists")
            await self._stop(message.id)
        try:
            request = parse_request(message.payload)
        except NumberOverflows as error:
            await self._send(self._protocol.error(message.id, [format_refusal(error)]))
            return
        except BadUserInput as error:
            raise Closed(CloseCode.BAD_REQUEST, error.message) from None
        most = self._runtime.settings.max_subscriptions
        if len(self._operations) - len(self._streams) >= most:
            refusal = RateLimited(f"This socket has {most} operations under way, which is the limit.")
            await self._send(self._protocol.error(message.id, [format_refusal(refusal)]))
            return
        if not self._watch(message.id, request, viewer):
            task = asyncio.create_task(self._run_operation(message.id, request, viewer))
            self._operations[message.id] = task

    def _watch(self, operation_id: str, request: GraphQLRequest, viewer: Viewer) -> bool:
        """Start a subscription that needs no task, and return whether it is one."""
        engine = self._runtime.engine
        if self._watches is None or not engine.pacer.has_turn(PREPARING_SECONDS):
            return False
        started = time.perf_counter()
        try:
            operation = engine.prepare(request, self._runtime.context(self._request_id, viewer, self._allowance))
        except RequestRefused:
            return False
        if not isinstance(operation, PlannedSubscription) or self._has_too_many_subscriptions():
            return False
        if not self._watches.start(operation_id, operation, self._protocol.next_prefix(operation_id)):
            return False
        self._runtime.metrics.request(engine.name_of(request), OK, time.perf_counter() - started)
        return True

    def _has_too_many_subscriptions(self) -> bool:
        return len(self._streams) + len(self._watches or ()) >= self._runtime.settings.max_subscriptions

    def _count_subscription(self, operation_id: str) -> None:
        if self._has_too_many_subscriptions():
            most = self._runtime.settings.max_subscriptions
            refusal = RateLimited(f"This socket has {most} subscriptions, which is the limit.")
            raise RequestRefused([format_refusal(refusal)])
        self._streams.add(operation_id)

    def _fail(self, operation_id: str, errors: list[FormattedError]) -> None:
        """Tell the client that a subscription cannot go on."""
        self._runtime.metrics.request(REFUSED, errors[0]["extensions"]["code"], 0.0)
        self._start_background(self._send_last(self._protocol.error(operation_id, errors)))

    async def _stop(self, operation_id: str) -> None:
        if self._watches is not None and self._watches.stop(operation_id):
            return
        task = self._operations.pop(operation_id, None)
        self._streams.discard(operation_id)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run_operation(self, operation_id: str, request: GraphQLRequest, viewer: Viewer) -> None:
        """Run an operation to its end and say so, unless it is stopped before.

        The id is free for a next operation from just before the message that ends this one.
        """
        presence = self._runtime.presence
        presence.enter(viewer.user_id)
        try:
            begun = await self._begin(request, viewer)
            if isinstance(begun, ObservedSubscription):
                self._count_subscription(operation_id)
                async with aclosing(begun.events()) as events:
                    async for response in events:
                        await self._send(self._protocol.next(operation_id, response))
            else:
                await self._send(self._protocol.next(operation_id, begun))
            last = self._protocol.complete(operation_id)
        except (RequestRefused, SubscriptionFailed) as failure:
            last = self._protocol.error(operation_id, failure.errors)
        except WebSocketDisconnect:
            return
        except Exception:
            logger.exception("An operation failed unexpectedly (request id %s).", self._request_id)
            await self._close(Closed(CloseCode.INTERNAL_ERROR, f"Internal error, request id {self._request_id}."))
            return
        finally:
            if self._operations.get(operation_id) is asyncio.current_task():
                self._streams.discard(operation_id)
            presence.leave(viewer.user_id)
        if self._operations.get(operation_id) is asyncio.current_task():
            del self._operations[operation_id]
        await self._send_last(last)

    async def _begin(self, request: GraphQLRequest, viewer: Viewer) -> ObservedSubscription | Answer:
        """Prepare an operation when it is its turn, and execute it if it is no subscription. Raises RequestRefused.

        What it waits is of the time that it may take.
        """
        runtime = self._runtime
        seconds = runtime.settings.operation_seconds
        operation = None
        try:
            async with asyncio.timeout(seconds):
                await runtime.engine.pacer.turn(PREPARING_SECONDS)
                context = runtime.context(self._request_id, viewer, self._allowance)
                operation = runtime.operations.prepare(request, context)
                if isinstance(operation, ObservedSubscription):
                    return operation
                answer = operation.execute()
                return answer if isinstance(answer, bytes) else await answer
        except TimeoutError:
            if isinstance(operation, ObservedExecution):
                return operation.out_of_time(seconds)
            runtime.metrics.request(REFUSED, ErrorCode.STORE_UNAVAILABLE, seconds)
            return out_of_time(seconds)

    async def _send_last(self, message: str) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            await self._send(message)

    def _give_up(self) -> None:
        """Close the socket of a client that has not said who it is."""
        if not self._initialised:
            closed = Closed(CloseCode.INITIALISATION_TIMEOUT, "Connection initialisation timeout")
            self._start_background(self._close(closed))

    def _watch_expiry(self) -> None:
        """Close the socket when the token that it has now expires."""
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if self._credentials.ends_at is not None:
            left = self._credentials.ends_at - time.time()
            if left <= 0:
                self._start_background(self._close(Closed(CloseCode.TOKEN_EXPIRED, "Token expired")))
                return
            delay = min(left, LONGEST_SLEEP_SECONDS)
            self._expiry = asyncio.get_running_loop().call_later(delay, self._watch_expiry)

    async def _keep_alive(self, message: str) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            await self._send(message)
            while self._runtime.settings.ping_seconds:
                await asyncio.sleep(self._runtime.settings.ping_seconds)
                await self._send(message)

    async def _send(self, text: str) -> None:
        """Send a message, waiting while the client reads slower than we write. Raises WebSocketDisconnect."""
        if self._websocket.application_state is not WebSocketState.CONNECTED:
            raise WebSocketDisconnect
        try:
            await self._websocket.send({"type": "websocket.send", "text": text})
        except RuntimeError as error:
            # The server below has closed the socket itself: a message past the limit, a ping without an answer.
            raise WebSocketDisconnect from error

    async def _close(self, closed: Closed) -> None:
        if self._websocket.application_state is WebSocketState.CONNECTED:
            with contextlib.suppress(WebSocketDisconnect, RuntimeError):
                await self._websocket.close(closed.code, closed.reason)

    def _start_background(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task
