"""What a REST address names, read from the path as it was sent.

The decoded path of ASGI is of no use here: a user id may contain ``/`` (as ``%2F``), be ``.`` or ``..``, and must be
valid UTF-8, all of which decoding hides.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote_to_bytes

from userline.users.errors import BadUserInput, Problem
from userline.users.patch import parse_id

if TYPE_CHECKING:
    from starlette.types import Scope

PREFIX: Final = "/v1"

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Description:
    """``/v1/openapi.json``."""


@dataclass(frozen=True, slots=True)
class Collection:
    """``/v1/{appId}/users``: all users of the app."""


@dataclass(frozen=True, slots=True)
class Item:
    """``/v1/{appId}/users/{id}``: one user, whose id is ``segment`` as it was sent."""

    segment: bytes

    def user_id(self) -> str:
        """Return the id. Raises BadUserInput."""
        return parse_id(_decode(self.segment))


def parse_path(scope: Scope, app_id: str) -> Description | Collection | Item | None:
    """Return what the address names, or None if there is no such address."""
    match _segments(scope):
        case [b"openapi.json"]:
            return Description()
        case [app, b"users"] if _is(app, app_id):
            return Collection()
        case [app, b"users", user_id] if _is(app, app_id):
            return Item(user_id)
    return None


def _segments(scope: Scope) -> list[bytes]:
    path: bytes = scope["raw_path"]
    root = scope.get("root_path", "").encode()
    return path.removeprefix(root).removeprefix(PREFIX.encode()).removeprefix(b"/").split(b"/")


def _is(segment: bytes, app_id: str) -> bool:
    return unquote_to_bytes(segment) == app_id.encode()


def _decode(segment: bytes) -> str:
    if _BAD_ESCAPE.search(segment):
        raise BadUserInput([Problem("id", "id has a % in the address that two hexadecimal digits do not follow.")])
    try:
        return unquote_to_bytes(segment).decode()
    except UnicodeDecodeError:
        raise BadUserInput([Problem("id", "id must be percent-encoded UTF-8.")]) from None
