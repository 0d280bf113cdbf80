"""The output types."""

from typing import cast

import strawberry
from strawberry.types import Info

from userline.changes.watcher import Changes
from userline.resolvers import queries
from userline.resolvers.context import Context
from userline.schema.fields import with_public_fields
from userline.schema.scalars import RoleSettings
from userline.users.record import UserSnapshot


@strawberry.type(
    description=(
        "A user: a person or a bot that sends and receives messages. These are the public fields, which everybody who "
        "may use the gateway can read. E-mail addresses, phone numbers and push tokens are private and not part of it."
    )
)
@with_public_fields
class User:
    """The public half of a user: the table of fields. Its resolvers are the attributes of a UserSnapshot."""

    @classmethod
    def is_type_of(cls, value: object, info: object) -> bool:  # noqa: ARG003 - Strawberry's signature
        """Whether a value is a user: what resolvers return is a snapshot."""
        return isinstance(value, UserSnapshot)

    @strawberry.field(description="The user's locale, or the app's default locale where the user has none.")
    @staticmethod
    def effective_locale(root: strawberry.Parent[UserSnapshot], info: Info[Context, None]) -> str:
        """Return the user's locale or the app's."""
        return queries.effective_locale(root, info.context.app.default_locale)


@strawberry.type(description="A role that users can have, with what it means for a frontend.")
class Role:
    """A configured role."""

    name: str = strawberry.field(description="The name that `User.role` has.")
    settings: RoleSettings = strawberry.field(description="The settings of the role, for frontends to use.")


@strawberry.type(description="What is configured for everybody who uses this gateway.")
class App:
    """The app's configuration."""

    id: strawberry.ID = strawberry.field(description="Identifies the app.")
    default_locale: str = strawberry.field(description="The locale of users who have none of their own.")
    roles: list[Role] = strawberry.field(description="The configured roles, by name. There is always one: `default`.")


@strawberry.type(description="What `createUserIfNotExists` did.")
class CreateUserIfNotExistsPayload:
    """What createUserIfNotExists did."""

    user: User = strawberry.field(description="The new user, or the one that existed already.")
    created: bool = strawberry.field(description="Whether the user was created now. False if it existed already.")


@strawberry.type(description="What `setUser` did.")
class SetUserPayload:
    """What setUser did."""

    user: User = strawberry.field(description="The user as it is now.")
    created: bool = strawberry.field(description="Whether the user was created now.")
    changed: bool = strawberry.field(
        description="Whether any field changed, private fields included. False if the user had all these values before."
    )


@strawberry.type(description="A user who is watched, as it is now.")
class UserChange:
    """What usersChanged tells of one user."""

    id: strawberry.ID = strawberry.field(description="The user's id.")
    user: User | None = strawberry.field(description="The user as it is now, or null if there is none with this id.")


def as_changes(changes: Changes) -> list[UserChange]:
    """Return what has changed where a list of ``UserChange`` is asked for."""
    return [UserChange(id=strawberry.ID(user_id), user=cast("User", user)) for user_id, user in changes.items()]


@strawberry.type(description="What `deleteUser` did.")
class DeleteUserPayload:
    """What deleteUser did."""

    deleted: bool = strawberry.field(description="Whether there was such a user. False if there was none.")


@strawberry.type(description="A user, and whether the user is connected.")
class UserOnline:
    """What userOnlineChanged tells."""

    user: User | None = strawberry.field(description="The user as it is now, or null if there is none with this id.")
    is_connected: bool = strawberry.field(
        description="Whether somebody is connected with a token of this user, or was connected some seconds ago."
    )
