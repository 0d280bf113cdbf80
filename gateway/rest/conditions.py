"""Requests with a condition: the entity tag of a user is its version in quotation marks.

Source: RFC 9110, section 13.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from userline.gateway.header_fields import joined
from userline.users.condition import ANY, Condition
from userline.users.errors import BadUserInput, Problem

if TYPE_CHECKING:
    from collections.abc import Container

    from starlette.requests import Request

_TAG: Final = r'(W/)?"([\x21\x23-\x7e\x80-\xff]*+)"'
_TAGS: Final = re.compile(rf"[ \t,]*+{_TAG}(?:[ \t]*+,[ \t,]*+{_TAG})*+[ \t,]*+")
_EACH: Final = re.compile(_TAG)
_VERSION: Final = re.compile(r"[1-9][0-9]{0,18}", re.ASCII)

_IF_MATCH: Final = "If-Match"
_IF_NONE_MATCH: Final = "If-None-Match"
_WRITES_ONLY: Final = ("If-Unmodified-Since", "Content-Range")
_ALL: Final = (_IF_MATCH, _IF_NONE_MATCH, *_WRITES_ONLY)


def tag_of(version: int) -> str:
    """Return the entity tag of a user at this version."""
    return f'"{version}"'


def condition_of(request: Request) -> Condition | None:
    """Return the condition of a request for one user, or None if it has none.

    Raises BadUserInput for a header that is no list of entity tags, and for a condition of a write that cannot be kept:
    passing over it would overwrite what the client means to leave alone.
    """
    wanted, unwanted = _value(request, _IF_MATCH), _value(request, _IF_NONE_MATCH)
    if request.method in ("PUT", "DELETE"):
        names = [name for name in _WRITES_ONLY if _value(request, name) is not None]
        if names and not (names == ["If-Unmodified-Since"] and wanted is not None):
            raise BadUserInput([Problem(names[0], f"{names[0]} is not supported. Send If-Match with the user's ETag.")])
    if wanted is None and unwanted is None:
        return None
    return Condition(
        None if wanted is None else _versions(_IF_MATCH, wanted, allows_weak=False),
        frozenset() if unwanted is None else _versions(_IF_NONE_MATCH, unwanted, allows_weak=True),
    )


def no_condition(request: Request) -> None:
    """Raise BadUserInput if a write of several users has a condition."""
    for name in _ALL:
        if _value(request, name) is not None:
            raise BadUserInput(
                [Problem(name, f"{name} is not supported for several users. Give the version of each in its patch.")]
            )


def _value(request: Request, name: str) -> str | None:
    return joined(request.headers.raw, name.lower().encode())


def _versions(name: str, value: str, *, allows_weak: bool) -> Container[int]:
    """Return the versions that the header names. A tag that is no version of ours is that of no user."""
    if value.strip(" \t") == "*":
        return ANY
    if not _TAGS.fullmatch(value):
        raise BadUserInput([Problem(name, f'{name} must be * or entity tags in quotation marks, such as "123".')])
    tags = [tag for weak, tag in _EACH.findall(value) if allows_weak or not weak]
    return frozenset(int(tag) for tag in tags if _VERSION.fullmatch(tag))
