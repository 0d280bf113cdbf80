"""Texts as they are shown."""

from __future__ import annotations


def cut(text: str, most: int) -> str:
    """Return a text of at most ``most`` characters, or what it begins with, which then ends in an ellipsis."""
    return text if len(text) <= most else f"{text[:most]}…"
