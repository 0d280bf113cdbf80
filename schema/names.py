"""The names of the schema's types, and prefixed ones for a graph where another subgraph has types of these names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from strawberry.schema.name_converter import NameConverter

if TYPE_CHECKING:
    from strawberry.types.base import StrawberryObjectDefinition
    from strawberry.types.field import StrawberryField

COMMON: Final = frozenset({"App", "Role"})
"""The object types whose names do not say that they are of users. Scalars are made with their names."""


class Prefixed(NameConverter):
    """Adds a prefix to the names of these types, and to the query ``app``."""

    def __init__(self, prefix: str) -> None:
        super().__init__()
        self.prefix = prefix

    def from_object(self, object_type: StrawberryObjectDefinition) -> str:
        """Return the name of an object type."""
        name = super().from_object(object_type)
        return self.prefix + name if name in COMMON else name

    def from_field(self, field: StrawberryField) -> str:
        """Return the name of a field."""
        name = super().from_field(field)
        return f"{self.prefix[:1].lower()}{self.prefix[1:]}App" if self.prefix and name == "app" else name
