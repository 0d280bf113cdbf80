"""Snapshots: the public fields of a user at one version."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, field, fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn
from weakref import WeakValueDictionary

from userline_client.errors import ProtocolError
from userline_client.fields import contract_name

if TYPE_CHECKING:
    from collections.abc import Mapping


class _ReadOnly(dict[str, str]):
    """A dict that cannot be changed. ``copy`` and ``json`` handle it like any other dict."""

    def _refuse(self, *_: object, **__: object) -> NoReturn:
        raise TypeError("A snapshot is read-only; set() changes the user.")

    __setitem__ = __delitem__ = __ior__ = _refuse
    clear = pop = popitem = setdefault = update = _refuse

    def __copy__(self) -> _ReadOnly:
        return self

    def __deepcopy__(self, memo: object) -> _ReadOnly:
        return self

    def __reduce__(self) -> tuple[type[_ReadOnly], tuple[dict[str, str]]]:
        return _ReadOnly, (dict(self),)


@dataclass(frozen=True, slots=True, weakref_slot=True)
class UserSnapshot:
    """The public fields of a user at one version. It is immutable: after a change there is a new snapshot.

    While nothing changes, a session returns the same object again, so ``old is new`` tells whether anything has
    changed.
    """

    id: str
    name: str
    version: str = field(compare=False)
    """A string of digits. Compare two versions of a user as whole numbers: the newer one is greater.

    A write of private fields increases it too. Snapshots that differ only in their version are equal.
    """
    custom: Mapping[str, str]
    """The custom attributes of the user. Read-only."""
    locale: str | None
    """An IETF language tag (BCP 47), such as ``pt-BR``. ``None`` = the app's default locale."""
    effective_locale: str
    """The user's locale, or else the app's default locale."""
    photo_url: str | None
    """An http or https URL."""
    role: str
    """The name of a role, ``"default"`` unless it was set. ``Session.app`` has the settings of each role."""
    welcome_message: str | None

    def __hash__(self) -> int:
        return hash(_hashed(self))


@dataclass(frozen=True, slots=True)
class UserOnline:
    """A user, and whether it is connected. ``UserRef.subscribe_online`` shows it."""

    user: UserSnapshot | None
    """``None`` if there is no such user."""
    is_connected: bool
    """Whether somebody is connected to any gateway with a token of this user, or was some seconds ago."""


class Seen(NamedTuple):
    """A snapshot, and the version that the gateway has just sent with it; the version in the snapshot may be lower."""

    version: int
    snapshot: UserSnapshot


SEEN: Final = tuple((field.name, contract_name(field.name)) for field in fields(UserSnapshot))
"""The attributes of a snapshot, and what the gateway calls them."""

_REQUIRED: Final = frozenset(field.name for field in fields(UserSnapshot) if field.default is MISSING)
_MAPS: Final = tuple(field.name for field in fields(UserSnapshot) if str(field.type).startswith("Mapping"))
_LISTS: Final = tuple(field.name for field in fields(UserSnapshot) if str(field.type).startswith("tuple"))
_hashed: Final = attrgetter(*(attribute for attribute, _ in SEEN if attribute not in (*_MAPS, "version")))


def _read_id(user_id: Any) -> str:
    if not isinstance(user_id, str):
        raise TypeError("an id is a string")
    return user_id


def _read_version(version: Any) -> int:
    if not isinstance(version, str) or not version.isdecimal():
        raise TypeError("a version is a string of digits")
    return int(version)


class Snapshots:
    """Makes snapshots from what the gateway sends, and returns the same object again while it is in use."""

    def __init__(self) -> None:
        self._known: WeakValueDictionary[str, UserSnapshot] = WeakValueDictionary()

    def read(self, user: Any, news_from: int) -> Seen | None:
        """Return what a GraphQL ``User`` says, or ``None`` for null.

        Versions below ``news_from`` are of before what is known of the user. What was read of such a one is not
        returned in the place of a newer one that looks the same: there was something else in between.
        """
        if user is None:
            return None
        try:
            version = _read_version(user["version"])
            values = {attribute: user[name] for attribute, name in SEEN if name in user or attribute in _REQUIRED}
            for attribute in _MAPS:
                values[attribute] = _ReadOnly(values[attribute])
            for attribute in _LISTS:
                values[attribute] = tuple(values[attribute])
            values["id"] = _read_id(values["id"])
            snapshot = UserSnapshot(**values)
        except (KeyError, TypeError, ValueError) as error:
            raise ProtocolError(f"The gateway sent a user that is not valid: {error!r}") from None
        known = self._known.get(snapshot.id)
        if known == snapshot and int(known.version) >= min(news_from, version):
            return Seen(version, known)
        self._known[snapshot.id] = snapshot
        return Seen(version, snapshot)

    def forget(self, user_id: str) -> None:
        """Take that there is no such user: one that comes back is another one, even if it looks the same."""
        self._known.pop(user_id, None)
