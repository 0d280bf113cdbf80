"""The parameters of an address, as they were meant: percent-encoded UTF-8 and nothing else."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl

_MOST: Final = 20
_NOT_ENCODED: Final = "The parameters are not percent-encoded UTF-8."
_NO_CODE: Final = re.compile(rb"%(?![0-9A-Fa-f]{2})")


def parameters_in(query_string: bytes) -> list[tuple[str, str]]:
    """Return the names and values in a query string. Raises ValueError, whose text is a sentence."""
    if query_string.count(b"&") >= _MOST:
        raise ValueError(f"The address has more than {_MOST} parameters.")
    if _NO_CODE.search(query_string):
        raise ValueError(_NOT_ENCODED)
    try:
        return parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, errors="strict")
    except ValueError:
        raise ValueError(_NOT_ENCODED) from None
