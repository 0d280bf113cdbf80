"""The input types."""

from typing import Any

import strawberry

from userline.schema.scalars import Custom, PushTokens

_EMAIL = (
    "E-mail addresses, checked for syntax. A single string means a list of one. Replaces the whole list. Private: only "
    "back ends read it."
)
_PHONE = (
    "Phone numbers in international form, such as +14155552671. A single string means a list of one. Replaces the "
    "whole list. Private: only back ends read it."
)
_LOCALE = "An IETF language tag (BCP 47), such as en or pt-BR. null = the app's default locale."
_PHOTO_URL = "An http or https URL of a picture of the user. null = none."
_ROLE = 'One of the configured roles. null = "default".'
_WELCOME = "The first message that others see when they start a conversation with the user. null = none."


@strawberry.input(description="A new user. What is left out (or null) gets its default.")
class CreateUserInput:
    """A new user."""

    name: str = strawberry.field(description="The name to show. Not blank, at most 255 characters.")
    custom: Custom | None = strawberry.field(
        default=strawberry.UNSET, description="Attributes of your own: a map of strings to strings."
    )
    locale: str | None = strawberry.field(default=strawberry.UNSET, description=_LOCALE)
    photo_url: str | None = strawberry.field(default=strawberry.UNSET, description=_PHOTO_URL)
    role: str | None = strawberry.field(default=strawberry.UNSET, description=_ROLE)
    welcome_message: str | None = strawberry.field(default=strawberry.UNSET, description=_WELCOME)
    email: list[str] | None = strawberry.field(default=strawberry.UNSET, description=_EMAIL)
    phone: list[str] | None = strawberry.field(default=strawberry.UNSET, description=_PHONE)
    push_tokens: PushTokens | None = strawberry.field(
        default=strawberry.UNSET,
        description='Push tokens: a map of "fcm:TOKEN" or "apns:TOKEN" to true. Private: only back ends read it.',
    )


@strawberry.input(
    description="A patch: a field left out stays as it is, null sets it back to its default, a value sets it."
)
class SetUserInput:
    """A patch of a user."""

    name: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="The name to show. Not blank, at most 255 characters, never null. Required if the user is new.",
    )
    custom: Custom | None = strawberry.field(
        default=strawberry.UNSET,
        description="A patch of the custom attributes: a key's string sets it, a key's null removes it. null = none.",
    )
    locale: str | None = strawberry.field(default=strawberry.UNSET, description=_LOCALE)
    photo_url: str | None = strawberry.field(default=strawberry.UNSET, description=_PHOTO_URL)
    role: str | None = strawberry.field(default=strawberry.UNSET, description=_ROLE)
    welcome_message: str | None = strawberry.field(default=strawberry.UNSET, description=_WELCOME)
    email: list[str] | None = strawberry.field(default=strawberry.UNSET, description=_EMAIL)
    phone: list[str] | None = strawberry.field(default=strawberry.UNSET, description=_PHONE)
    push_tokens: PushTokens | None = strawberry.field(
        default=strawberry.UNSET,
        description=(
            'A patch of the push tokens: "fcm:TOKEN" or "apns:TOKEN" to true (register) or null (unregister). '
            "null = none. Private: only back ends read it."
        ),
    )


_CONTRACT_NAMES = {"photo_url": "photoUrl", "welcome_message": "welcomeMessage", "push_tokens": "pushTokens"}


def given_fields(given: CreateUserInput | SetUserInput) -> dict[str, Any]:
    """Return what the caller gave, by the contract's names; what was left out is not in it."""
    return {
        _CONTRACT_NAMES.get(name, name): value for name, value in vars(given).items() if value is not strawberry.UNSET
    }
