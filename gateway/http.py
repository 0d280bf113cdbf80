"""GraphQL over HTTP: ``POST`` for every operation, ``GET`` for queries, arrays; streams for subscriptions.

Source: https://graphql.github.io/graphql-over-http/draft/
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NoReturn

from graphql import OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response

from userline.common.texts import listed
from userline.directory.pacer import SOURCE
from userline.execution.json_values import JSONRefused, decode
from userline.execution.operation import AnswerBudget, RequestRefused
from userline.execution.pending import OutOfTime
from userline.execution.request import parse_request
from userline.gateway.answering.prepared import Prepared
from userline.gateway.auth.bearer import challenge, token_of_request
from userline.gateway.body import BodyRefused, read_json
from userline.gateway.graphiql.page import graphiql_page
from userline.gateway.header_fields import joined
from userline.gateway.negotiation import API_HEADERS, EVENT_STREAM, GRAPHQL_RESPONSE, HTML, JSON, choose
from userline.gateway.query_string import parameters_in
from userline.gateway.rate_limit import address_of, key_of, source_of
from userline.gateway.refusals import HTTPRefused
from userline.gateway.streaming.framing import EventStream, Multipart, wants_multipart
from userline.gateway.streaming.stream import UNBUFFERED
from userline.telemetry.metrics.recorder import UNNAMED
from userline.users.errors import BadUserInput, RateLimited, StoreUnavailable, Unauthenticated

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from userline.execution.operation import Response as Answer
    from userline.execution.request import GraphQLRequest
    from userline.gateway.answering.answering import Answering
    from userline.gateway.answering.known import ReadBody
    from userline.gateway.auth.authenticator import Authenticator
    from userline.gateway.streaming.stream import Stream, Streams
    from userline.resolvers.context import Context
    from userline.settings.settings import Settings

_HOW_TO_SUBSCRIBE = (
    "Subscriptions are served over WebSocket at this address (graphql-transport-ws), and as server-sent events "
    "(Accept: text/event-stream)."
)


_PARAMETERS: Final = frozenset({"query", "operationName", "variables", "extensions", "documentId"})


class GraphQLOverHTTP:
    """The ASGI endpoint for HTTP requests to ``/graphql``."""

    def __init__(
        self, settings: Settings, answering: Answering, authenticator: Authenticator, streams: Streams
    ) -> None:
        self._settings = settings
        self._answering = answering
        self._authenticator = authenticator
        self._streams = streams
        self._handlers = {"GET": self._get, "HEAD": self._get, "POST": self._post}
        if not self._settings.get_queries:
            del self._handlers["GET"], self._handlers["HEAD"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request = Request(scope, receive)
        try:
            response = await self._answer(request)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response | Stream:
        accept = joined(request.headers.raw, b"accept")
        if (
            request.method in ("GET", "HEAD")
            and self._settings.graphiql
            and choose(accept, (JSON, GRAPHQL_RESPONSE, HTML)) == HTML
        ):
            # The page refers to what it loads from beside it: with a slash at the end, that would be below it.
            return RedirectResponse("../graphql") if request.url.path.endswith("/") else graphiql_page()
        media_type = choose(accept, (JSON, GRAPHQL_RESPONSE, EVENT_STREAM))
        if media_type is None and wants_multipart(accept):
            media_type = JSON  # for what is no subscription
        handler = self._handlers.get(request.method, self._other_method)
        try:
            if request.method in self._handlers:
                await self._authenticate(request)
                if not media_type:
                    _refuse_accept()
            return await handler(request, media_type or JSON)
        except HTTPRefused as refused:
            told_as = GRAPHQL_RESPONSE if media_type == GRAPHQL_RESPONSE else JSON
            return _respond(refused.answer, told_as, refused.status, refused.headers)

    async def _authenticate(self, request: Request) -> None:
        """Find out who is asking, once for everything that the request asks for."""
        try:
            token = token_of_request(request.scope)
            viewer = await self._authenticator.viewer(token, address_of(request.scope))
        except Unauthenticated as error:
            raise HTTPRefused.of(error, headers=challenge(request.scope)) from None
        except (RateLimited, StoreUnavailable) as error:
            raise HTTPRefused.of(error) from None
        request.scope["state"]["viewer"] = viewer
        SOURCE.set(source_of(viewer, request.scope))
        self._charge(request)

    def _charge(self, request: Request, operations: int = 1) -> None:
        """Count the operations that the request asks for."""
        try:
            self._answering.charge(key_of(request.scope["state"]["viewer"], request.scope), operations)
        except RateLimited as refusal:
            raise HTTPRefused.of(refusal) from None

    async def _other_method(self, request: Request, media_type: str) -> Response | Stream:  # noqa: ARG002 - as its siblings
        methods = list(self._handlers)
        raise HTTPRefused(
            405,
            "method",
            f"GraphQL is served to {listed(methods)} requests.",
            {"allow": ", ".join(methods)},
        )

    async def _get(self, request: Request, media_type: str) -> Response | Stream:
        value = _parameters(request)
        for name in ("variables", "extensions"):
            if value.get(name):
                try:
                    value[name] = decode(value[name])
                except JSONRefused as refused:
                    raise HTTPRefused(400, name, f"{name} {refused}") from None
            else:
                value.pop(name, None)
        return await self._run(_parse(value), request, media_type, queries_only=True)

    async def _post(self, request: Request, media_type: str) -> Response | Stream:
        read: ReadBody | None = request.scope["state"].pop("read_body", None)
        try:
            value = await read_json(request, self._settings.max_body_bytes) if read is None else read.value_or_refusal()
        except BodyRefused as refused:
            raise HTTPRefused(refused.status, refused.field, str(refused), refused.headers) from None
        if isinstance(value, list):
            return await self._batch(value, request, media_type)
        wanted = read.request if read is not None and read.request is not None else _parse(value)
        return await self._run(wanted, request, media_type)

    async def _batch(self, values: list[Any], request: Request, media_type: str) -> Response:
        if media_type == EVENT_STREAM:
            raise HTTPRefused(
                400, "body", "A batch cannot be answered with server-sent events. Allow JSON in the Accept header."
            )
        most = self._settings.max_batch_operations
        if not 1 <= len(values) <= most:
            raise HTTPRefused(400, "body", f"A batch has 1 to {most} operations, not {len(values)}.")
        if len(values) > 1:
            self._charge(request, len(values) - 1)
        # Prepared one by one and executed together, so that the lookups of all become one read of the store.
        prepared = [await self._prepare_item(value, request) for value in values]
        most = self._settings.max_answer_bytes
        budget = AnswerBudget(most)
        answers = await asyncio.gather(
            *(self._execute(each, request, AnswerBudget(most, within=budget)) for each in prepared)
        )
        return _respond(b"[" + b",".join(answers) + b"]", media_type, 200)

    async def _prepare_item(self, value: object, request: Request) -> Prepared | Answer:
        try:
            prepared = await self._prepare(_parse(value), request)
        except HTTPRefused as refused:
            return refused.answer
        if isinstance(prepared, Prepared) and prepared.is_subscription:
            return HTTPRefused(400, "query", _HOW_TO_SUBSCRIBE).answer
        return prepared

    async def _run(
        self, wanted: GraphQLRequest, request: Request, media_type: str, *, queries_only: bool = False
    ) -> Response | Stream:
        """Execute one operation and return what answers it."""
        prepared = await self._prepare(wanted, request, queries_only=queries_only)
        if isinstance(prepared, Prepared) and prepared.is_subscription:
            return self._stream(prepared, request, media_type)
        answer = await self._execute(prepared, request)
        if media_type == EVENT_STREAM:
            return _respond(EventStream().whole(answer), EVENT_STREAM, 200, UNBUFFERED)
        return _respond(answer, media_type, _status(media_type, executed=not isinstance(prepared, bytes)))

    def _stream(self, subscription: Prepared, request: Request, media_type: str) -> Stream:
        if request.method == "HEAD":
            raise HTTPRefused(
                405, "query", "HEAD is for queries only. Subscribe by GET or POST.", {"allow": "GET, POST"}
            )
        if media_type == EVENT_STREAM:
            framing: EventStream | Multipart = EventStream()
        elif wants_multipart(joined(request.headers.raw, b"accept")):
            framing = Multipart()
        else:
            raise HTTPRefused(400, "query", _HOW_TO_SUBSCRIBE)
        viewer = request.scope["state"]["viewer"]
        try:
            return self._streams.open(framing, self._answering.events(subscription), viewer, request.scope)
        except RateLimited as error:
            raise HTTPRefused.of(error, 503 if self._streams.are_ending else None) from None

    async def _prepare(
        self, wanted: GraphQLRequest, request: Request, *, queries_only: bool = False
    ) -> Prepared | Answer:
        """Return the operation, or the response if it cannot be executed."""
        state = request.scope["state"]
        try:
            prepared = await self._answering.prepare(wanted, _context(request, self._answering), self._until(state))
        except (RequestRefused, OutOfTime) as refused:
            return refused.response
        state.setdefault("operations", []).append(prepared.name or UNNAMED)
        if queries_only and not prepared.is_subscription and prepared.execution.type is not OperationType.QUERY:
            raise HTTPRefused(405, "query", "GET is for queries only. Send this operation by POST.", {"allow": "POST"})
        return prepared

    async def _execute(
        self, prepared: Prepared | Answer, request: Request, budget: AnswerBudget | None = None
    ) -> Answer:
        if isinstance(prepared, bytes):
            return prepared
        return await self._answering.execute(prepared, self._until(request.scope["state"]), budget)

    def _until(self, state: dict[str, Any]) -> float:
        """Return until when the operations of a request may take: one time for all of them."""
        until: float = state.setdefault("until", self._answering.time_limit.until())
        return until


def _parameters(request: Request) -> dict[str, Any]:
    try:
        pairs = parameters_in(request.scope["query_string"])
    except ValueError as error:
        raise HTTPRefused(400, "query", str(error)) from None
    value: dict[str, Any] = {}
    for name, given in pairs:
        if name in value and name in _PARAMETERS:
            raise HTTPRefused(400, name, f"{name} must occur once, not several times.")
        value[name] = given
    return value


def _refuse_accept() -> NoReturn:
    raise HTTPRefused(
        406, "accept", f"The Accept header allows neither {GRAPHQL_RESPONSE} nor {JSON} nor {EVENT_STREAM}."
    )


def _context(request: Request, answering: Answering) -> Context:
    state = request.scope["state"]
    return answering.context(state["request_id"], state["viewer"])


def _parse(value: object) -> GraphQLRequest:
    try:
        return parse_request(value)
    except BadUserInput as error:
        raise HTTPRefused.of(error) from None


def _status(media_type: str, *, executed: bool) -> int:
    """Return the status of a well-formed request.

    A document that cannot be executed is 400 under the GraphQL media type; under ``application/json`` it is 200, so
    that what stands between does not take the answer for one of its own.
    """
    return 200 if executed or media_type == JSON else 400


def _respond(answer: Answer, media_type: str, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(
        answer,
        status,
        {**API_HEADERS, **(headers or {}), "content-type": f"{media_type}; charset=utf-8"},
    )
