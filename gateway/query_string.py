"""The parameters of an address, as they were meant: percent-encoded UTF-8 and nothing else."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qsl

_MOST: Final = 20


def parameters_in(query_string: bytes) -> list[tuple[str, str]]:
    """Return the names and values in a query string. Raises ValueError, whose text is a sentence."""
    try:
        return parse_qsl(query_string.decode("latin-1"), keep_blank_values=True, errors="strict", max_num_fields=_MOST)
    except ValueError:
        raise ValueError("The parameters are too many, or not percent-encoded UTF-8.") from None
