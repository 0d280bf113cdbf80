"""The subscriptions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from userline.directory.online import watch_online

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from userline.changes.watcher import Changes
    from userline.directory.online import UserOnline
    from userline.resolvers.context import Context
    from userline.users.record import UserSnapshot


def user_changed(context: Context, user_id: str) -> AsyncGenerator[UserSnapshot | None, None]:
    """Watch a user: as it is now (None: there is no such user), and then each newer snapshot. Raises UserlineError."""
    return context.users.watch(user_id)


def users_changed(context: Context, user_ids: Sequence[str]) -> AsyncGenerator[Changes, None]:
    """Watch many users: all as they are now, and then what has changed since the last. Raises UserlineError."""
    return context.users.watch_many(user_ids, context.allowance)


def user_online_changed(context: Context, user_id: str) -> AsyncGenerator[UserOnline, None]:
    """Watch a user, and whether it is connected. Raises UserlineError."""
    return watch_online(context.users, context.presence, user_id)
