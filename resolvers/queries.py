"""The queries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from userline.directory.users import Users
from userline.users.errors import BadUserInput, Problem
from userline.users.rules import MAX_IDS
from userline.users.validation import check_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from userline.resolvers.context import AppInfo, Context
    from userline.users.record import UserSnapshot

load_user = Users.load
held_users, load_users = Users.held_many, Users.get_many
"""The two halves of ``user`` and ``users``, for plans, which answer at once where nobody has to be loaded.

The first half of ``user`` is ``Users.held``. What is held is MISS where somebody has to be loaded; what an argument is,
is checked by those that load.
"""


async def user(context: Context, user_id: str) -> UserSnapshot | None:
    """Return the user, None if there is none. Raises UserlineError."""
    return await context.users.get(user_id)


async def users(context: Context, user_ids: Sequence[str]) -> list[UserSnapshot | BadUserInput | None]:
    """Return the users in the order of their ids, None for the missing, and what is wrong with what is no id.

    Raises UserlineError.
    """
    return await context.users.get_many(user_ids)


@dataclass(frozen=True, slots=True)
class Role:
    """A configured role, with the names of its fields in the schema."""

    name: str
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True)
class App:
    """The app's configuration, with the names of its fields in the schema."""

    id: str
    default_locale: str
    roles: list[Role]


def app(info: AppInfo) -> App:
    """Return what is configured for everybody who uses the gateway."""
    return App(info.id, info.default_locale, [Role(name, dict(given)) for name, given in info.roles.items()])


def effective_locale(user: UserSnapshot, default_locale: str) -> str:
    """Return the user's locale, or the app's default where the user has none."""
    return user.locale or default_locale


async def entities(context: Context, representations: Sequence[object]) -> list[UserSnapshot | BadUserInput | None]:
    """Return the users that a router refers to, None for the missing, and what is wrong with what refers to nobody.

    Raises UserlineError.
    """
    ids = _ids_in(representations)
    found = iter(await context.users.get_many([each for each in ids if isinstance(each, str)]))
    return [next(found) if isinstance(each, str) else each for each in ids]


def _ids_in(representations: Sequence[object]) -> list[str | BadUserInput]:
    """Return the ids of the users that are referred to, and what is wrong where there is none. Raises BadUserInput."""
    if len(representations) > MAX_IDS:
        message = f"representations must have at most {MAX_IDS} entries, not {len(representations)}."
        raise BadUserInput([Problem("representations", message)])
    return [_id_in(number, given) for number, given in enumerate(representations)]


def _id_in(number: int, given: object) -> str | BadUserInput:
    if not isinstance(given, dict) or given.get("__typename") != "User":
        complaint = f'representations[{number}] must have "__typename": "User".'
    elif not isinstance(given.get("id"), str):
        complaint = f"representations[{number}] must have the id of a user."
    else:
        try:
            return check_id(given["id"])
        except ValueError as error:
            complaint = f"representations[{number}].id {error}"
    return BadUserInput([Problem("representations", complaint)])
