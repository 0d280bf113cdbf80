"""The selected fields of a user, encoded as JSON. For a projection and a snapshot this is done once."""

from __future__ import annotations

from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import orjson

from userline.execution.operation import AnswerTooLarge
from userline.execution.plans.selections import NotSimple, collect_fields
from userline.execution.weighed import WeighedCache, weight_of
from userline.resolvers import queries
from userline.users.fields import PUBLIC
from userline.users.kinds import TO_JSON, Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from userline.execution.plans.selections import Conditions, Fragments, SelectedField
    from userline.users.fields import Field
    from userline.users.record import UserSnapshot

Shape: TypeAlias = tuple[tuple[str, str], ...]
"""The keys of a response with the names of the fields that they stand for."""

_NULL: Final = b"null"

_ENCODINGS: Final = 8
"""How many projections of one snapshot are kept."""

_LARGE_BYTES: Final = 4096
"""What is larger is kept alone, so that encodings take no more memory than the users themselves."""

_LARGEST_BYTES: Final = 65_536
"""What is larger is not kept: with aliases it can be many times what the user is."""

_PROJECTIONS: Final = 1000
_PROJECTIONS_BYTES: Final = 4_194_304


def _reader_of(field: Field) -> Callable[[UserSnapshot], Any]:
    """Return what reads a field of a snapshot as JSON."""
    read = attrgetter(field.attribute)
    convert = str if field.kind is Kind.VERSION else TO_JSON.get(field.kind)
    return read if convert is None else lambda snapshot: convert(read(snapshot))


_ATTRIBUTES: Final[dict[str, Callable[[UserSnapshot], Any]]] = {
    **{field.name: _reader_of(field) for field in PUBLIC},
    "__typename": lambda _: "User",
}


class Projection:
    """Encodes the selected fields of snapshots."""

    __slots__ = ("_fields", "_largest", "_left", "_most")

    def __init__(self, shape: Shape, default_locale: str, most: int) -> None:
        attributes = _ATTRIBUTES | {"effectiveLocale": partial(queries.effective_locale, default_locale=default_locale)}
        try:
            self._fields = [(key, attributes[name]) for key, name in shape]
        except KeyError:
            raise NotSimple from None
        self._largest = len(_NULL)
        """How large what was made of one user was at most."""
        self._left = self._most = most

    def encode(self, snapshot: UserSnapshot | None) -> bytes:
        """Return the selected fields as JSON: an object, or null if there is no user."""
        if snapshot is None:
            return _NULL
        encoded = snapshot.encodings.get(self)
        if encoded is None:
            encoded = self.encode_anew(snapshot)
            self._largest = max(self._largest, len(encoded))
            keep(encoded, self, snapshot)
        return encoded

    def encode_anew(self, snapshot: UserSnapshot) -> bytes:
        """Return the same for who keeps what is made of it."""
        return orjson.dumps({key: attribute(snapshot) for key, attribute in self._fields})

    def encode_many(self, snapshots: Iterable[UserSnapshot | None], most: int) -> bytes:
        """Return a JSON list of what is selected of each. Raises AnswerTooLarge if that is more than ``most`` bytes."""
        self._left = most
        encode = self._encode_one_of_many
        parts = [_NULL if known is None else known.encodings.get(self) or encode(known) for known in snapshots]
        # The lengths are added up only where they may come to too much.
        if len(parts) * (self._largest + 1) >= most and sum(map(len, parts)) + len(parts) >= most:
            raise AnswerTooLarge(self._most)
        return b"[" + b",".join(parts) + b"]"

    def _encode_one_of_many(self, snapshot: UserSnapshot) -> bytes:
        """Encode a user anew, and stop as soon as all that was made for this list is too much."""
        encoded = self.encode(snapshot)
        self._left -= len(encoded)
        if self._left < 0:
            raise AnswerTooLarge(self._most)
        return encoded


def keep(encoded: bytes, what: object, snapshot: UserSnapshot) -> None:
    """Keep what was made of a snapshot with it, by what it was made for."""
    if len(encoded) <= _LARGEST_BYTES:
        encodings = snapshot.encodings
        if len(encodings) >= _ENCODINGS or len(encoded) > _LARGE_BYTES:
            encodings.clear()
        encodings[what] = encoded


class Projections:
    """The projections in use: equal selections share one, and so the bytes."""

    def __init__(self, default_locale: str, most: int) -> None:
        self._default_locale = default_locale
        self._most = most
        self._by_shape: WeighedCache[Shape, Projection] = WeighedCache(_PROJECTIONS_BYTES, most=_PROJECTIONS)

    def of(self, field: SelectedField, fragments: Fragments, conditions: Conditions) -> Projection:
        """Return the projection of a field of type User. Raises NotSimple."""
        selected = collect_fields(field.selection_sets, fragments, conditions)
        shape = tuple((below.key, below.name) for below in selected)
        projection = self._by_shape.get(shape)
        if projection is None:
            projection = Projection(shape, self._default_locale, self._most)
            self._by_shape.put(shape, projection, 2 * weight_of(shape))
        else:
            self._by_shape.touch(shape)
        return projection
