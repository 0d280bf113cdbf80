"""The fields of a user, each declared once: what can be set is here, what is seen in ``snapshot.py``.

What the gateway calls a field is its name here in camel case: ``photo_url`` is ``photoUrl``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final, Literal, TypeAlias, TypedDict


class Unset(Enum):
    """The type of ``UNSET``."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return "UNSET"


UNSET: Final = Unset.UNSET
"""Leave a field as it is (``None`` sets it back to its default)."""

UnsetType: TypeAlias = Literal[Unset.UNSET]

_Text: TypeAlias = str | UnsetType | None
_Texts: TypeAlias = Sequence[str] | str | UnsetType | None


class UserFields(TypedDict, total=False):
    """What can be set of a user beside the ``name``, which a user always has."""

    custom: Mapping[str, str | None] | UnsetType | None
    """A patch: a key's string sets it, a key's ``None`` removes it."""
    locale: _Text
    photo_url: _Text
    role: _Text
    welcome_message: _Text
    email: _Texts
    """One address or many, which replace those that are there."""
    phone: _Texts
    """One number or many, which replace those that are there."""
    push_tokens: Mapping[str, bool | None] | UnsetType | None
    """A patch: ``True`` registers a token, ``None`` unregisters it."""


_SETTABLE: Final = frozenset(("name", *UserFields.__annotations__))


def contract_name(attribute: str) -> str:
    """Return what the gateway calls a field."""
    first, *others = attribute.split("_")
    return first + "".join(map(str.capitalize, others))


def to_input(given: Mapping[str, object]) -> dict[str, object]:
    """Return the input that the gateway takes for these fields, without those left out.

    Raises ``TypeError`` for what is no field, as a call with a wrong argument does.
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
