"""The input types, made from the table of fields."""

from typing import Any

import strawberry

from userline.schema.fields import with_new_user_fields, with_patch_fields
from userline.users.fields import BY_ATTRIBUTE


@strawberry.input(description="A new user. What is left out (or null) gets its default.")
@with_new_user_fields
class CreateUserInput:
    """A new user."""


@strawberry.input(
    description="A patch: a field left out stays as it is, null sets it back to its default, a value sets it."
)
@with_patch_fields
class SetUserInput:
    """A patch of a user."""


def given_fields(given: CreateUserInput | SetUserInput) -> dict[str, Any]:
    """Return what the caller gave, by the contract's names; what was left out is not in it."""
    return {
        BY_ATTRIBUTE[attribute].name: value for attribute, value in vars(given).items() if value is not strawberry.UNSET
    }
