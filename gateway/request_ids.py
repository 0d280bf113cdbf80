"""Ids of requests: unlike each other in the process, and, as good as certainly, in the deployment."""

from __future__ import annotations

import re
import secrets
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.types import Scope

_ACCEPTABLE = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_PROCESS = secrets.token_hex(6)
_numbers = count()


def request_id_in(scope: Scope) -> str | None:
    """Return the id that the caller gave in ``X-Request-Id``, if it is a sensible one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _ACCEPTABLE.fullmatch(value):
            return str(value.decode("ascii"))
    return None


def new_request_id() -> str:
    """Return an id that no request had before. For a process that was not forked after this was imported."""
    return f"{_PROCESS}-{next(_numbers):08x}"
