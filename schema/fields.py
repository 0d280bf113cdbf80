"""The table of fields in GraphQL: decorators that give a class a field for each row."""

import inspect
from typing import Any, Final, TypeVar

import strawberry

from userline.schema.scalars import Custom, PushTokens
from userline.users.fields import GIVEN, PUBLIC, Field
from userline.users.kinds import Kind

Class = TypeVar("Class", bound=type)

_TYPES: Final[dict[Kind, Any]] = {
    Kind.ID: strawberry.ID,
    Kind.TEXT: str,
    Kind.LIST: list[str],
    Kind.MAP: Custom,
    Kind.KEYS: PushTokens,
    Kind.VERSION: str,
}


def with_public_fields(cls: Class) -> Class:
    """Give an output type the fields that everybody sees, before those that it has itself."""
    for field in PUBLIC:
        setattr(cls, field.attribute, strawberry.field(name=field.name, description=field.output))
    return _annotated(cls, {field.attribute: _output_type(field) for field in PUBLIC})


def with_new_user_fields(cls: Class) -> Class:
    """Give an input type the fields of a new user: what is required, and what may be left out."""
    return _with_input_fields(cls, is_new=True)


def with_patch_fields(cls: Class) -> Class:
    """Give an input type the fields of a patch, each of which may be left out."""
    return _with_input_fields(cls, is_new=False)


def _with_input_fields(cls: Class, *, is_new: bool) -> Class:
    annotations = {}
    for field in GIVEN:
        is_required = is_new and field.is_required
        description = field.input if is_new else field.patch_input or field.input
        default = {} if is_required else {"default": strawberry.UNSET}
        setattr(cls, field.attribute, strawberry.field(name=field.name, description=description, **default))
        annotations[field.attribute] = _TYPES[field.kind] if is_required else _TYPES[field.kind] | None
    return _annotated(cls, annotations)


def _annotated(cls: Class, annotations: dict[str, Any]) -> Class:
    cls.__annotations__ = annotations | inspect.get_annotations(cls)
    return cls


def _output_type(field: Field) -> Any:
    return _TYPES[field.kind] | None if field.is_nullable else _TYPES[field.kind]
