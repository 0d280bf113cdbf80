"""References: the public objects that read, write and watch users."""

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
    """A reference to a user, who may or may not exist. ``Session.user`` returns it, the same object each time.

    If the connection is lost, a request is sent again over the next one; all requests are safe to repeat. If a write
    was done, but its answer was lost, ``created`` and ``changed`` are those of the repetition.

    All requests raise ``ConnectionTimeout`` when the session's ``timeout`` is over, a ``ServerError`` when the gateway
    refuses them, ``InvalidInput`` for values that cannot be sent, and ``SessionClosed`` if the session is closed.
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
        """Return the current snapshot of the user, or ``None`` if there is no such user.

        All ``get()`` and ``subscribe()`` that begin in the same turn of the event loop are sent as one request. After a
        ``get()`` the session watches the user for 30 s more. While a user is watched, ``get()`` sends no request and
        still returns the latest writes of everybody.
        """
        return await self._core.users().get(self._id)

    async def create_if_not_exists(self, *, name: str, **fields: Unpack[UserFields]) -> CreateResult:
        """Create the user if it does not exist. An existing user stays unchanged, which is not an error.

        A field that is left out or ``None`` gets its default. ``UserFields`` lists the fields. Raises ``BadUserInput``
        if a field is not valid; then nothing is written.
        """
        given = to_input({"name": name, **fields})
        user_input = {field: value for field, value in given.items() if value is not None}
        return await self._core.users().create_if_not_exists(self._id, user_input)

    async def set(self, *, name: str | UnsetType = UNSET, **fields: Unpack[UserFields]) -> SetResult:
        """Patch the user. If it does not exist, it is created, and then ``name`` is required.

        A field that is left out stays unchanged, ``None`` sets it back to its default, a value sets it. In ``custom``
        and ``push_tokens`` the same rule applies to each key. ``email`` and ``phone`` replace the whole list.
        ``UserFields`` lists the fields. Raises ``BadUserInput`` if a field is not valid, and ``NameRequired`` if the
        user would be created without a name; then nothing is written.
        """
        return await self._core.users().set(self._id, to_input({"name": name, **fields}))

    async def delete(self) -> bool:
        """Delete the user with all its data, and return whether there was one.

        It needs a server token, unless the gateway is configured otherwise; others get ``Forbidden``. Everybody who
        watches the user gets ``None``. After that, only ``create_if_not_exists``, or ``set`` with a name, creates it
        again.
        """
        return await self._core.users().delete(self._id)

    def subscribe(self, on_snapshot: Callable[[UserSnapshot | None], None] | None = None) -> UserSubscription:
        """Watch the user. ``on_snapshot`` is called with the current snapshot, and again after each change.

        ``on_snapshot`` must be a plain function (``InvalidInput`` otherwise). An exception that it raises is logged.
        The subscription is ``pending`` when this method returns. Any number of subscriptions to one user cost as much
        as one, and those that begin in the same turn of the event loop are one request. After a temporary error of the
        gateway (its store is unavailable, or a limit is reached) the session tries again. A subscription that is still
        ``pending`` when the session's ``timeout`` is over ends with that error.
        """
        return self._core.watches().subscribe(self._id, on_snapshot)

    def subscribe_online(self, on_snapshot: Callable[[UserOnline], None] | None = None) -> OnlineSubscription:
        """Watch the user, and whether it is connected. Everything else is as in ``subscribe``."""
        return self._core.watches().subscribe_online(self._id, on_snapshot)


class UserRefs:
    """A reference to many users, who may or may not exist. ``Session.users`` returns it."""

    __slots__ = ("_core", "_ids")

    def __init__(self, user_ids: Sequence[str], core: Core) -> None:
        self._ids = tuple(user_ids)
        self._core = core

    def __repr__(self) -> str:
        return f"UserRefs({list(self._ids)!r})"

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids as they were given, duplicates included."""
        return self._ids

    async def get(self) -> list[UserSnapshot | None]:
        """Return the current snapshots in the order of the ids, ``None`` for users who do not exist.

        Raises what ``UserRef.get`` raises.
        """
        users = self._core.users()
        return await asyncio.gather(*(users.get(user_id) for user_id in self._ids))

    def subscribe(
        self, on_snapshot: Callable[[Mapping[str, UserSnapshot | None]], None] | None = None
    ) -> UsersSubscription:
        """Watch the users. ``on_snapshot`` is called with a mapping of all of them by id.

        It is first called when all users are known, and again after changes. Changes of one turn of the event loop are
        shown together. If the gateway refuses one of the users, the subscription ends with that error.
        """
        return watch_many(self._core.watches(), self._ids, on_snapshot)
