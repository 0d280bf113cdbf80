"""The values of headers: lists, and what has parameters, where any part may be a quoted string.

Source: RFC 9110, sections 5.3 (several lines of one header), 5.6.1 (lists), and 5.6.4 to 5.6.6 (quoted strings,
parameters).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_QUOTED: Final = r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)'
"""A quoted string; one that does not end goes to the end of the text."""

_LISTED: Final = re.compile(rf'(?:{_QUOTED}|[^",])++', re.DOTALL)
_PARTS: Final = re.compile(rf'(?:{_QUOTED}|[^";])++', re.DOTALL)
_ESCAPED: Final = re.compile(r"\\(.)", re.DOTALL)
_SPACE: Final = " \t"


def lines_of(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> list[str]:
    """Return the values of all lines of a header."""
    return [value.decode("latin-1") for name, value in headers if name == wanted]


def joined(headers: Iterable[tuple[bytes, bytes]], wanted: bytes) -> str | None:
    """Return a header whose value is a list, which several lines may have parts of, or None without it."""
    lines = lines_of(headers, wanted)
    return ", ".join(lines) if lines else None


def members(value: str) -> list[str]:
    """Return the members of a list, without the empty ones."""
    return [member for part in _LISTED.findall(value) if (member := part.strip(_SPACE))]


def with_parameters(member: str) -> tuple[str, list[tuple[str, str]]]:
    """Return what has parameters, such as a media type, and these: names in small letters, values without quotes."""
    first, *rest = [part.strip(_SPACE) for part in _PARTS.findall(member)] or [""]
    if member.lstrip(_SPACE).startswith(";"):
        first, rest = "", [first, *rest]
    pairs = [part.partition("=") for part in rest if part]
    return first.lower(), [(name.strip(_SPACE).lower(), _unquoted(value.strip(_SPACE))) for name, _, value in pairs]


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value
    return _ESCAPED.sub(r"\1", value[1:-1] if len(value) > 1 and value.endswith('"') else value[1:])
