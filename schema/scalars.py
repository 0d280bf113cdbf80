"""The custom scalars as Strawberry has them. How their values are read is in ``coercion.py``."""

from typing import Any, NewType

import strawberry

from userline.schema.coercion import parse_any, parse_any_literal, refuse, write_map
from userline.users.kinds import TO_JSON, Kind

Custom = NewType("Custom", dict[str, Any])
PushTokens = NewType("PushTokens", dict[str, Any])
RoleSettings = NewType("RoleSettings", dict[str, Any])


def make_scalars(prefix: str = "") -> dict[object, Any]:
    """Return the custom scalars by what stands for them in Python, with a prefix before their names."""
    return {
        Custom: strawberry.scalar(
            name=f"{prefix}Custom",
            description=(
                "Custom attributes of a user: a map of strings to strings, without nesting. Keys may hold any "
                "character, dots and dollar signs included; keys that are not GraphQL names are given through a "
                "variable. In an input it is a patch: a key's string sets that key, a key's null removes it, keys left "
                "out stay as they are, and null in place of the whole map removes all."
            ),
            serialize=write_map,
            parse_value=parse_any,
            parse_literal=parse_any_literal,
        ),
        PushTokens: strawberry.scalar(
            name=f"{prefix}PushTokens",
            description=(
                "Push tokens of a user: a map of `fcm:TOKEN` or `apns:TOKEN` to true. It is a patch: true registers a "
                "token, null unregisters it, tokens left out stay as they are, and null in place of the whole map "
                "unregisters all. Push tokens are private: they are never part of an output."
            ),
            serialize=TO_JSON[Kind.KEYS],
            parse_value=parse_any,
            parse_literal=parse_any_literal,
        ),
        RoleSettings: strawberry.scalar(
            name=f"{prefix}RoleSettings",
            description="The settings of a role: a JSON object, as the gateway's configuration has it.",
            serialize=write_map,
            parse_value=refuse,
        ),
    }
