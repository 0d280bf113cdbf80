"""The fields that can be set. The fields that can be read are in ``snapshot.py``.

The gateway's name of a field is the name here in camel case: ``photo_url`` is ``photoUrl``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final, Literal, TypeAlias, TypedDict


class Unset(Enum):
    """The type of ``UNSET``, which is its only value."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""As the value of a field: leave the field unchanged. (``None`` sets it back to its default.)"""

UnsetType: TypeAlias = Literal[Unset.UNSET]

_Text: TypeAlias = str | UnsetType | None
_Texts: TypeAlias = Sequence[str] | str | UnsetType | None


class UserFields(TypedDict, total=False):
    """The fields that ``UserRef.set`` and ``UserRef.create_if_not_exists`` take, in addition to ``name``.

    Each is optional. ``UNSET`` means the same as leaving the field out, ``None`` sets it back to its default.
    """

    custom: Mapping[str, str | None] | UnsetType | None
    """A patch: a string sets a key, ``None`` removes a key, other keys stay unchanged. ``None`` instead of the mapping
    removes all keys."""
    locale: _Text
    """An IETF language tag (BCP 47), such as ``pt-BR``."""
    photo_url: _Text
    """An http or https URL of at most 2,083 characters."""
    role: _Text
    """One of the configured roles, if roles are configured at the gateway."""
    welcome_message: _Text
    email: _Texts
    """One e-mail address or several. They replace the whole list."""
    phone: _Texts
    """One phone number or several, in international form, such as ``+14155552671``. They replace the whole list."""
    push_tokens: Mapping[str, bool | None] | UnsetType | None
    """A patch of ``"fcm:TOKEN"`` or ``"apns:TOKEN"``: ``True`` registers a token, ``None`` unregisters it. ``None``
    instead of the mapping unregisters all."""


_SETTABLE: Final = frozenset(("name", *UserFields.__annotations__))


def contract_name(attribute: str) -> str:
    """Return the gateway's name of a field."""
    first, *others = attribute.split("_")
    return first + "".join(map(str.capitalize, others))


def to_input(given: Mapping[str, object]) -> dict[str, object]:
    """Return the GraphQL input with these fields, without those that are ``UNSET``.

    Raises ``TypeError`` for a name that is not a field, as Python does for an unknown argument.
    """
    for attribute in given:
        if attribute not in _SETTABLE:
            raise TypeError(f"A user has no field {attribute!r} that can be set.")
    return {contract_name(attribute): _plain(value) for attribute, value in given.items() if value is not UNSET}


def _plain(value: object) -> object:
    """Return a mapping as a dict and a sequence as a list, which have a JSON form."""
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
