"""A user as a line of JSON: with the names of the API, private fields, times and version."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from userline.common.repeated_names import find_repeated_name
from userline.users.codec import record_to_json
from userline.users.errors import BadUserInput, Problem
from userline.users.patch import apply, parse_id, parse_new_user

if TYPE_CHECKING:
    from userline.users.record import UserRecord
    from userline.users.rules import Rules

_LARGEST_NUMBER: Final = (1 << 53) - 1
"""What every program that reads JSON can count to."""


class LineRefused(Exception):
    """A line is not a valid user. ``problems`` has everything that is wrong, without private values."""

    def __init__(self, user_id: str | None, problems: tuple[Problem, ...]) -> None:
        super().__init__(" ".join(problem.message for problem in problems))
        self.user_id = user_id
        self.problems = problems


def encode_line(record: UserRecord) -> bytes:
    """Return the line of a user, with its end. Equal records have equal lines."""
    value = record_to_json(record)
    value["version"] = record.snapshot.version
    return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)


def parse_line(line: bytes, rules: Rules, *, now: int) -> UserRecord:
    """Return the user of a line, checked as if it were created through the API. Raises LineRefused.

    Fields that are left out or null have their defaults; ``createdAt`` and ``updatedAt`` are then ``now``, in Unix
    milliseconds, and ``version`` is 1, below that of anybody who is or was there.
    """
    try:
        fields: Any = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise LineRefused(None, (Problem("line", f"line is not JSON: {error.msg}."),)) from None
    if not isinstance(fields, dict):
        raise LineRefused(None, (Problem("line", "line must be a JSON object, one user."),))
    if complaint := find_repeated_name(line, fields):
        raise LineRefused(None, (Problem("line", f"line {complaint}."),))
    given_id = fields.pop("id", None)
    problems: list[Problem] = []
    user_id = None
    try:
        user_id = parse_id(given_id)
    except BadUserInput as error:
        problems += error.problems
    created_at = _number(fields, "createdAt", now, problems)
    updated_at = _number(fields, "updatedAt", created_at, problems)
    version = _number(fields, "version", 1, problems, least=1)
    try:
        patch = parse_new_user(fields, rules)
        if user_id is not None and not problems:
            record = apply(patch, None, user_id=user_id, now=created_at, rules=rules)
            return replace(record, snapshot=replace(record.snapshot, version=version), updated_at=updated_at)
    except BadUserInput as error:
        problems += error.problems
    raise LineRefused(user_id, tuple(problems))


def _number(fields: dict[str, Any], name: str, default: int, problems: list[Problem], *, least: int = 0) -> int:
    value = fields.pop(name, None)
    if value is None:
        return default
    if type(value) is int and least <= value <= _LARGEST_NUMBER:
        return value
    problems.append(Problem(name, f"{name} must be a whole number from {least} to {_LARGEST_NUMBER}."))
    return default
