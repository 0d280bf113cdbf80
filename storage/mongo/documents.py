"""Users as MongoDB documents.

A caller's key of ``custom`` or ``pushTokens`` becomes a field's name only in its encoded form, which has no dot,
dollar or NUL and is never empty, so that it can be neither a path nor an operator, here or in anybody's query. A
caller's value is always a string, never a document.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from bson.int64 import Int64

from userline.storage.mongo import write_ids
from userline.users.fields import FIELDS
from userline.users.kinds import Kind
from userline.users.record import UserRecord, UserSnapshot
from userline.users.versions import LARGEST_VERSION
from userline.users.written_out import make_function, written_call, written_dict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from userline.users.fields import Field

Document: TypeAlias = dict[str, Any]

_EMPTY_KEY: Final = "%"
_ESCAPES: Final = {"%": "%25", ".": "%2E", "$": "%24", "\0": "%00"}
_ESCAPED: Final = {escape: character for character, escape in _ESCAPES.items()}
_TO_ESCAPE: Final = re.compile(r"[%.$\0]")
_TO_RESTORE: Final = re.compile("|".join(_ESCAPED))


_ONLY: Final[dict[type, frozenset[type]]] = {kind: frozenset((kind,)) for kind in (str, bool)}


@dataclass(frozen=True, slots=True)
class StoredUser:
    """A user, and what distinguishes its document from all earlier ones of this id."""

    record: UserRecord
    guard: Document
    """The query that finds the document as long as nobody has written the user since."""
    write_ids: str
    """Its ``write_ids``. Without any, as another program or an older userline leaves it, the guard is none."""
    others: Document = field(default_factory=dict)
    """What else is in the document, which a write leaves there: fields of other programs, or of a newer userline."""


class DocumentError(ValueError):
    """A document is not a valid user. The message names the document and the field, and no value."""


def encode_key(key: str) -> str:
    """Return the field name that stands for ``key``: ``%25``, ``%2E``, ``%24``, ``%00``, and ``%`` for the empty."""
    return _TO_ESCAPE.sub(lambda match: _ESCAPES[match[0]], key) or _EMPTY_KEY


def decode_key(name: str) -> str:
    """Return the key that :func:`encode_key` made ``name`` from."""
    if "%" not in name:
        return name
    return "" if name == _EMPTY_KEY else _TO_RESTORE.sub(lambda match: _ESCAPED[match[0]], name)


def written_user(record: UserRecord, ids: str, before: StoredUser | None = None) -> tuple[StoredUser, Document]:
    """Return the user as a write leaves it over ``before`` that makes its ids ``ids``, and the document to write."""
    others = before.others if before is not None else {}
    document = encode_user(record)
    document[write_ids.FIELD] = ids
    document.update(others)
    return StoredUser(record, _guard(document), ids, others), document


def read_user(document: Document) -> StoredUser:
    """Return the user that ``document`` keeps, and what guards a write of it. Raises DocumentError."""
    record = decode_user(document)
    ids = document.get(write_ids.FIELD)
    if ids is not None and not (isinstance(ids, str) and ids):
        raise DocumentError(f"The document {record.snapshot.id!r} has {write_ids.FIELD} that are none.")
    others = {}
    if not FIELD_NAMES.issuperset(document):
        others = {name: value for name, value in document.items() if name not in FIELD_NAMES}
    return StoredUser(record, _guard(document), ids or "", others)


def guard_of(document: Document) -> Document:
    """Return the query that finds the document, whatever it is, as long as nobody has written it since."""
    # Of one that cannot be read there is no more than the id. No write of ours goes over it.
    return _guard(document) if len(document) > 1 else document


def version_of(document: Document) -> int:
    """Return the version of a document that may be no user, 0 if it has none."""
    try:
        return decode_user(document).snapshot.version
    except DocumentError:
        version = document.get("version")
        return min(version, LARGEST_VERSION) if isinstance(version, int) else 0


def _guard(document: Document) -> Document:
    # No two writes have the same ids. The version is for edits by other programs, which leave them as they were.
    return {name: document.get(name) for name in ("_id", "version", write_ids.FIELD)}


def encode_user(record: UserRecord) -> Document:
    """Return the document that keeps ``record``. Times and the version are 64-bit integers, whatever their size."""
    document: Document = _to_document(record)
    return document


def decode_user(document: Mapping[str, Any]) -> UserRecord:
    """Return the user that ``document`` keeps. Raises DocumentError.

    What has a default may be missing, and fields that no user has are left alone: other programs may write here too,
    and userlines that know more fields. Who has no version has that of the last change that is known.
    """
    fields = _Fields(document)
    created_at = fields.integer("createdAt", 0)
    updated_at = fields.integer("updatedAt", created_at)
    version = min(max(1, fields.integer("version", updated_at)), LARGEST_VERSION)
    user: UserRecord = _to_user(fields, fields.text("_id"), version, created_at, updated_at)
    return user


class _Fields:
    """Reads the fields of one document, and reports which one is not valid."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document

    def text(self, name: str) -> str:
        value = self._document.get(name)
        if isinstance(value, str):
            return value
        raise self._error(name, "a string")

    def optional_text(self, name: str) -> str | None:
        value = self._document.get(name)
        return value if value is None or isinstance(value, str) else self.text(name)

    def integer(self, name: str, default: int) -> int:
        value = self._document.get(name, default)
        # Shells write whole numbers as doubles at times.
        if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
            return int(value)
        raise self._error(name, "a whole number")

    def texts(self, name: str) -> tuple[str, ...]:
        values = self._document.get(name)
        if values is None:
            return ()
        if isinstance(values, list) and _ONLY[str].issuperset(map(type, values)):
            return tuple(values)
        raise self._error(name, "a list of strings")

    def mapping(self, name: str, kind: type) -> dict[str, Any]:
        values = self._document.get(name)
        if values is None:
            return {}
        if isinstance(values, dict) and _ONLY[kind].issuperset(map(type, values.values())):
            if "%" not in "".join(values):
                return dict(values)
            return {decode_key(key): value for key, value in values.items()}
        raise self._error(name, "an object of strings" if kind is str else "an object of true")

    def _error(self, name: str, kind: str) -> DocumentError:
        return DocumentError(f"The document {self._document.get('_id')!r} is not a user: {name} is not {kind}.")


def _encode_keys(value: Iterable[str]) -> dict[str, bool]:
    return {encode_key(key): True for key in sorted(value)}


def _encode_map(value: Mapping[str, str]) -> dict[str, str]:
    return {encode_key(key): item for key, item in value.items()}


def _written(field: Field) -> tuple[str, str]:
    """Return what a field is called in a document, and the expression of its value there."""
    value = f"record.{'snapshot.' if field.is_of_snapshot else ''}{field.attribute}"
    return _name_of(field), f"{field.kind.name}({value})" if field.kind in _ENCODE else value


def _read(field: Field) -> tuple[str, str]:
    """Return the attribute of a field, and the expression that reads it from a document."""
    match field.kind:
        case Kind.LIST:
            read = f"fields.texts({field.name!r})"
        case Kind.MAP:
            read = f"MappingProxyType(fields.mapping({field.name!r}, str))"
        case Kind.KEYS:
            read = f"frozenset(fields.mapping({field.name!r}, bool))"
        case Kind.TEXT if field.is_required:
            read = f"fields.text({field.name!r})"
        case Kind.TEXT:
            read = f"fields.optional_text({field.name!r})"
            read += f" or {field.default!r}" if field.default is not None else ""
        case _:
            read = field.attribute  # given by the caller
    return field.attribute, read


def _name_of(field: Field) -> str:
    return "_id" if field.kind is Kind.ID else field.name


_ENCODE: Final[dict[Kind, Callable[[Any], Any]]] = {
    Kind.LIST: list,
    Kind.MAP: _encode_map,
    Kind.KEYS: _encode_keys,
    Kind.TIME: Int64,
    Kind.VERSION: Int64,
}
_to_document: Final = make_function(
    "record", written_dict(map(_written, FIELDS)), **{kind.name: encode for kind, encode in _ENCODE.items()}
)
_SNAPSHOT: Final = written_call("UserSnapshot", [_read(field) for field in FIELDS if field.is_of_snapshot])
_RECORD: Final = [_read(field) for field in FIELDS if not field.is_of_snapshot]
_to_user: Final = make_function(
    "fields, id, version, created_at, updated_at",
    written_call("UserRecord", [("snapshot", _SNAPSHOT), *_RECORD]),
    MappingProxyType=MappingProxyType,
    UserRecord=UserRecord,
    UserSnapshot=UserSnapshot,
)

FIELD_NAMES: Final = frozenset((*map(_name_of, FIELDS), write_ids.FIELD))
"""What the fields of a document are called. All others are somebody else's, and are kept."""
