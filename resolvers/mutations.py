"""The mutations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from userline.resolvers.audit import audit
from userline.users.viewer import ViewerKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from userline.resolvers.context import Context
    from userline.users.record import UserSnapshot


@dataclass(frozen=True, slots=True)
class Written:
    """The result of a write, with the names of its payload's fields."""

    user: UserSnapshot
    created: bool
    changed: bool = False


async def create_user_if_not_exists(context: Context, user_id: str, given: Mapping[str, Any]) -> Written:
    """Create the user unless it exists. Raises UserlineError."""
    _audit(context, user_id)
    user, created = await context.users.create_if_not_exists(user_id, given, viewer=context.viewer)
    return Written(user, created)


async def set_user(context: Context, user_id: str, given: Mapping[str, Any]) -> Written:
    """Patch the user, or create it. Raises UserlineError."""
    _audit(context, user_id)
    user, result = await context.users.set(user_id, given, viewer=context.viewer)
    return Written(user, result.created, result.changed)


def _audit(context: Context, user_id: str) -> None:
    """Log what is about to be written with a server token."""
    if context.viewer.kind is ViewerKind.APP:
        audit(context.viewer, "write", [user_id], context.request_id)


@dataclass(frozen=True, slots=True)
class Deleted:
    """The result of a deletion, with the name of its payload's field."""

    deleted: bool


async def delete_user(context: Context, user_id: str) -> Deleted:
    """Delete the user. Raises UserlineError."""
    if context.viewer.kind is not ViewerKind.OPEN:
        audit(context.viewer, "deletion", [user_id], context.request_id)
    return Deleted(await context.users.delete(user_id, viewer=context.viewer))


RESOLVERS: Final[Mapping[str, Callable[..., Awaitable[Any]]]] = {
    "createUserIfNotExists": create_user_if_not_exists,
    "setUser": set_user,
    "deleteUser": delete_user,
}
"""By the field's name in the schema."""
