"""A reference to a user."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Final, Unpack

from userline_client.errors import InvalidInput
from userline_client.fields import UNSET, UnsetType, UserFields, to_input

if TYPE_CHECKING:
    from collections.abc import Callable

    from userline_client.session import Core
    from userline_client.snapshot import UserSnapshot
    from userline_client.subscription import UserSubscription
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

        Gets that are made in the same turn of the event loop travel as one request. A user who is being watched, or was
        read within 30 s, costs none.
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

    def subscribe(self, on_snapshot: Callable[[UserSnapshot | None], None] | None = None) -> UserSubscription:
        """Watch the user. ``on_snapshot`` is called with the user as it is now, and after each change.

        The subscription is ``pending`` when this returns. What ``on_snapshot`` raises is logged. Any number of
        subscriptions to a user cost as much as one. What the gateway puts off (its store is away, or a limit is
        reached, such as 1,000 users watched over one socket) is tried again with backoff.
        """
        if inspect.iscoroutinefunction(on_snapshot):
            raise InvalidInput("on_snapshot is a plain function, not a coroutine function: use `async for` for those.")
        return self._core.watches().subscribe(self._id, on_snapshot)
