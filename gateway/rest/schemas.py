"""A user and a patch as JSON Schema (2020-12), for the description of the REST API: made from the table of fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeAlias

from userline.users.fields import FIELDS, GIVEN, READ_ONLY, Audience, Field
from userline.users.kinds import Kind
from userline.users.rules import MAX_LIST_ENTRIES

if TYPE_CHECKING:
    from userline.settings.settings import Settings
    from userline.users.rules import Rules

Json: TypeAlias = dict[str, Any]

_BOOLEAN: Final = "boolean"
_STRING: Final = "string"
_NULLABLE: Final = [_STRING, "null"]
_NOT_FALSE: Final[Json] = {"not": {"const": False}}
"""What generators make nothing of: of ``const: true`` they make types and constants of their own."""


def _output(field: Field) -> Json:
    match field.kind:
        case Kind.TEXT:
            described: Json = {"type": _NULLABLE if field.is_nullable else _STRING}
        case Kind.LIST:
            described = {"type": "array", "items": {"type": _STRING}}
        case Kind.MAP:
            described = {"type": "object", "additionalProperties": {"type": _STRING}}
        case Kind.KEYS:
            described = {"type": "object", **_keys(field), "additionalProperties": {"type": _BOOLEAN, **_NOT_FALSE}}
        case Kind.TIME:
            described = {"type": "integer", "format": "int64"}
        case Kind.VERSION:
            described = {"type": _STRING, "pattern": "^[0-9]+$"}
        case _:
            described = {"type": _STRING}
    return described | {"description": field.output}


def _keys(field: Field) -> Json:
    return {"propertyNames": {"type": _STRING, "pattern": field.key_pattern}} if field.key_pattern else {}


_SEEN: Final = tuple(field for field in FIELDS if field.seen_by >= Audience.SERVERS)

USER: Final[Json] = {
    "type": "object",
    "description": "A whole user.",
    "properties": {field.name: _output(field) for field in _SEEN},
    "required": [field.name for field in _SEEN],
    "additionalProperties": False,
}


def patch_schema(settings: Settings) -> Json:
    """Return the schema of a patch, under the limits and roles of these settings."""
    rules = settings.rules
    return {
        "type": "object",
        "description": "The fields to set. Left out = unchanged; null = back to the default; a value = set. "
        f"A user as a whole is at most {settings.max_record_bytes} bytes large as JSON.",
        "properties": {field.name: _input(field, rules) for field in GIVEN}
        | {field.name: _read_only(field) for field in READ_ONLY},
        "additionalProperties": False,
    }


def _read_only(field: Field) -> Json:
    return _output(field) | {
        "readOnly": True,
        "description": "Read-only: ignored if it equals the stored value, and refused otherwise.",
    }


def _input(field: Field, rules: Rules) -> Json:
    """Return the schema of a value that sets a field.

    Where the gateway takes more than one form, the schema has the one that is read: of a union, generators make types
    that nobody likes to use. What is not of a type by its keyword alone (``enum: [true, null]``), they leave out.
    """
    description = field.patch_input or field.input
    if field.kind is Kind.TEXT:
        return _text(field, rules) | {"description": description}
    most = field.most_entries(rules)
    if field.kind is Kind.LIST:
        items = {"items": {"type": _STRING, **_form(field)}, "maxItems": MAX_LIST_ENTRIES if most is None else most}
        return {"type": ["array", "null"], **items, "description": description}
    if most is not None:
        description += f" A user has at most {most} {field.entries}."
    values = {"type": _NULLABLE} if field.kind is Kind.MAP else {"type": [_BOOLEAN, "null"], **_NOT_FALSE}
    return {"type": ["object", "null"], **_keys(field), "additionalProperties": values, "description": description}


def _text(field: Field, rules: Rules) -> Json:
    described: Json = {"type": _STRING if field.is_required else _NULLABLE}
    choices = field.choices(rules)
    if choices is not None:
        return described | {"enum": [*sorted(choices), *([] if field.is_required else [None])]}
    described |= _form(field)
    if not field.is_blank_allowed:
        described |= {"minLength": 1, "pattern": r"\S"}
    return described


def _form(field: Field) -> Json:
    """Return what a text of this field, or each text of a list, looks like."""
    form = {"format": field.format, "pattern": field.pattern, "maxLength": field.most_characters}
    return {name: value for name, value in form.items() if value is not None}
