"""The answers of the REST API as JSON Schema (2020-12), for its description, but for users themselves."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from userline.directory.users import MAX_PAGE
from userline.gateway.rest.answers import MOST_REASONS
from userline.users.errors import ErrorCode, RestErrorCode

Json: TypeAlias = dict[str, Any]

WRITTEN: Final[Json] = {
    "type": "object",
    "description": "What a write did.",
    "properties": {
        "created": {"type": "boolean", "description": "Whether the user did not exist before."},
        "changed": {"type": "boolean", "description": "Whether anything of the user changed."},
    },
    "required": ["created", "changed"],
    "additionalProperties": False,
}

DELETED: Final[Json] = {
    "type": "object",
    "description": "What a deletion did.",
    "properties": {"deleted": {"type": "boolean", "description": "Whether there was such a user."}},
    "required": ["deleted"],
    "additionalProperties": False,
}

PAGE: Final[Json] = {
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

CODES: Final = [
    *(code for code in ErrorCode if not code.startswith("GRAPHQL_")),
    *RestErrorCode,
]

ERROR: Final[Json] = {
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

BATCH_ERROR: Final[Json] = {
    **ERROR,
    "properties": {
        **ERROR["properties"],
        "users": {
            "type": "object",
            "description": "The error of each user that is refused, by id. Left out if the batch itself is wrong.",
            "additionalProperties": {"$ref": "#/components/schemas/Error"},
        },
    },
}
