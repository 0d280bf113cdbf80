"""The REST API in the words of OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1.html)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from userline import __version__
from userline.directory.users import MAX_PAGE
from userline.gateway.rest.answer_schemas import BATCH_ERROR, CODES, DELETED, ERROR, PAGE, WRITTEN
from userline.gateway.rest.query import DEFAULT_LIMIT
from userline.gateway.rest.schemas import USER, patch_schema
from userline.storage.protocol import MAX_WRITES
from userline.users.rules import MAX_ID_CHARACTERS

if TYPE_CHECKING:
    from userline.settings.settings import Settings

Json: TypeAlias = dict[str, Any]

_ID: Final[Json] = {
    "type": "string",
    "minLength": 1,
    "maxLength": MAX_ID_CHARACTERS,
    "pattern": r"^[^\u0000]+$",
    "description": "A user's id: any characters but NUL.",
}

_RETRY_AFTER: Final[Json] = {
    "Retry-After": {"required": True, "description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}
}
_ETAG: Final[Json] = {
    "ETag": {
        "required": True,
        "description": "The user's version in quotation marks, for If-Match and If-None-Match.",
        "schema": {"type": "string"},
    }
}
_CHALLENGE: Final[Json] = {
    "WWW-Authenticate": {"required": True, "schema": {"type": "string"}, "description": "Bearer."}
}


_TAG: Final = '(W/)?"[!#-~]*"'
_TAGS: Final[Json] = {"type": "string", "pattern": rf"^(\*|{_TAG}(, {_TAG})*)$"}
_CONDITIONS: Final = [
    {
        "name": "If-Match",
        "in": "header",
        "description": "The versions that the user may have, as entity tags, or * for any; otherwise 412.",
        "schema": _TAGS,
    },
    {
        "name": "If-None-Match",
        "in": "header",
        "description": "The versions that the user may not have, likewise; otherwise 412, or 304 for a read.",
        "schema": _TAGS,
    },
]


def describe(settings: Settings, *, with_tokens: bool) -> Json:
    """Return the description of the API as these settings make it."""
    described: Json = {
        "openapi": "3.1.1",
        "info": {
            "title": "userline REST API",
            "version": __version__,
            "summary": "Complete users for back ends, with private fields.",
            "description": "Every write is safe to repeat. Errors have a code for programs and reasons for people.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": {
            "/v1/{appId}/users": {
                "parameters": [_app_id(settings)],
                "get": _list_users(with_tokens=with_tokens),
                "put": _set_users(with_tokens=with_tokens),
            },
            "/v1/{appId}/users/{id}": {
                "parameters": [_app_id(settings), _user_id()],
                "get": _get_user(with_tokens=with_tokens),
                "put": _set_user(with_tokens=with_tokens),
                "delete": _delete_user(with_tokens=with_tokens),
            },
        },
        "components": {
            "schemas": {
                "User": USER,
                "UserPatch": patch_schema(settings),
                "Written": WRITTEN,
                "Deleted": DELETED,
                "Page": PAGE,
                "Error": ERROR,
                "ErrorCode": {"type": "string", "enum": CODES, "description": "What is wrong, for programs."},
                "BatchError": BATCH_ERROR,
            },
        },
    }
    if with_tokens:
        described["components"]["securitySchemes"] = {
            "serverToken": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "A JWT whose tokenType is app, with the app's id as iss.",
            }
        }
        described["security"] = [{"serverToken": []}]
    return described


def _list_users(*, with_tokens: bool) -> Json:
    return {
        "operationId": "listUsers",
        "summary": "Read a page of all users",
        "description": "Users are ordered by the code points of their ids.",
        "parameters": [
            {
                "name": "limit",
                "in": "query",
                "description": "How many users at most.",
                "schema": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_LIMIT},
            },
            {
                "name": "startingAfter",
                "in": "query",
                "description": "The page begins after this id. A user with this id need not exist.",
                "schema": _ID,
            },
        ],
        "responses": {"200": _content("A page of users.", "Page"), **_refusals(with_tokens=with_tokens)},
    }


def _get_user(*, with_tokens: bool) -> Json:
    return {
        "operationId": "getUser",
        "summary": "Read one user",
        "parameters": _CONDITIONS,
        "responses": {
            "200": _content("The whole user.", "User", _ETAG),
            "304": {"description": "The user is at a version that If-None-Match names.", "headers": _ETAG},
            **_refusals(with_tokens=with_tokens, conditions=True),
        },
    }


def _set_user(*, with_tokens: bool) -> Json:
    parameters = {"appId": "$request.path.appId", "id": "$request.path.id"}
    written = _content("The user has the values of the request.", "Written", _ETAG)
    written["links"] = {
        "read": {"operationId": "getUser", "parameters": parameters},
        "patch": {"operationId": "setUser", "parameters": parameters},
    }
    return {
        "operationId": "setUser",
        "summary": "Patch one user, creating it if it does not exist",
        "parameters": _CONDITIONS,
        "requestBody": _body({"$ref": "#/components/schemas/UserPatch"}),
        "responses": {"200": written, **_refusals(with_tokens=with_tokens, body=True, conditions=True)},
    }


def _delete_user(*, with_tokens: bool) -> Json:
    return {
        "operationId": "deleteUser",
        "summary": "Delete one user permanently",
        "description": "Deleting a user who does not exist is a success. Nothing of a deleted user comes back.",
        "parameters": _CONDITIONS,
        "responses": {
            "200": _content("There is no such user any more.", "Deleted"),
            **_refusals(with_tokens=with_tokens, conditions=True),
        },
    }


def _set_users(*, with_tokens: bool) -> Json:
    patches = {
        "type": "object",
        "maxProperties": MAX_WRITES,
        "propertyNames": _ID,
        "additionalProperties": {"$ref": "#/components/schemas/UserPatch"},
    }
    written = _content("All users have the values of the request.", "Written")
    written["content"]["application/json"]["schema"] = {
        "type": "object",
        "maxProperties": MAX_WRITES,
        "additionalProperties": {"$ref": "#/components/schemas/Written"},
    }
    return {
        "operationId": "setUsers",
        "summary": f"Patch up to {MAX_WRITES} users, all or none",
        "requestBody": _body(patches),
        "responses": {
            "200": written,
            **_refusals(with_tokens=with_tokens, body=True),
            "400": _content(
                "Something is wrong with the request, or with some users; nothing was written.", "BatchError"
            ),
        },
    }


def _app_id(settings: Settings) -> Json:
    return {
        "name": "appId",
        "in": "path",
        "required": True,
        "description": "The app's id.",
        "schema": {"type": "string", "const": settings.app_id},
    }


def _user_id() -> Json:
    return {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "The user's id, percent-encoded: a / in it is %2F.",
        "schema": _ID,
    }


def _refusals(*, with_tokens: bool, body: bool = False, conditions: bool = False) -> Json:
    found: Json = {"400": _content("Something is wrong with the request, which changed nothing.", "Error")}
    if with_tokens:
        found["401"] = _content("There is no valid token.", "Error", _CHALLENGE)
        found["403"] = _content("The token is a user token, not a server token.", "Error")
    found["404"] = _content("There is no such app or no such user.", "Error")
    if conditions:
        found["412"] = _content("The user is not as If-Match or If-None-Match says; nothing was written.", "Error")
    if body:
        found["413"] = _content("The body is too large.", "Error")
        found["415"] = _content("The body is not application/json in UTF-8.", "Error")
    found["429"] = _content("Too many requests.", "Error", _RETRY_AFTER)
    found["500"] = _content("An internal error. The log has the details under the request's id.", "Error")
    found["503"] = _content("The store did not answer; try again.", "Error", _RETRY_AFTER)
    return found


def _content(description: str, schema: str, headers: Json | None = None) -> Json:
    described: Json = {
        "description": description,
        "content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }
    return described | ({"headers": headers} if headers else {})


def _body(schema: Json) -> Json:
    return {"required": True, "content": {"application/json": {"schema": schema}}}
