"""A user and a patch as JSON Schema (2020-12), for the description of the REST API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from userline.users.rules import MAX_LOCALE_CHARACTERS, MAX_NAME_CHARACTERS, MAX_ROLE_CHARACTERS, MAX_URL_CHARACTERS

if TYPE_CHECKING:
    from userline.settings.settings import Settings

Json: TypeAlias = dict[str, Any]

_NULLABLE: Final = ["string", "null"]
_STRINGS: Final[Json] = {"type": "array", "items": {"type": "string"}}
_TOKEN: Final = r"^(fcm|apns):[\s\S]+$"  # noqa: S105 - a pattern

_FIELDS: Final[Json] = {
    "id": {"type": "string"},
    "name": {"type": "string"},
    "custom": {"type": "object", "additionalProperties": {"type": "string"}},
    "locale": {"type": _NULLABLE, "description": "A language tag; null means the app's default locale."},
    "photoUrl": {"type": _NULLABLE},
    "role": {"type": "string"},
    "welcomeMessage": {"type": _NULLABLE},
    "email": _STRINGS,
    "phone": _STRINGS,
    "pushTokens": {"type": "object", "propertyNames": {"pattern": _TOKEN}, "additionalProperties": {"const": True}},
    "createdAt": {"type": "integer", "description": "Unix milliseconds."},
    "updatedAt": {"type": "integer", "description": "Unix milliseconds of the last write that changed something."},
}

USER: Final[Json] = {
    "type": "object",
    "description": "A whole user.",
    "properties": _FIELDS,
    "required": list(_FIELDS),
    "additionalProperties": False,
}


def patch_schema(settings: Settings) -> Json:
    """Return the schema of a patch, under the limits and roles of these settings."""
    return {
        "type": "object",
        "description": "The fields to set. Left out = unchanged; null = back to the default; a value = set. "
        f"A user as a whole is at most {settings.max_record_bytes} bytes large as JSON.",
        "properties": {
            "name": {
                "type": "string",
                "minLength": 1,
                "maxLength": MAX_NAME_CHARACTERS,
                "pattern": r"\S",
                "description": "Not blank. Required where the user does not exist yet.",
            },
            "custom": {
                "type": ["object", "null"],
                "additionalProperties": {"type": _NULLABLE},
                "description": "A patch itself: a string sets a key, null removes it. "
                f"A user has at most {settings.max_custom_keys} keys.",
            },
            "locale": {
                "type": _NULLABLE,
                "format": "language-tag",
                "maxLength": MAX_LOCALE_CHARACTERS,
                "description": "An IETF language tag (BCP 47).",
            },
            "photoUrl": {
                "type": _NULLABLE,
                "format": "uri",
                "maxLength": MAX_URL_CHARACTERS,
                "description": "An http or https URL.",
            },
            "role": _role(settings),
            "welcomeMessage": {"type": _NULLABLE},
            "email": _list("email", settings.max_emails, "E-mail addresses, which replace those that are there."),
            "phone": _list(
                "phone",
                settings.max_phones,
                "Phone numbers in international form, which replace those that are there.",
            ),
            "pushTokens": {
                "type": ["object", "null"],
                "propertyNames": {"pattern": _TOKEN},
                "additionalProperties": {"enum": [True, None]},
                "description": "A patch itself: true registers a token, null unregisters it. "
                f"A user has at most {settings.max_push_tokens} tokens.",
            },
        },
        "additionalProperties": False,
    }


def _role(settings: Settings) -> Json:
    if settings.roles:
        return {"enum": [*sorted(settings.app_roles), None], "description": "One of the app's roles."}
    return {"type": _NULLABLE, "minLength": 1, "maxLength": MAX_ROLE_CHARACTERS, "pattern": r"\S"}


def _list(item_format: str, most: int, description: str) -> Json:
    item = {"type": "string", "format": item_format}
    return {
        "description": f"{description} A single string means a list of one.",
        "anyOf": [item, {"type": "array", "items": item, "maxItems": most}, {"type": "null"}],
    }
