"""What a user looks like in answers of GraphQL, made from the table of fields, so that a new field is in it at once."""

from __future__ import annotations

from typing import Any

from userline.users.fields import FIELDS
from userline.users.kinds import TO_JSON


def unset_in_answers() -> dict[str, Any]:
    """Return what each field that everybody sees and that has a default is in an answer, where nobody has set it."""
    return {
        "effectiveLocale": "en",
        **{
            field.name: TO_JSON.get(field.kind, lambda value: value)(field.default)
            for field in FIELDS
            if field.is_public and field.is_given and not field.is_required
        },
    }
