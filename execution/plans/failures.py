"""Failures of root fields, told as the general way tells them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from graphql import located_error

from userline.execution.errors import format_field_error

if TYPE_CHECKING:
    from userline.execution.errors import FormattedError
    from userline.execution.plans.selections import Field


def format_failure(field: Field, error: Exception, request_id: str) -> FormattedError:
    """Return the error of a root field, with its places in the document."""
    return format_field_error(located_error(error, field.nodes, [field.key]), request_id)
