"""Errors of root fields, with the same text and form as in the general way."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from graphql import GraphQLError

from userline.execution.errors import format_error_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from graphql import FieldNode
    from graphql.language.location import FormattedSourceLocation

    from userline.execution.errors import FormattedError
    from userline.execution.plans.selections import SelectedField


class Place(NamedTuple):
    """The place of a root field in its document, without a reference that would keep the document in memory."""

    key: str
    locations: Sequence[FormattedSourceLocation]

    @classmethod
    def of(cls, key: str, nodes: Sequence[FieldNode]) -> Place:
        """Return the place of the field that these nodes select under this key."""
        return cls(key, [location.formatted for location in GraphQLError("", nodes).locations or ()])

    def failure(self, error: BaseException, request_id: str, *below: str | int) -> FormattedError:
        """Return the error of the field, or of what is at this path below it."""
        return format_error_at(error, request_id, self.locations, [self.key, *below])


def format_failure(field: SelectedField, error: BaseException, request_id: str) -> FormattedError:
    """Return the error of a root field, with its places in the document."""
    return Place.of(field.key, field.nodes).failure(error, request_id)
