"""A reference to a user."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Unpack

from userline_client.errors import InvalidInput
from userline_client.fields import UNSET, UnsetType, UserFields, to_input
from userline_client.many import watch_many

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from userline_client.core import Core
    from userline_client.snapshot import UserOnline, UserSnapshot
    from userline_client.subscription import OnlineSubscription, UsersSubscription, UserSubscription
    from userline_client.users import CreateResult, SetResult

_MAX_ID_CHARACTERS: Final = 255


def check_id(user_id: object) -> str:
    """Return the id. Raises ``InvalidInput`` if no user can have it."""
    if not isinstance(user_id, str):
        raise InvalidInput(f"A user's id is a string, not {type(user_id).__name__}.")
    if not 1 <= len(user_id) <= _MAX_ID_CHARACTERS:
        raise InvalidInput(f"A user's id has 1 to {_MAX_ID_CHARACTERS} characters, not {len(user_id)}.")
    if "\0" in user_id:
        raise InvalidInput("A user's id does not contain the NUL character.")
    try:
        user_id.encode()
    except UnicodeEncodeError:
        raise InvalidInput("A user's id is valid Unicode, without lone surrogates.") from None
    return user_id


class UserRef:
    """A reference to a user, who may or may not exist. Made by ``Session.user``, which returns the same one each time.

    All its requests are sent again over the next connection if one is lost, because all are safe to repeat; they raise
    ``ConnectionTimeout`` when the session's ``timeout`` has run out, and the other classes of ``UserlineError`` as
    the gateway refuses them. (A write that was done just before its connection was lost and is repeated then answers
    ``created`` and ``changed`` of the second time.)
    """

    __slots__ = ("__weakref__", "_core", "_id")

    def __init__(self, user_id: str, core: Core) -> None:
        self._id = user_id
        self._core = core

    def __repr__(self) -> str:
        return f"UserRef({self._id!r})"

    @property
    def id(self) -> str:
        """The user's id."""
        return self._id

    async def get(self) -> UserSnapshot | None:
        """Return the user as it is, ``None`` if there is none.

        Gets and subscriptions that begin in the same turn of the event loop travel as one request. A user who is
        being watched, or was asked for within 30 s, costs none, because it is watched for so long; what others write
        meanwhile is seen all the same.
        """
        return await self._core.users().get(self._id)

    async def create_if_not_exists(self, *, name: str, **fields: Unpack[UserFields]) -> CreateResult:
        """Create the user, unless it exists; then it stays as it is, and that is a success.

        What is left out or ``None`` gets its default. ``fields.py`` says what can be given.
        """
        given = to_input({"name": name, **fields})
        user_input = {field: value for field, value in given.items() if value is not None}
        return await self._core.users().create_if_not_exists(self._id, user_input)

    async def set(self, *, name: str | UnsetType = UNSET, **fields: Unpack[UserFields]) -> SetResult:
        """Patch the user, creating it if there is none (then ``name`` is required).

        What is left out stays as it is, ``None`` sets a field back to its default, a value sets it. In ``custom`` and
        ``push_tokens`` the same goes for each key. ``email`` and ``phone`` replace the whole list. ``fields.py`` says
        what can be given.
        """
        return await self._core.users().set(self._id, to_input({"name": name, **fields}))

    async def delete(self) -> bool:
        """Delete the user, and return whether there was one.

        Only servers may, unless the gateway is configured otherwise. Everybody who watches the user is shown ``None``.
        Nothing brings it back but ``create_if_not_exists``, or a ``set`` with a name.
        """
        return await self._core.users().delete(self._id)

    def subscribe(self, on_snapshot: Callable[[UserSnapshot | None], None] | None = None) -> UserSubscription:
        """Watch the user. ``on_snapshot`` is called with the user as it is now, and after each change.

        The subscription is ``pending`` when this returns. What ``on_snapshot`` raises is logged. Any number of
        subscriptions to a user cost as much as one, and those that begin in the same turn of the event loop are one
        request. What the gateway puts off (its store is away, or a limit is reached) is tried again; a subscription
        that is still ``pending`` when the session's ``timeout`` is over ends with the gateway's refusal.
        """
        return self._core.watches().subscribe(self._id, on_snapshot)

    def subscribe_online(self, on_snapshot: Callable[[UserOnline], None] | None = None) -> OnlineSubscription:
        """Watch the user, and whether it is connected; otherwise as ``subscribe``."""
        return self._core.watches().subscribe_online(self._id, on_snapshot)


class UserRefs:
    """A reference to many users, who may or may not exist. Made by ``Session.users``."""

    __slots__ = ("_core", "_ids")

    def __init__(self, user_ids: Sequence[str], core: Core) -> None:
        self._ids = tuple(user_ids)
        self._core = core

    def __repr__(self) -> str:
        return f"UserRefs({list(self._ids)!r})"

    @property
    def ids(self) -> tuple[str, ...]:
        """The users' ids, as they were given."""
        return self._ids

    async def get(self) -> list[UserSnapshot | None]:
        """Return the users as they are, in the order of the ids."""
        users = self._core.users()
        return await asyncio.gather(*(users.get(user_id) for user_id in self._ids))

    def subscribe(
        self, on_snapshot: Callable[[Mapping[str, UserSnapshot | None]], None] | None = None
    ) -> UsersSubscription:
        """Watch the users. ``on_snapshot`` is called with all of them by id, when all are known, and after changes.

        What changes in one turn of the event loop is shown together. If the gateway refuses one of them, the
        subscription ends with that error.
        """
        return watch_many(self._core.watches(), self._ids, on_snapshot)
