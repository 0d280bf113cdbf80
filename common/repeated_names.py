"""Objects of JSON that have a name twice: parsers take the last value, and nobody hears of the other one."""

from __future__ import annotations

import json
from typing import Any, Final

from userline.common.json_strings import STRINGS
from userline.common.texts import cut

_LONGEST: Final = 200


def find_repeated_name(text: bytes, value: object) -> str | None:
    """Return what is said of the first object that has a name twice in a JSON text, or None.

    ``value`` is what was read of the text, which is valid: it has as many members as the text has colons outside of
    strings, or a name was there twice.
    """
    members = _count_members(value)
    if text.count(b":") == members or STRINGS.sub(b"", text).count(b":") == members:
        return None
    try:
        # Numbers may have any length: only the names matter here.
        found = _find(json.loads(text, object_pairs_hook=_Pairs, parse_int=str, parse_float=str), ())
    except RecursionError:
        found = None
    if found is None:
        return "has an object with a name that is there more than once"
    *places, name = map(json.dumps, found)
    of = f" in {'.'.join(places)}" if places else ""
    return f"has the name {cut(name, _LONGEST)} more than once{cut(of, _LONGEST)}"


def _count_members(value: object) -> int:
    count, left = 0, [value]
    while left:
        some = left.pop()
        items: Any = ()
        if isinstance(some, dict):
            count += len(some)
            items = some.values()
        elif isinstance(some, list):
            items = some
        left += [item for item in items if isinstance(item, dict | list)]
    return count


class _Pairs(list[tuple[str, Any]]):
    """The members of an object, as they were written."""


def _find(value: object, place: tuple[str | int, ...]) -> tuple[str | int, ...] | None:
    """Return the place of the first name that is there a second time, its own name last."""
    if not isinstance(value, list):
        return None
    seen = set()
    for number, item in enumerate(value):
        step: str | int = number
        if isinstance(value, _Pairs):
            step, item = item  # noqa: PLW2901 - a member
            if step in seen:
                return (*place, step)
            seen.add(step)
        found = _find(item, (*place, step))
        if found is not None:
            return found
    return None
