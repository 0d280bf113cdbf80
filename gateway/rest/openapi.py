"""The REST API in the words of OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.1.html)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from userline import __version__
from userline.directory.users import MAX_PAGE
from userline.gateway.rest.answers import MOST_REASONS, NOT_FOUND
from userline.gateway.rest.query import DEFAULT_LIMIT
from userline.gateway.rest.schemas import USER, patch_schema
from userline.storage.protocol import MAX_WRITES
from userline.users.errors import ErrorCode
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

_WRITTEN: Final[Json] = {
    "type": "object",
    "description": "What a write did.",
    "properties": {
        "created": {"type": "boolean", "description": "Whether the user did not exist before."},
        "changed": {"type": "boolean", "description": "Whether anything of the user changed."},
    },
    "required": ["created", "changed"],
    "additionalProperties": False,
}

_DELETED: Final[Json] = {
    "type": "object",
    "description": "What a deletion did.",
    "properties": {"deleted": {"type": "boolean", "description": "Whether there was such a user."}},
    "required": ["deleted"],
    "additionalProperties": False,
}

_PAGE: Final[Json] = {
    "type": "object",
    "properties": {
        "data": {"type": "array", "maxItems": MAX_PAGE, "items": {"$ref": "#/components/schemas/User"}},
        "hasMore": {
            "type": "boolean",
            "description": "Whether there are users after the last one here; its id is the next startingAfter.",
        },
    },
    "required": ["data", "hasMore"],
    "additionalProperties": False,
}

_CODES: Final = [
    *(code for code in ErrorCode if not code.startswith("GRAPHQL_")),
    NOT_FOUND,
]

_ERROR: Final[Json] = {
    "type": "object",
    "properties": {
        "errorCode": {"$ref": "#/components/schemas/ErrorCode"},
        "reasons": {
            "type": "array",
            "minItems": 1,
            "maxItems": MOST_REASONS,
            "items": {"type": "string"},
            "description": "Sentences for people, one for each problem.",
        },
        "retryAfterSeconds": {
            "type": "number",
            "format": "double",
            "exclusiveMinimum": 0,
            "description": "When to try again, more exactly than Retry-After. Left out where waiting does not help.",
        },
    },
    "required": ["errorCode", "reasons"],
    "additionalProperties": False,
}

_BATCH_ERROR: Final[Json] = {
    **_ERROR,
    "properties": {
        **_ERROR["properties"],
        "users": {
            "type": "object",
            "description": "The error of each user that is refused, by id. Left out if the batch itself is wrong.",
            "additionalProperties": {"$ref": "#/components/schemas/Error"},
        },
    },
}

_RETRY_AFTER: Final[Json] = {
    "Retry-After": {"required": True, "description": "Seconds to wait.", "schema": {"type": "integer", "minimum": 0}}
}
_CHALLENGE: Final[Json] = {
    "WWW-Authenticate": {"required": True, "schema": {"type": "string"}, "description": "Bearer."}
}


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
                "Written": _WRITTEN,
                "Deleted": _DELETED,
                "Page": _PAGE,
                "Error": _ERROR,
                "ErrorCode": {"type": "string", "enum": _CODES, "description": "What is wrong, for programs."},
                "BatchError": _BATCH_ERROR,
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
        "responses": {"200": _content("The whole user.", "User"), **_refusals(with_tokens=with_tokens)},
    }


def _set_user(*, with_tokens: bool) -> Json:
    parameters = {"appId": "$request.path.appId", "id": "$request.path.id"}
    written = _content("The user has the values of the request.", "Written")
    written["links"] = {
        "read": {"operationId": "getUser", "parameters": parameters},
        "patch": {"operationId": "setUser", "parameters": parameters},
    }
    return {
        "operationId": "setUser",
        "summary": "Patch one user, creating it if it does not exist",
        "requestBody": _body({"$ref": "#/components/schemas/UserPatch"}),
        "responses": {"200": written, **_refusals(with_tokens=with_tokens, body=True)},
    }


def _delete_user(*, with_tokens: bool) -> Json:
    return {
        "operationId": "deleteUser",
        "summary": "Delete one user permanently",
        "description": "Deleting a user who does not exist is a success. Nothing of a deleted user comes back.",
        "responses": {
            "200": _content("There is no such user any more.", "Deleted"),
            **_refusals(with_tokens=with_tokens),
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


def _refusals(*, with_tokens: bool, body: bool = False) -> Json:
    found: Json = {"400": _content("Something is wrong with the request, which changed nothing.", "Error")}
    if with_tokens:
        found["401"] = _content("There is no valid token.", "Error", _CHALLENGE)
        found["403"] = _content("The token is a user token, not a server token.", "Error")
    found["404"] = _content("There is no such app or no such user.", "Error")
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
