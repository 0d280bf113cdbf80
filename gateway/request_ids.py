"""Ids of requests: unlike each other in the process, and, as good as certainly, in the deployment."""

from __future__ import annotations

import re
import secrets
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.types import Scope

_ACCEPTABLE = re.compile(rb"[A-Za-z0-9._:-]{1,64}")
_PROCESS = secrets.token_hex(6)
_LOW_DIGITS = [f"{low:02x}" for low in range(256)]


def request_id_in(scope: Scope) -> str | None:
    """Return the id that the caller gave in ``X-Request-Id``, if it is a sensible one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _ACCEPTABLE.fullmatch(value):
            return str(value.decode("ascii"))
    return None


def _ids() -> Iterator[str]:
    for high in count():
        beginning = f"{_PROCESS}-{high:06x}"
        for low in _LOW_DIGITS:
            yield beginning + low


new_request_id: Callable[[], str] = _ids().__next__
"""Returns an id that no request had before. For a process that was not forked after this was imported.

For one thread. Every request calls it, so that it is a generator's own method.
"""
