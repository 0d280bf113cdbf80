"""The endpoints of the REST API."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.routing import BaseRoute, Match

from userline.common.texts import listed
from userline.execution.pending import OutOfTime
from userline.gateway.auth.bearer import challenge
from userline.gateway.body import BodyRefused, read_json
from userline.gateway.rate_limit import key_of
from userline.gateway.rest.access import authenticate
from userline.gateway.rest.answers import answer, fail, not_modified, refuse, refuse_body, refuse_error
from userline.gateway.rest.conditions import condition_of, no_condition, tag_of
from userline.gateway.rest.openapi import describe
from userline.gateway.rest.path import PREFIX, Collection, Description, Item, parse_path
from userline.gateway.rest.query import no_parameters, page_of
from userline.resolvers.audit import audit
from userline.users.codec import record_to_json
from userline.users.errors import (
    BadUserInput,
    ErrorCode,
    Problem,
    RestErrorCode,
    StoreUnavailable,
    Unauthenticated,
    UserlineError,
)
from userline.users.quoting import quoted

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable
    from typing import TypeAlias

    from starlette.datastructures import URLPath
    from starlette.responses import Response
    from starlette.types import Receive, Scope, Send

    from userline.directory.users import Users
    from userline.gateway.answering.answering import Answering
    from userline.gateway.auth.authenticator import Authenticator
    from userline.settings.settings import Settings
    from userline.storage.protocol import WriteResult
    from userline.users.record import UserRecord
    from userline.users.viewer import Viewer

    Handler: TypeAlias = Callable[[Request], Awaitable[Response]]


class RestRoute(BaseRoute):
    """Everything under ``/v1``. Starlette's own routes match decoded paths, which hide where an id ends."""

    def __init__(self, api: RestApi) -> None:
        self._api = api

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Take HTTP requests under the prefix, whatever their method."""
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        mine = scope["type"] == "http" and (path == PREFIX or path.startswith(f"{PREFIX}/"))
        return (Match.FULL if mine else Match.NONE), {}

    def url_path_for(self, name: str, /, **path_params: Any) -> URLPath:
        """Nothing here has a name."""
        raise NotImplementedError

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            response = await self._api.answer(Request(scope, receive))
        except ClientDisconnect:
            return
        await response(scope, receive, send)


class RestApi:
    """Whole users over HTTP."""

    def __init__(self, settings: Settings, users: Users, authenticator: Authenticator, answering: Answering) -> None:
        self._settings = settings
        self._users = users
        self._authenticator = authenticator
        self._answering = answering

    async def answer(self, request: Request) -> Response:
        """Return the answer to one request. Raises Starlette's ClientDisconnect alone."""
        try:
            return await self._route(request)
        except BodyRefused as refused:
            return refuse_body(refused)
        except Unauthenticated as error:
            return refuse_error(error, challenge(request.scope))
        except UserlineError as error:
            return refuse_error(error)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - masked and logged
            return fail(error, _request_id(request))

    async def _route(self, request: Request) -> Response:
        handlers: dict[str, Handler]
        match parse_path(request.scope, self._settings.app_id):
            case Description():
                handlers = {"GET": self._describe}
            case Collection():
                handlers = {"GET": self._list, "PUT": self._put_many}
            case Item() as item:
                handlers = {
                    "GET": partial(self._get, item=item),
                    "PUT": partial(self._put, item=item),
                    "DELETE": partial(self._delete, item=item),
                }
            case None:
                return refuse(404, RestErrorCode.NOT_FOUND, "There is no resource at this address.")
        handlers = {"GET": handlers["GET"], "HEAD": handlers["GET"], **handlers}
        if request.method not in handlers:
            allowed = ", ".join(handlers)
            reason = f"This address takes {listed(handlers)} requests."
            return refuse(405, ErrorCode.BAD_USER_INPUT, reason, {"allow": allowed})
        return await handlers[request.method](request)

    async def _describe(self, request: Request) -> Response:
        no_parameters(request)
        return answer(describe(self._settings, with_tokens=not self._authenticator.is_open))

    async def _get(self, request: Request, item: Item) -> Response:
        viewer = await self._authenticate(request)
        no_parameters(request)
        user_id, condition = item.user_id(), condition_of(request)
        _audit(request, viewer, "read", [user_id])
        (record,) = await self._in_time(self._users.records([user_id]))
        if record is None:
            return refuse(404, RestErrorCode.NOT_FOUND, f"There is no user {quoted(user_id)}.")
        version = record.snapshot.version
        if condition is not None:
            condition.check_wanted(user_id, version)
            if condition.is_unwanted(version):
                return not_modified(tag_of(version))
        return answer(record_to_json(record), headers={"etag": tag_of(version)})

    async def _list(self, request: Request) -> Response:
        viewer = await self._authenticate(request)
        limit, after = page_of(request)
        records, has_more = await self._in_time(self._users.page(limit=limit, after=after, viewer=viewer))
        _audit(request, viewer, "read", [record.snapshot.id for record in records])
        told = self._as_many_as_fit(records)
        return answer({"data": told, "hasMore": has_more or len(told) < len(records)})

    def _as_many_as_fit(self, records: list[UserRecord]) -> list[orjson.Fragment]:
        """Return the first users as JSON, as many as an answer has room for, and one in any case."""
        left = self._settings.max_answer_bytes
        told: list[orjson.Fragment] = []
        for record in records:
            encoded = orjson.dumps(record_to_json(record))
            left -= len(encoded) + 1
            if told and left < 0:
                break
            told.append(orjson.Fragment(encoded))
        return told

    async def _put(self, request: Request, item: Item) -> Response:
        viewer = await self._authenticate(request)
        no_parameters(request)
        user_id, condition = item.user_id(), condition_of(request)
        patch = await self._object(request, "The body must be an object with the fields to set.")
        _audit(request, viewer, "write", [user_id])
        _, result = await self._in_time(self._users.set(user_id, patch, viewer=viewer, condition=condition))
        return answer(_written(result), headers={"etag": tag_of(result.after.snapshot.version)})

    async def _delete(self, request: Request, item: Item) -> Response:
        viewer = await self._authenticate(request)
        no_parameters(request)
        user_id, condition = item.user_id(), condition_of(request)
        _audit(request, viewer, "deletion", [user_id])
        deleted = await self._in_time(self._users.delete(user_id, viewer=viewer, condition=condition))
        return answer({"deleted": deleted})

    async def _put_many(self, request: Request) -> Response:
        viewer = await self._authenticate(request)
        no_parameters(request)
        no_condition(request)
        patches = await self._object(
            request, "The body must be an object with user ids as names and the fields to set as values."
        )
        if len(patches) > 1:
            self._answering.charge(key_of(viewer, request.scope), len(patches) - 1)
        _audit(request, viewer, "write", patches)
        results = await self._in_time(self._users.set_many(patches))
        return answer({user_id: _written(result) for user_id, result in results.items()})

    async def _object(self, request: Request, otherwise: str) -> dict[str, Any]:
        value = await read_json(request, self._settings.max_body_bytes, allows_repeated_names=False)
        if not isinstance(value, dict):
            raise BadUserInput([Problem("body", otherwise)])
        return value

    async def _authenticate(self, request: Request) -> Viewer:
        return await authenticate(request, self._authenticator, self._answering)

    async def _in_time(self, work: Awaitable[Any]) -> Any:
        """Wait for the store no longer than for a GraphQL operation; a write goes on to its end all the same."""
        try:
            return await self._answering.time_limit.wait(work)
        except OutOfTime:
            raise StoreUnavailable from None


def _audit(request: Request, viewer: Viewer, action: str, user_ids: Iterable[str]) -> None:
    audit(viewer, action, list(user_ids), _request_id(request))


def _written(result: WriteResult) -> dict[str, bool]:
    return {"created": result.created, "changed": result.changed}


def _request_id(request: Request) -> str:
    request_id: str = request.scope["state"]["request_id"]
    return request_id
