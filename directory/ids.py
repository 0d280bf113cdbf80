"""Lists of ids, as callers give them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from userline.users.errors import BadUserInput, Problem
from userline.users.rules import MAX_IDS
from userline.users.validation import check_id

if TYPE_CHECKING:
    from collections.abc import Sequence


def check_number(user_ids: Sequence[str]) -> None:
    """Raise BadUserInput for more than ``MAX_IDS`` ids."""
    if len(user_ids) > MAX_IDS:
        raise BadUserInput([Problem("ids", f"ids must have at most {MAX_IDS} entries, not {len(user_ids)}.")])


def check_ids(user_ids: Sequence[str]) -> None:
    """Raise BadUserInput for more than ``MAX_IDS`` ids, or for a bad one, which it names by its place."""
    check_number(user_ids)
    for number, user_id in enumerate(user_ids):
        check_entry(number, user_id)


def check_entry(number: int, user_id: str) -> str:
    """Return an entry of a list if it is an id. Raises BadUserInput that says which entry is none."""
    try:
        return check_id(user_id)
    except ValueError as error:
        raise BadUserInput([Problem("ids", f"ids[{number}] {error}")]) from None


def distinct_ids(user_ids: Sequence[str]) -> list[str]:
    """Return the ids of a list, each once. Raises BadUserInput as ``check_ids`` does."""
    check_ids(user_ids)
    return list(dict.fromkeys(user_ids))
