"""The root types: what can be asked, written and watched.

What resolvers return has the attributes that the types resolve, so that it only has to be said to be of the type. An
error among users is null, and told at its place.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, cast

import strawberry
from strawberry.types import Info

from userline.resolvers import mutations, queries, watching
from userline.resolvers.context import Context
from userline.schema.inputs import CreateUserInput, SetUserInput, given_fields
from userline.schema.types import (
    App,
    CreateUserIfNotExistsPayload,
    DeleteUserPayload,
    SetUserPayload,
    User,
    UserChange,
    UserOnline,
    as_changes,
)

OperationInfo = Info[Context, None]

UserId = Annotated[strawberry.ID, strawberry.argument(description="The user's id: 1 to 255 characters, no NUL.")]


@strawberry.type(description="What can be read.")
class Query:
    """The query root."""

    @strawberry.field(
        description=(
            "The user with this id, or null if there is none. You may ask for many users, by aliases or in separate "
            "operations: all users that are asked for at the same time are one read of the store."
        )
    )
    async def user(self, info: OperationInfo, id: UserId) -> User | None:  # noqa: A002 - the contract's name
        """Return one user."""
        return cast("User | None", await queries.user(info.context, id))

    @strawberry.field(
        description=(
            "The users with these ids, in the same order, and null for each that does not exist. An id that is not "
            "valid also gives null, and an error with its place."
        )
    )
    async def users(
        self,
        info: OperationInfo,
        ids: Annotated[list[strawberry.ID], strawberry.argument(description="At most 1,000 ids of users.")],
    ) -> list[User | None]:
        """Return many users."""
        return cast("list[User | None]", await queries.users(info.context, ids))

    @strawberry.field(description="What is configured for everybody who uses this gateway.")
    def app(self, info: OperationInfo) -> App:
        """Return the app's configuration."""
        return cast("App", queries.app(info.context.app))


@strawberry.type(description="What can be written. Every mutation is safe to repeat.")
class Mutation:
    """The mutation root."""

    @strawberry.mutation(
        description=(
            "Creates the user if there is none with this id. An existing user is not changed, which is not an error."
        )
    )
    async def create_user_if_not_exists(
        self,
        info: OperationInfo,
        id: UserId,  # noqa: A002 - the contract's name
        input: Annotated[CreateUserInput, strawberry.argument(description="The new user.")],  # noqa: A002
    ) -> CreateUserIfNotExistsPayload:
        """Create a user unless it exists."""
        written = await mutations.create_user_if_not_exists(info.context, id, given_fields(input))
        return CreateUserIfNotExistsPayload(user=cast("User", written.user), created=written.created)

    @strawberry.mutation(
        description=(
            "Patches the user. If there is none with this id, it is created, and then `name` is required. Patches of "
            "different fields, or of different custom keys, are all kept if they are sent at the same time."
        )
    )
    async def set_user(
        self,
        info: OperationInfo,
        id: UserId,  # noqa: A002 - the contract's name
        input: Annotated[SetUserInput, strawberry.argument(description="The patch.")],  # noqa: A002
    ) -> SetUserPayload:
        """Patch a user."""
        written = await mutations.set_user(info.context, id, given_fields(input))
        return SetUserPayload(user=cast("User", written.user), created=written.created, changed=written.changed)

    @strawberry.mutation(
        description=(
            "Deletes the user permanently; everybody who watches it gets null. After that, only createUserIfNotExists, "
            "or setUser with a name, creates it again. It is not an error if there is no such user. For server tokens "
            "only, unless the gateway allows users to delete themselves."
        )
    )
    async def delete_user(
        self,
        info: OperationInfo,
        id: UserId,  # noqa: A002 - the contract's name
    ) -> DeleteUserPayload:
        """Delete a user."""
        return DeleteUserPayload(deleted=(await mutations.delete_user(info.context, id)).deleted)


@strawberry.type(description="What can be watched.")
class Subscription:
    """The subscription root."""

    @strawberry.subscription(
        description=(
            "The first event is the user as it is now (null if there is none). After that there is an event whenever "
            "the user is created or deleted, or a public field changes. A slow reader may miss states in between, but "
            "never the last one."
        )
    )
    async def user_changed(
        self,
        info: OperationInfo,
        id: UserId,  # noqa: A002 - the contract's name
    ) -> AsyncGenerator[User | None, None]:
        """Watch a user."""
        async with aclosing(watching.user_changed(info.context, id)) as snapshots:
            async for snapshot in snapshots:
                yield cast("User | None", snapshot)

    @strawberry.subscription(
        description=(
            "The first event has all these users as they are now (`user` is null if there is none); if it would be "
            "large, it comes as several events. After that, an event has the users who were created or deleted, or "
            "whose public fields have changed, since the last event, each of them once. An id that is given twice "
            "counts once. A slow reader may miss states in between, but never the last one of a user."
        )
    )
    async def users_changed(
        self,
        info: OperationInfo,
        ids: Annotated[list[strawberry.ID], strawberry.argument(description="At most 1,000 ids of users.")],
    ) -> AsyncGenerator[list[UserChange], None]:
        """Watch many users."""
        async with aclosing(watching.users_changed(info.context, ids)) as events:
            async for changes in events:
                yield as_changes(changes)

    @strawberry.subscription(
        description=(
            "The first event has the user as it is now and whether it is connected. After that there is an event "
            "whenever one of them changes. A user is connected while an operation with its token runs over a socket or "
            "a stream of any gateway, and for some seconds after the last one and after the last request, so that a "
            "short reconnect is not shown as an absence."
        )
    )
    async def user_online_changed(
        self,
        info: OperationInfo,
        id: UserId,  # noqa: A002 - the contract's name
    ) -> AsyncGenerator[UserOnline | None, None]:
        """Watch a user, and whether it is connected."""
        async with aclosing(watching.user_online_changed(info.context, id)) as states:
            async for state in states:
                yield cast("UserOnline", state)
