"""Makes request ids, unique in the process and practically unique in the deployment."""

from __future__ import annotations

import re
import secrets
from itertools import chain, count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

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


def _ids_with(high: int) -> list[str]:
    beginning = f"{_PROCESS}-{high:06x}"
    return [beginning + low for low in _LOW_DIGITS]


new_request_id: Callable[[], str] = chain.from_iterable(map(_ids_with, count())).__next__
"""Returns an id that no request had before. For a process that was not forked after this was imported.

For one thread. Every request calls it, so that it is an iterator's own method.
"""
