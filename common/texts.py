"""Texts as they are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def cut(text: str, most: int) -> str:
    """Return a text of at most ``most`` characters, or what it begins with, which then ends in an ellipsis."""
    return text if len(text) <= most else f"{text[:most]}…"


def listed(names: Iterable[str]) -> str:
    """Return names as a sentence lists them, such as ``GET, HEAD and POST``."""
    return " and ".join(", ".join(names).rsplit(", ", 1))
