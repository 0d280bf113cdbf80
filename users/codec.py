"""Users as JSON values, with the names of the API (``photoUrl``, ``pushTokens``, …)."""

from __future__ import annotations

from types import NoneType
from typing import TYPE_CHECKING, Any, Final

import orjson

from userline.users.fields import FIELDS, LOOKS, PUBLIC
from userline.users.kinds import FROM_JSON, TO_JSON, Kind
from userline.users.record import UserSnapshot
from userline.users.written_out import make_function, written_call, written_dict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from userline.users.fields import Field
    from userline.users.record import UserRecord


def _json_of(field: Field, holder: str) -> tuple[str, str]:
    """Return the name of a field, and the expression of its JSON form as an attribute of ``holder``."""
    value = f"{holder}.{field.attribute}"
    return field.name, f"{field.kind.name}({value})" if field.kind in TO_JSON else value


_CONVERTERS: Final = {kind.name: convert for kind, convert in TO_JSON.items()}
_ON_THE_BUS: Final = tuple(field for field in PUBLIC if field.kind is not Kind.VERSION)
_PRIVATE: Final = tuple(field for field in FIELDS if not field.is_of_snapshot)
_PUBLIC_ITEMS: Final = [_json_of(field, "snapshot") for field in _ON_THE_BUS]
_ALL_ITEMS: Final = [
    *(_json_of(field, "record.snapshot") for field in _ON_THE_BUS),
    *(_json_of(field, "record") for field in _PRIVATE),
]
_to_json: Final = make_function("snapshot", written_dict(_PUBLIC_ITEMS), **_CONVERTERS)
_all_to_json: Final = make_function("record", written_dict(_ALL_ITEMS), **_CONVERTERS)

_TEXT_TYPES: Final = {False: (str,), True: (str, NoneType)}
_TEXTS: Final = tuple(
    (field.name, field.attribute, field.default, _TEXT_TYPES[field.is_nullable])
    for field in LOOKS
    if field.kind is Kind.TEXT and not field.is_required
)
_REQUIRED: Final = tuple((field.name, field.attribute) for field in PUBLIC if field.is_required)
_OTHERS: Final = tuple(
    (field.name, field.attribute, field.default, FROM_JSON[field.kind]) for field in LOOKS if field.kind in FROM_JSON
)


def _is_text(field: Field) -> str:
    """Return the expression of whether a JSON value has the text of a field."""
    is_str = f"type(value[{field.name!r}]) is str"
    return f"({is_str} or value[{field.name!r}] is None)" if field.is_nullable else is_str


def _read(field: Field) -> tuple[str, str]:
    value = f"value[{field.name!r}]"
    return field.attribute, f"{field.kind.name}({value})" if field.kind in FROM_JSON else value


_SNAPSHOT: Final = written_call("UserSnapshot", [("version", "version"), *map(_read, _ON_THE_BUS)])
_CHECKED: Final = " and ".join(_is_text(field) for field in _ON_THE_BUS if field.kind not in FROM_JSON)
_of_whole: Final = make_function(
    "value, version",
    f"{_SNAPSHOT} if {_CHECKED} else None",
    UserSnapshot=UserSnapshot,
    **{kind.name: read for kind, read in FROM_JSON.items()},
)

_NAMES: Final = frozenset(field.name for field in _ON_THE_BUS)


def snapshot_to_json(snapshot: UserSnapshot) -> dict[str, Any]:
    """Return the public half, without its version."""
    value: dict[str, Any] = _to_json(snapshot)
    return value


def is_whole_snapshot(value: Mapping[str, Any]) -> bool:
    """Whether a JSON value has every public field, which that of a userline that knows fewer of them has not."""
    return value.keys() >= _NAMES


def snapshot_from_json(value: Mapping[str, Any], version: int) -> UserSnapshot:
    """Return the snapshot that :func:`snapshot_to_json` made ``value`` from, here or in another version of userline.

    What is missing has its default, and what is not known is passed over. Raises KeyError or TypeError.
    """
    try:
        snapshot: UserSnapshot | None = _of_whole(value, version)
    except (KeyError, TypeError):
        snapshot = None
    return _of_any(value, version) if snapshot is None else snapshot


def _of_any(value: Mapping[str, Any], version: int) -> UserSnapshot:
    """Return the snapshot of what may lack something, or say what is wrong with it."""
    attributes: dict[str, Any] = {"version": version}
    for name, attribute in _REQUIRED:
        item = value[name]
        if type(item) is not str:
            raise TypeError(f"{name} is not a string.")
        attributes[attribute] = item
    for name, attribute, default, types in _TEXTS:
        item = value.get(name, default)
        if type(item) not in types:
            raise TypeError(f"{name} is {'neither a string nor null' if NoneType in types else 'not a string'}.")
        attributes[attribute] = item
    for name, attribute, default, read in _OTHERS:
        if name not in value:
            attributes[attribute] = default
            continue
        try:
            attributes[attribute] = read(value[name])
        except TypeError as error:
            raise TypeError(f"{name} is {error}.") from None
    return UserSnapshot(**attributes)


def record_to_json(record: UserRecord) -> dict[str, Any]:
    """Return the whole record, as a server sees it: the public half, the private half, the times and the version."""
    value: dict[str, Any] = _all_to_json(record)
    value["version"] = str(record.snapshot.version)
    return value


def encoded_size(record: UserRecord) -> int:
    """Return the size that the limit on a whole record counts: bytes of its compact JSON form in UTF-8.

    The version, which is the store's, does not count.
    """
    return len(orjson.dumps(_all_to_json(record)))
