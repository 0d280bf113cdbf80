"""The kinds of fields: how a value is stored, patched, and written as JSON.

Values are immutable. What a kind is in a store's own form is said by that store.
"""

from __future__ import annotations

from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Kind(Enum):
    """The kind of a field's value."""

    ID = "the user's id: never changes"
    TEXT = "a string, or None"
    LIST = "a tuple of strings: an input replaces all of it; one string stands for a list of one"
    MAP = "a read-only map of strings: an input is a patch of it, where a key's None removes the key"
    KEYS = "a frozenset of strings, in JSON a map of them to true: an input is a patch of it, as of a map"
    TIME = "Unix milliseconds, set by the store"
    VERSION = "what orders the states of a user, set by the store"


GIVEN_KINDS: Final = (Kind.TEXT, Kind.LIST, Kind.MAP, Kind.KEYS)
"""What callers set. The other kinds are the store's."""

EMPTY: Final[Mapping[Kind, Any]] = {
    Kind.TEXT: None,
    Kind.LIST: (),
    Kind.MAP: MappingProxyType({}),
    Kind.KEYS: frozenset(),
}
"""The default of a kind, unless a field has one of its own."""


def _keys_to_json(value: frozenset[str]) -> dict[str, bool]:
    return dict.fromkeys(sorted(value), True)


TO_JSON: Final[Mapping[Kind, Callable[[Any], Any]]] = {Kind.LIST: list, Kind.MAP: dict, Kind.KEYS: _keys_to_json}
"""What makes a value one that has a JSON form. Values of the other kinds are so already."""


def _read_list(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise TypeError("not a list of strings")
    return tuple(value)


def _read_map(value: Any) -> Mapping[str, str]:
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise TypeError("not a map of strings")
    return MappingProxyType(value)


def _read_keys(value: Any) -> frozenset[str]:
    if not isinstance(value, dict) or not all(item is True for item in value.values()):
        raise TypeError("not a map to true")
    return frozenset(value)


FROM_JSON: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    Kind.LIST: _read_list,
    Kind.MAP: _read_map,
    Kind.KEYS: _read_keys,
}
"""What reads the JSON form of a value. Raises TypeError that says what it is not."""


def _replaced(given: Any, _: Any) -> Any:
    return given


def _patched_map(given: Mapping[str, str | None], current: Mapping[str, str]) -> Mapping[str, str]:
    merged = {**current, **given}
    return MappingProxyType({key: value for key, value in merged.items() if value is not None})


def _patched_keys(given: Mapping[str, bool | None], current: frozenset[str]) -> frozenset[str]:
    added = {key for key, is_there in given.items() if is_there}
    return current.difference(given) | added


PATCHED: Final[Mapping[Kind, Callable[[Any, Any], Any]]] = {
    Kind.TEXT: _replaced,
    Kind.LIST: _replaced,
    Kind.MAP: _patched_map,
    Kind.KEYS: _patched_keys,
}
"""What becomes of a value under a valid input that is not null: ``PATCHED[kind](given, current)``."""
