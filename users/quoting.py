"""Quotes names that callers have chosen, for messages."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from userline.common.texts import cut

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_SHOWN = 3

_ENDS_OF_LINES_AND_COMMANDS = (*range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_ESCAPED = {code: f"\\u{code:04x}" for code in _ENDS_OF_LINES_AND_COMMANDS}
"""What JSON lets stand in a text, and ends lines, commands terminals or turns what stands around it."""


def quoted(text: str, most: int = 100) -> str:
    """Return a text in quotes as JSON writes it, on one line, cut after ``most`` characters; it can always be sent."""
    return json.dumps(cut(text, most), ensure_ascii=False).translate(_ESCAPED).encode(errors="replace").decode()


def quoted_few(texts: Iterable[str]) -> str:
    """Return the first texts in quotes, and how many there are more."""
    every = list(texts)
    shown = [quoted(each) for each in every[:_MOST_SHOWN]]
    more = len(every) - len(shown)
    if more:
        shown.append(f"{more} more")
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
