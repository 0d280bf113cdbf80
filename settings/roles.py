"""The file of roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from userline.common.repeated_names import find_repeated_name
from userline.users.rules import DEFAULT_ROLE, MAX_ROLE_CHARACTERS

if TYPE_CHECKING:
    from pathlib import Path

OPEN_ROLES: Final[dict[str, dict[str, Any]]] = {DEFAULT_ROLE: {}}
"""The roles of an app that has no file of roles."""


def read_roles(path: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """Return the roles in the file with their settings, and a sentence for each thing that is wrong with it."""
    try:
        text = path.read_bytes()
        roles = orjson.loads(text)
    except OSError as error:
        return {}, [f"The file cannot be read: {error.strerror}."]
    except orjson.JSONDecodeError as error:
        return {}, [f"The file is not JSON: {error}."]
    if not isinstance(roles, dict):
        return {}, ['The file must have an object of roles, such as {"default": {}, "agent": {"canExport": true}}.']
    problems = []
    if complaint := find_repeated_name(text, roles):
        problems.append(f"The file {complaint}.")
    if DEFAULT_ROLE not in roles:
        problems.append(
            f'The file must have a role named "{DEFAULT_ROLE}", which is the role of users who have no other.'
        )
    for name, value in roles.items():
        if not name.strip() or len(name) > MAX_ROLE_CHARACTERS:
            problems.append(
                f"The role name {name[:40]!r} must not be blank or longer than {MAX_ROLE_CHARACTERS} characters."
            )
        if not isinstance(value, dict):
            problems.append(f"The settings of the role {name[:40]!r} must be an object.")
    return roles, problems
