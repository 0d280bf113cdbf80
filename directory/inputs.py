"""What callers give to be written, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from userline.users.errors import BadUserInput, Problem
from userline.users.patch import parse_id, parse_patch

if TYPE_CHECKING:
    from collections.abc import Callable

    from userline.users.patch import UserPatch
    from userline.users.rules import Rules


def patch_of(fields: object, rules: Rules) -> UserPatch:
    """Return the patch that a JSON value asks for. Raises BadUserInput."""
    if not isinstance(fields, dict):
        raise BadUserInput([Problem("body", "The patch of a user must be an object.")])
    return parse_patch(fields, rules)


def parse_both(user_id: str, parse: Callable[[], UserPatch]) -> tuple[str, UserPatch]:
    """Check the id and the input, and report the problems of both together."""
    problems: list[Problem] = []
    try:
        user_id = parse_id(user_id)
    except BadUserInput as error:
        problems.extend(error.problems)
    try:
        patch = parse()
    except BadUserInput as error:
        problems.extend(error.problems)
        raise BadUserInput(problems) from None
    if problems:
        raise BadUserInput(problems)
    return user_id, patch
